"""Baselines, verdict, and people and judges who rate outputs, on the screen."""
