"""The six gates (`checks.py`) and the clearance. Each is computed from the artefacts, never from an earlier answer."""
