"""Runs code that a model wrote, apart from everything else."""

from evaluation.sandbox.run import Limits, Ran, isolation, run_code

__all__ = ["Limits", "Ran", "isolation", "run_code"]
