"""Candidates written by a model: strategies, filters, budget, and a reply log that never pays for a reply twice."""
