"""The next command after one that has ended: `rung status` where the project decides, else one of these.

`rung/status/stages.py` has what follows a run and a verdict: those are stages.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.checks.base import Checkup
    from curation.generate.run import DraftingResult

SET_GOAL = "rung advise --set goal_score=0.9"
REVIEW = "rung review next"
WATCH = "rung watch import LOGS"
"""The command to run when nothing else is open."""
DRIFT = "rung watch report"
LEARN = "rung watch learn"
RULES = "rung rules list"
ASK = "rung advise --answers answers.toml"
SCORES = "rung verdict --scores FILE"
FREEZE, FREEZE_TEST = "rung data freeze", "rung data freeze --test-only"
RELEASE_PROMPT = "rung release --to prompt"
RELABELLED = "rung review, then rung data freeze: a new version, on which rung baseline is measured again"
LABEL_SHEET, LABELS = "rung judge {run} --answers {file} --rater NAME", "rung judge {run}"
PAIR_SHEET, CHOICES = (
    "rung evaluate {run} --human --rater {rater} --answers {file}",
    "rung evaluate {run} --human --reveal",
)
FILE = "rung data check {file}"
ITEM = "rung review decide {row} approve --token {token}"
OWN_ROWS = "rung review invite NAME, or undo yours: rung review undo {row}"
ON_MACHINE, ON_PROVIDER = "rung train --on {name} --at-most 3h", "rung train --on {name}"
WHY, RULE = "rung why {rule}", "rung rules show {rule}"
FIX_FILES = {
    "malformed": "rung data convert FILE -o OUT --rejects rejects.jsonl",
    "leaks": "rung data leakage --train TRAIN --test TEST --clean OUT",
}
"""Commands that fix a blocking finding outside a project."""


def after(command: str, **named: object) -> str:
    """Return one of these commands with its names, which a shell reads as they are."""
    return command.format(**{name: shlex.quote(str(value)) for name, value in named.items()})


def after_grading(run: str | None, *, checked: bool) -> str:
    """Return what follows a judge's grades; people's labels come first where they have not `checked` it."""
    return f"rung verdict {run}" if checked else f"rung judge {run} --sheet labels.jsonl"


def after_check(checkup: Checkup, command: str, step: str) -> str:
    """Return what follows `command`, a check of the data: a fix, else the project's `step` (empty for files)."""
    from curation.checks.dismissals import IN_REVIEW

    first = checkup.findings[0] if checkup.findings else None
    if step:
        todo = [found for found in checkup.blocking if found.action and found.what_to_do != IN_REVIEW]
        return after_fix([found.name for found in todo[:1]], (), step)
    if not checkup.read and not first:
        return "rung data check FILE"
    if first and first.blocks:
        return FIX_FILES.get(first.name, f"{command} --show {first.name}")
    return command.replace("data check", "data import", 1)


def after_fix(listed: Sequence[str], kept: Sequence[str], step: str) -> str:
    """Return the fix of the findings that `--dry-run` listed (`kept` are the rows to keep), else the `step`."""
    if not listed:
        return step
    return " ".join(["rung data fix", *listed, *(word for row in kept for word in ("--keep", row))])


def after_leaks(train: Sequence[Path], test: Sequence[Path]) -> str:
    """Return the command that writes the training rows without leaks."""
    files = [*(("--train", path) for path in train), *(("--test", path) for path in test)]
    return f"rung data leakage {' '.join(f'{name} {shlex.quote(str(path))}' for name, path in files)} --clean OUT"


def after_drafts(outcome: DraftingResult) -> str:
    """Return what follows drafts: their review, or a rerun where something is left to fetch."""
    if outcome.batch:
        return "run the command again later"
    return REVIEW if outcome.queued or not outcome.failed else "run the command again: it continues"


def after_advice(step: str, onward: str) -> str:
    """Return what follows the advice: the project's next `step`, or `onward` where that is the advice itself."""
    return {"": "rung init", "rung advise": onward}.get(step, step)


def after_plan(plan: str, opener: str, *, named: bool) -> str:
    """Return what follows a plan: the opener of the first closed gate, else its training, `named` where needed."""
    return opener or (f"rung train {plan}" if named else "rung train")


def after_sweep(values: Sequence[str]) -> str:
    """Return the plan with the best values of a sweep (`NAME=VALUE`)."""
    return " ".join(["rung plan", *(f"--set {value}" for value in values)])


def after_logs(*, released: bool) -> str:
    """Return what follows imported request logs."""
    return DRIFT if released else RELEASE_PROMPT


def after_learning(*, queued: bool) -> str:
    """Return what follows requests that were looked through for candidates."""
    return REVIEW if queued else WATCH


def after_freeze_plan(*, test_only: bool) -> str:
    """Return the command that freezes what `--dry-run` listed."""
    return FREEZE_TEST if test_only else FREEZE


def after_sample(role: str) -> str:
    """Return the command that draws a new sample after one of these rows failed."""
    return "rung review sample" if role == "pool" else f"rung review sample --as {role}"


def after_review(*, waits: bool, step: str) -> str:
    """Return what follows a look at the review: the next row, else the project's `step`."""
    return REVIEW if waits else step
