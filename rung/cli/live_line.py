"""A run on the error stream, while it goes on."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from rung.cli.output import harmless, manner, redraw
from rung.report.figures import duration
from rung.report.run_words import validation_words


class LiveLine:
    """Loss, step, tokens/s and time left: one line, redrawn on a terminal; elsewhere a plain one now and then."""

    def __init__(self, run: str, every: float = 5.0) -> None:
        self.run = run
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.every = 0.0 if self.live else every
        self.last = 0.0
        self.validation = ""

    def show(self, line: dict[str, Any]) -> None:
        """Take one line of metrics.jsonl."""
        if line["kind"] == "validation":
            self.validation = f"  validation {validation_words(line)}"
            if not self.live:
                self._write(
                    f"{self.run}  step {line['step']} of {line['steps']}{self.validation}, the best so far is "
                    f"step {line['best_step']}"
                )
        elif line["kind"] == "step" and (time.monotonic() - self.last >= self.every or line["step"] == line["steps"]):
            self.last = time.monotonic()
            self._write(self._text(line))
        elif line["kind"] == "note" and not self.live:
            self._write(f"{self.run}  {line['text']}")

    def wait(self, text: str) -> None:
        """What is awaited while nothing is measured yet."""
        if self.live and not self.last:
            self._write(text)

    def close(self) -> None:
        """Leave the line standing."""
        if self.live and self.last and not manner.quiet:
            sys.stderr.write("\n")

    def _text(self, line: dict[str, Any]) -> str:
        loss = "no number" if line["loss"] is None else f"{line['loss']:.3f}"
        left = line.get("eta_seconds")
        eta = f"about {duration(left)} left" if left else "last step" if line["step"] == line["steps"] else ""
        return (
            f"{self.run}  step {line['step']} of {line['steps']}  {line['step'] / line['steps']:.0%}  loss {loss}"
            f"{self.validation}  {line['tokens_per_second']:.0f} tokens/s  {eta}"
        ).rstrip()

    def _write(self, text: str) -> None:
        if manner.quiet:
            return
        if self.live:
            redraw(text)
        else:
            sys.stderr.write(f"{manner.stamp()}{harmless(text)}\n")
        sys.stderr.flush()
