"""Texts that people read: one module per artefact (`verdict_text`), used by shell, screens, pages and reports.

Numbers, intervals, durations, bytes and money are those of `workspace/counted.py`.
"""
