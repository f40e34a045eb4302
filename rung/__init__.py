"""Rung: climb only as high as you need."""

__version__ = "0.1.0"
