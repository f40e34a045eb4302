"""What people read: one module of texts an artefact (`verdict_text`), used by shell, screens, pages and reports.

`figures` formats numbers, intervals, durations, bytes and money; `workspace/counted.py` counts things.
"""
