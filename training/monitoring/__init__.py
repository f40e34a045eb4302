"""Monitoring of a released model: request logs are imported masked, measured against the train rows, and come back as
candidates.

Import: `log_import` reads files, `log_lines` (with `fields`, `response_text`, `feedback`) each line, `request_joining`
puts lines together, `pii` masks, `storage` decides what is new, `requests` is what is kept. Report: `drift` writes it,
from the signals of `measures` and the tests of `signals`, against a `reference`. Learn: `learn`
queues `candidates`.
"""
