"""Answers in, Decision out. Deterministic: no network, no model, no clock but the date that is passed in."""
