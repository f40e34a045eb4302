"""Texts that people read: one module per artefact (`verdict_text`), used by shell, screens, pages and reports.

`figures` formats numbers, intervals, durations, bytes and money; `workspace/counted.py` counts things.
"""
