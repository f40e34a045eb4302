"""Monitoring of a released model: request logs are imported masked, measured against the train rows, and come back as
candidates.

Import: `log_import` reads files, `log_lines` (with `fields`) each line, `pii` masks, `requests` puts lines together
and is what is kept. Report: `drift` writes it from `signals`, against a `reference`. Learn: `learn` queues candidates.
"""
