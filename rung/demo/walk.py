"""Walks a demo project through the ordinary commands, one child process each, and goes on where it was stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rung.demo.folder import make_folder
from rung.demo.task import Task
from workspace.errors import RungError
from workspace.files import write_text
from workspace.folder import Project

Print = Callable[[str], None]
STATE = ".demo.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the walk. `may_exit` are the exit codes that are part of the story; `because` says why it is run.

    `only_if` looks at the project and says whether the step has its turn. `fast` are the arguments of a fast demo where
    they differ.
    """

    name: str
    arguments: tuple[str, ...]
    because: str
    may_exit: tuple[int, ...] = (0,)
    fast: tuple[str, ...] = ()
    only_if: Callable[[Walk], bool] = field(default=lambda walk: True)


class Walk:
    """A demo project, what has been done in it, and how long each step took.

    With `aside` the commands print to stderr, so that stdout is left for one document.
    """

    def __init__(self, root: Path, task: Task, *, fast: bool, say: Print, aside: bool = False) -> None:
        self.project = Project(root)
        self.task = task
        self.fast = fast
        self.say = say
        self.out = 2 if aside else None
        self.seconds: dict[str, float] = {}
        self.exits: dict[str, int] = {}

    def begin(self) -> None:
        """Make the folder, or take up an unfinished one of the same task and size."""
        path = self.project.root / STATE
        if path.is_file():
            state = json.loads(path.read_text())
            if (state["task"], state["fast"]) != (self.task.name, self.fast):
                raise RungError(
                    f"{self.project.root} holds the demo {state['task']}{' --fast' if state['fast'] else ''}.",
                    "Name another folder: rung demo --into DIR",
                )
            self.seconds, self.exits = state["seconds"], state["exits"]
            return
        if self.project.root.exists() and any(self.project.root.iterdir()):
            raise RungError(f"{self.project.root} is not empty.", "Name another folder: rung demo --into DIR")
        self.project.root.mkdir(parents=True, exist_ok=True)
        make_folder(self.project.root, self.task, fast=self.fast)
        self._save()

    def run(self, steps: Sequence[Step]) -> None:
        """Run every step that is not done yet and has its turn."""
        for step in steps:
            if step.name in self.exits:
                self.say(f"✓ {step.name}: done before")
            elif step.only_if(self):
                self._run(step)

    def exited(self, name: str) -> int | None:
        """The exit code of a step, None where it was not run."""
        return self.exits.get(name)

    def _run(self, step: Step) -> None:
        self.say("")
        self.say(f"── {step.because}")
        started = time.monotonic()
        code = self._review(step) if step.arguments[0] == "(table)" else self._command(step)
        if code not in step.may_exit:
            raise RungError(
                f"rung {' '.join(step.arguments)} ended with exit code {code}.", "Mend it, then: rung demo goes on here"
            )
        self.exits[step.name] = code
        self.seconds[step.name] = round(time.monotonic() - started, 1)
        self._save()

    def _command(self, step: Step) -> int:
        arguments = step.fast if self.fast and step.fast else step.arguments
        self.say(f"$ rung {' '.join(arguments)}")
        command = [sys.executable, "-P", "-m", "rung", *arguments]
        return subprocess.run(command, cwd=self.project.root, stdout=self.out, check=False).returncode

    def _review(self, step: Step) -> int:
        from rung.demo.reviewer import review_by_table

        judge = self.task.reviewer()
        self.say(f"# automatic reviewer: {judge.name} (not a person, never counted as expert review)")
        counts = review_by_table(self.project, judge)
        self.say(
            f"{counts['approve']:,} approved, {counts['reject']:,} rejected, "
            f"{counts['left']:,} left in the queue for a person"
        )
        return 0

    def _save(self) -> None:
        state = {"task": self.task.name, "fast": self.fast, "seconds": self.seconds, "exits": self.exits}
        write_text(self.project.root / STATE, json.dumps(state, indent=1) + "\n")
