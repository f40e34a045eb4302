"""The demo: its steps, the walk through ordinary commands, resumed where it was interrupted, and what it found."""

import json
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.answer_file import record_said
from curation.review import Ruling, open_desk
from curation.review.service import decide_all
from curation.store import StoredRow, open_store
from evaluation.arms.registry import arm_name
from evaluation.measurement_report import ArmResult, newest_report
from evaluation.verdict.rule import newest_verdict
from rung.demo.house_line import CodeTable, DemoRows, documents, rows
from rung.text.evaluation_text import about_data
from rung.text.verdict_text import sentences
from workspace.artefact import read_artefact
from workspace.counted import interval, money, percent
from workspace.errors import RungError
from workspace.files import check_place, write_text
from workspace.folder import Project
from workspace.json_types import JsonObject
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


NAME = "house-line"


def ending(walk: Walk) -> list[str]:
    """Return the last lines of the demo, all of them read from the artefacts."""
    lines = ["", "══ What was planted, and what was found"]
    planted = rows(walk.fast)
    found = _found(walk.project, planted)
    lines += [f"  {WORDS[kind]:<34} {found[kind]:>3} of {len(of)} found" for kind, of in planted.planted.items()]
    lines += ["", f"══ The ladder on {NAME}: a clinic's shorthand in, the house line (category, system, side) out"]
    lines += [f"  {'Arm':<22} {'Score, 95% interval':<24} {'Seconds':>7} {'Cost':>8}"]
    lines += [_arm_line(arm) for arm in _arms(walk.project)]
    lines += ["", *_verdict(walk), ""]
    lines += [f"! {note}" for note in about_data(walk.project)]
    minutes, seconds = divmod(round(sum(walk.seconds.values())), 60)
    lines += ["", f"{minutes} min {seconds} s in all, in {walk.project.root}", ""]
    lines += [
        "Look at: evaluations/*/report.html   the arms, item by item",
        "         rung why RELEASE            the chain from the release back to each row",
        "         rung review                 the candidates that wait for a person",
        "",
        f"Next: cd {walk.project.root} && rung",
    ]
    return lines


def document(walk: Walk) -> JsonObject:
    """Return the same for `--json`: each step with its seconds and exit code, the arms, the verdict or None."""
    found = newest_verdict(walk.project)
    fields = {"arm", "score", "low", "high", "seconds", "cost_usd"}
    return {
        "project": str(walk.project.root),
        "task": NAME,
        "fast": walk.fast,
        "steps": {name: {"seconds": walk.seconds[name], "exit": code} for name, code in walk.exits.items()},
        "arms": [arm.model_dump(mode="json", include=fields) for arm in _arms(walk.project)],
        "verdict": found[1].model_dump(mode="json") if found else None,
        "seconds": round(sum(walk.seconds.values()), 1),
    }


def _arms(project: Project) -> list[ArmResult]:
    found = [newest_report(project, "baseline"), newest_report(project, "run")]
    return [arm for report in found if report for arm in report[1].arms]


def _arm_line(arm: ArmResult) -> str:
    score = f"{percent(arm.score)}  {interval(arm.low, arm.high)}"
    return f"  {arm_name(arm.arm):<22} {score:<24} {arm.seconds:>7.0f} {money(arm.cost_usd):>8}"


def _verdict(walk: Walk) -> list[str]:
    found = newest_verdict(walk.project)
    if found:
        return [" ".join(sentences(found[1]))]
    return ["No training was needed: the advice was settled by measurement. The best prompt was released."]


WORDS = {
    "exact": "exact copies",
    "near": "near copies (case, punctuation)",
    "leak": "leaks from the test set",
    "contradiction": "contradictions",
    "malformed": "malformed lines",
}


def _found(project: Project, rows: DemoRows) -> dict[str, int]:
    """Return the kind -> how many of the planted phrases the checks named."""
    with open_store(project, load_settings(project.settings_file)) as store:
        out = store.rows(role="pool", excluded=True)
        rejected = store.rows(role="pool", state="rejected", excluded=None)
        finding = {change.id: change.finding for change in store.changes(undone=None)}
        crossed = {name for link in store.links() if link.kind == "contradiction" for name in (link.row, link.other)}
        named = {
            "exact": [row for row in out if finding.get(row.change or 0) == "duplicates"],
            "near": [row for row in out if finding.get(row.change or 0) == "duplicates"],
            "leak": [row for row in out if finding.get(row.change or 0) == "leaks"],
            "contradiction": [*rejected, *(store.rows(ids=sorted(crossed)) if crossed else [])],
        }
        malformed = sum(source.counts.get("rejected", 0) for source in store.sources())
    found = {kind: _hits(rows.planted[kind], named[kind]) for kind in named}
    return {**found, "malformed": min(malformed, len(rows.planted["malformed"]))}


def _hits(planted: Iterable[str], rows: Iterable[StoredRow]) -> int:
    """Return the number of planted phrases among these rows, each row counted once.

    Case and punctuation do not count: of a copy and its original either may be the one that was taken out.
    """
    named, wanted = Counter(_bare(row.example.question) for row in rows), Counter(map(_bare, planted))
    return sum(min(count, named[phrase]) for phrase, count in wanted.items())


def _bare(phrase: str) -> str:
    return " ".join(re.findall(r"\w+", phrase.lower()))
