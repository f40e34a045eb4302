"""The demo: its steps, and the walk through ordinary commands, resumed where it was interrupted."""

import json
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.recording import record_said
from curation.review import Ruling, open_desk
from curation.review.service import decide_all
from rung.demo.house_line import documents, rows
from rung.demo.shorthand import CodeTable
from workspace.artefact import read_artefact
from workspace.errors import RungError
from workspace.files import check_place, write_text
from workspace.folder import Project
from workspace.settings import load_settings

Print = Callable[[str], None]
STATE = ".demo.json"
HERE = Path(__file__).parent
"""`project/` has the files of the demo's folder, `fast.toml` the settings of a fast one, `steps.toml` its commands."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the walk, as steps.toml has it; `because` says why it is run."""

    name: str
    run: str
    because: str
    may_exit: Sequence[int] = (0,)
    fast: str = ""
    only_if: str = ""


class Walk:
    """A demo project, its finished steps, and their durations. With `aside` the commands print to stderr."""

    def __init__(self, root: Path, *, fast: bool, say: Print, aside: bool = False) -> None:
        self.project = Project(root)
        self.fast = fast
        self.say = say
        self.out = 2 if aside else None
        self.seconds: dict[str, float] = {}
        self.exits: dict[str, int] = {}

    def begin(self) -> None:
        """Make the folder, or take up an unfinished one of the same size."""
        path = self.project.root / STATE
        if path.is_file():
            state = json.loads(path.read_text())
            if state["fast"] != self.fast:
                raise RungError(
                    f"{self.project.root} holds the demo{' --fast' if state['fast'] else ' without --fast'}.",
                    "Name another folder: rung demo --into DIR",
                )
            self.seconds, self.exits = state["seconds"], state["exits"]
            return
        if self.project.root.exists() and any(self.project.root.iterdir()):
            raise RungError(f"{self.project.root} is not empty.", "Name another folder: rung demo --into DIR")
        check_place(self.project.root)
        self.project.root.mkdir(parents=True, exist_ok=True)
        make_folder(self.project, fast=self.fast)
        self._save()

    def run(self, steps: Sequence[Step]) -> None:
        """Run every step that is not done yet and has its turn."""
        for step in steps:
            if step.name in self.exits:
                self.say(f"✓ {step.name}: done before")
            elif CONDITIONS[step.only_if](self):
                self._run(step)

    def _run(self, step: Step) -> None:
        self.say("")
        self.say(f"── {step.because}")
        started = time.monotonic()
        code = self._review() if step.run == "(table)" else self._command(step)
        if code not in step.may_exit:
            raise RungError(
                f"rung {step.run} ended with exit code {code}.",
                "Fix it, then: rung demo continues here",
            )
        self.exits[step.name] = code
        self.seconds[step.name] = round(time.monotonic() - started, 1)
        self._save()

    def _command(self, step: Step) -> int:
        line = step.fast if self.fast and step.fast else step.run
        self.say(f"$ rung {line}")
        command = [sys.executable, "-P", "-m", "rung", *line.split()]
        return subprocess.run(command, cwd=self.project.root, stdout=self.out, check=False).returncode

    def _review(self) -> int:
        judge = CodeTable()
        self.say(f"# automatic reviewer: {judge.name} (not a person, never counted as expert review)")
        counts = review_by_table(self.project, judge)
        self.say(
            f"{counts['approve']:,} approved, {counts['reject']:,} rejected, "
            f"{counts['left']:,} left in the queue for a person"
        )
        return 0

    def _save(self) -> None:
        state = {"fast": self.fast, "seconds": self.seconds, "exits": self.exits}
        write_text(self.project.root / STATE, json.dumps(state, indent=1) + "\n")


WAITING = ("pending", "skipped", "unsure")


def review_by_table(project: Project, judge: CodeTable) -> Counter[str]:
    """Decide every waiting row that the table can read. Counts: approve, reject, left."""
    desk = open_desk(project, load_settings(project.settings_file))
    counts: Counter[str] = Counter(approve=0, reject=0, left=0)
    rulings = []
    with desk.store as store:
        for row in store.rows(state=WAITING):
            found = judge.judge(row.example.question, row.example.answer or "")
            counts[found[0] if found else "left"] += 1
            if found:
                rulings.append((row.id, Ruling(found[0], reason=found[1])))
        decide_all(desk, judge.name, rulings, kind="automatic")
    return counts


def make_folder(project: Project, *, fast: bool) -> None:
    """Write the files of `project/`, the code book and the raw rows; the answers are the demo's own."""
    import tomli_w

    for file in (HERE / "project").rglob("*.*"):
        if file.name != "answers.toml":
            write_text(project.root / file.relative_to(HERE / "project"), file.read_text(encoding="utf-8"))
    record_said(project.answers_file, tomllib.loads((HERE / "project" / "answers.toml").read_text()), "the demo")
    if fast:
        settings = tomllib.loads(project.settings_file.read_text())
        for section, values in tomllib.loads((HERE / "fast.toml").read_text()).items():
            settings[section] |= values
        write_text(project.settings_file, tomli_w.dumps(settings))
    for name, text in documents().items():
        write_text(project.documents / name, text)
    made, raw = rows(fast), project.root / "raw"
    write_text(raw / "test.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made.test))
    write_text(raw / "pool.jsonl", "".join(line + "\n" for line in made.pool))


def may_train(walk: Walk) -> bool:
    """True if the advice, computed again from the measurements, is to fine-tune now."""
    from advisor.decision import Decision

    decision = read_artefact(walk.project.decision_file, Decision)
    return decision.next_step in ("fine_tune", "rag_and_fine_tune") and decision.action.name == "climb"


CONDITIONS: dict[str, Callable[[Walk], bool]] = {
    "": lambda walk: True,
    "may_train": may_train,
    "locked": lambda walk: not may_train(walk),
    "trained": lambda walk: walk.exits.get("train") == 0,
    "ships": lambda walk: walk.exits.get("verdict") == 0,
    "refused": lambda walk: walk.exits.get("train") == 0 and walk.exits.get("verdict") != 0,
    "keeps_prompt": lambda walk: walk.exits.get("verdict") != 0,
}
STEPS = tuple(Step(**each) for each in tomllib.loads((HERE / "steps.toml").read_text(encoding="utf-8"))["step"])
