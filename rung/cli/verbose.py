"""`--verbose`: what runs where, what libraries log, and at the end what it took."""

from __future__ import annotations

import atexit
import logging
import os
import platform
import resource
import sys
import time
from pathlib import Path

from rung.cli.output import Manner, complain, note

ROWS_IN_LOG = ("sqlalchemy", "openai", "anthropic", "httpcore")
"""Loggers that may hold row text below WARNING: they stay as they are."""


class _Notes(logging.Handler):
    """Log records as lines of progress."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line: the logger's name and its first line of text."""
        note(f"{record.name}: {record.getMessage().splitlines()[0] if record.getMessage() else ''}")


def begin(manner: Manner) -> None:
    """Say what runs and where, hear the libraries' logs from INFO on, and at the end say time and memory."""
    from rung import __version__

    manner.began = time.monotonic()
    overrides = sorted(name for name in os.environ if name.startswith("RUNG_"))
    note(f"rung {__version__} on Python {platform.python_version()}, {sys.executable}, in {Path.cwd()}")
    note(f"set in the environment: {', '.join(overrides) or 'nothing of Rung'}")
    logging.getLogger().addHandler(_Notes())
    logging.getLogger().setLevel(logging.INFO)
    for name in ROWS_IN_LOG:
        logging.getLogger(name).setLevel(logging.WARNING)
    atexit.register(_end, manner)


def _end(manner: Manner) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = used.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    complain(f"{manner.stamp()}{used.ru_utime + used.ru_stime:.1f} CPU-seconds, {most:,.0f} MiB at most")
