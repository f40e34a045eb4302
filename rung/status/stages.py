"""The ten stages, each from the facts alone: state, reason in one line, and the command that opens it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from curation.manifest import SHOWS_NOTHING
from rung.report.baseline_words import best_label
from rung.report.figures import arm_name
from rung.report.power_words import small_words
from rung.status.facts import WAITING, Facts
from workspace.words import counted

State = Literal["done", "open", "needs_you", "running", "locked", "not_needed"]
SYMBOLS: dict[State, str] = {
    "done": "✓",
    "open": "○",
    "needs_you": "!",
    "running": "…",
    "locked": "-",
    "not_needed": "-",
}
WORDS: dict[State, str] = {"needs_you": "needs you", "not_needed": "not needed"}
RUNGS = {"prompt": "prompt", "few_shot": "few-shot", "rag": "rag", "fine_tune": "fine-tune"}
STEP_WORDS = {**RUNGS, "rag_and_fine_tune": "rag and fine-tune"}
PRESS = re.compile(r"press (\d)")
DECIDED = ("approved", "edited", "rejected")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. `key` is the digit that opens it; `next` the sentence of the "Next:" line where it is the next one."""

    number: int
    name: str
    state: State
    reason: str
    command: str
    next: str = ""

    @property
    def key(self) -> str:
        """`1` to `9`, and `0` for the tenth."""
        return str(self.number % 10)

    @property
    def symbol(self) -> str:
        """The state as a symbol."""
        return SYMBOLS[self.state]

    @property
    def word(self) -> str:
        """The state as a word."""
        return WORDS.get(self.state, self.state)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Measured scores (0..1) by rung, None where not measured, and the goal."""

    scores: dict[str, float | None]
    goal: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """All of it. `next` is the stage where the project goes on, None where nothing waits."""

    project: str
    stages: tuple[Stage, ...]
    ladder: Ladder
    next: Stage | None
    problems: tuple[str, ...]

    def stage(self, name: str) -> Stage:
        """The stage of this name."""
        return next(stage for stage in self.stages if stage.name == name)

    def in_shell(self, stage: Stage) -> str:
        """A stage's reason where no key opens another: the command in the place of the digit."""
        return PRESS.sub(lambda found: self.stages[(int(found[1]) or 10) - 1].command, stage.reason)

    def as_json(self) -> dict[str, Any]:
        """The document of `rung status --json`."""
        return {
            "project": self.project,
            "next": self.next.name.lower() if self.next else None,
            "stages": [
                {
                    "number": stage.number,
                    "name": stage.name.lower(),
                    "state": stage.state,
                    "reason": self.in_shell(stage),
                    "command": stage.command,
                }
                for stage in self.stages
            ],
            "ladder": {**self.ladder.scores, "goal": self.ladder.goal},
            "problems": list(self.problems),
        }


def status_of(facts: Facts) -> Status:
    """Every stage in order, the ladder, and the first stage that waits for somebody."""
    stages = tuple(stage(facts) for stage in STAGES)
    waiting = [stage for stage in stages if stage.state in ("needs_you", "open", "running")]
    if facts.release:
        waiting = [stage for stage in waiting if stage.state in ("needs_you", "running")]
    first = next((s for s in waiting if s.state == "running"), waiting[0] if waiting else None)
    return Status(facts.settings.project.name or facts.project.name, stages, ladder_of(facts), first, facts.problems)


def ladder_of(facts: Facts) -> Ladder:
    """Test scores of the rungs; the best of the arms that belong to each."""
    arms = {result.arm: result.score for report in (facts.baseline, facts.measured) if report for result in report.arms}
    belongs = {
        "prompt": ("prompt",),
        "few_shot": ("few_shot", "retrieved", "many_shot"),
        "rag": ("rag", "combined"),
        "fine_tune": ("tuned",),
    }
    scores = {rung: max((arms[a] for a in names if a in arms), default=None) for rung, names in belongs.items()}
    goal = facts.answers.get("goal_score")
    return Ladder(scores, float(goal) if isinstance(goal, int | float) else None)


def _questions(facts: Facts) -> Stage:
    if not facts.answers:
        enough = "4 to 6 answers are enough for a prompt or RAG"
        return Stage(1, "Questions", "open", enough, "rung advise", "answer the questions")
    unknown = sum(value == "unknown" for value in facts.answers.values())
    measured = len(facts.answers.keys() & facts.not_asked)
    told = f'{len(facts.answers) - measured} answered, {unknown} answered "don\'t know"'
    return Stage(1, "Questions", "done", told + (f", {measured} measured" if measured else ""), "rung advise")


def _advice(facts: Facts) -> Stage:
    if not facts.answers:
        return Stage(2, "Advice", "locked", "needs answers: press 1", "rung advise")
    if facts.decision is None:
        return Stage(2, "Advice", "open", "the answers are there", "rung advise", "see the advice")
    if facts.decision_is_old:
        return Stage(2, "Advice", "open", "the answers changed since it was given", "rung advise", "see the new advice")
    step, end = STEP_WORDS[facts.decision.next_step], STEP_WORDS[facts.decision.destination]
    return Stage(2, "Advice", "done", f"next step {step}, likely end {end}", "rung advise")


def _data(facts: Facts) -> Stage:
    if facts.store_fault:
        return Stage(3, "Data", "needs_you", "the database was not opened", "rung doctor", "see to the database")
    if not facts.counts:
        return Stage(3, "Data", "open", "no rows yet", "rung data import FILE", "import your rows")
    kept = sum(n for table in facts.counts.values() for state, n in table.items() if state != "excluded")
    out = facts.rows("excluded") + facts.unreadable
    drafted = max(kept + out - facts.lines_read, 0)
    reason = f"{counted(facts.lines_read, 'line')} read, {kept - drafted:,} kept, {out:,} taken out"
    reason += f", {drafted:,} drafted" if drafted else ""
    if facts.blocking:
        many = f"{counted(facts.blocking, 'finding')} {'blocks' if facts.blocking == 1 else 'block'} the dataset"
        return Stage(3, "Data", "needs_you", many, "rung data check", many)
    return Stage(3, "Data", "done", reason, "rung data check")


def _review(facts: Facts) -> Stage:
    waiting, decided = facts.reviewed(*WAITING), facts.reviewed(*DECIDED)
    if not facts.counts:
        return Stage(4, "Review", "locked", "needs rows: press 3", "rung review status")
    who = f", by {_and(facts.reviewers)}" if facts.reviewers else ""
    if waiting:
        reason = f"{decided:,} of {decided + waiting:,} decided{who}"
        return Stage(4, "Review", "needs_you", reason, "rung review", f"review {counted(waiting, 'row')}")
    return Stage(4, "Review", "done", f"{decided:,} decided{who}" if decided else "nothing to review", "rung review")


def _dataset(facts: Facts) -> Stage:
    manifest = facts.dataset
    if manifest is None:
        if not facts.rows(*DECIDED, "unreviewed", "trusted"):
            return Stage(5, "Dataset", "locked", "needs reviewed rows: press 4", "rung data freeze")
        first = "test" if "test" in facts.counts else "pool"
        if left := sum(facts.counts.get(first, {}).get(state, 0) for state in WAITING):
            return Stage(
                5, "Dataset", "locked", f"needs {counted(left, 'more row')} reviewed: press 4", "rung data freeze"
            )
        return _test_set(facts, first)
    sizes = ", ".join(f"{split.rows:,} {name}" for name, split in manifest.splits.items())
    if manifest.test_only:
        reason = f"{manifest.version}: the test set alone, {sizes}"
        state: State = "open" if facts.baseline else "done"
        return Stage(5, "Dataset", state, reason, "rung data freeze", "freeze the whole dataset")
    return Stage(5, "Dataset", "done", f"{manifest.version}: {sizes}", "rung data freeze")


def _test_set(facts: Facts, first: str) -> Stage:
    """The test set that could be frozen, of rows that came as one or of a share of the pool, and what it can show."""
    rows = sum(facts.counts.get(first, {}).get(state, 0) for state in ("approved", "edited", "unreviewed", "trusted"))
    about = "" if first == "test" else "about "
    items = rows if first == "test" else round(rows * facts.settings.dataset.test)
    if not items:
        reason = f"{counted(rows, 'row')} leave{'s' * (rows == 1)} none for a test set"
        return Stage(5, "Dataset", "needs_you", reason, "rung data import FILE", "import more rows")
    said = ", ".join(filter(None, (f"can be frozen: {about}{counted(items, 'item')}", small_words(items))))
    does = "freeze the test set" if items >= SHOWS_NOTHING else "import more rows, or freeze this small test set"
    return Stage(5, "Dataset", "open", said, "rung data freeze --test-only", does)


def _baselines(facts: Facts) -> Stage:
    if not facts.test_sha256:
        return Stage(6, "Baselines", "locked", "needs a frozen test set: press 5", "rung baseline")
    if facts.baseline is None:
        n = facts.dataset.splits["test"].rows if facts.dataset else 0
        return Stage(
            6,
            "Baselines",
            "open",
            f"{counted(n, 'test item')}, no arm measured yet",
            "rung baseline",
            "measure the arms",
        )
    chosen = next((arm for arm in facts.baseline.arms if arm.arm == facts.baseline.chosen), None)
    called = best_label(facts.baseline)
    reason = f"{called[0].lower()}{called[1:]}: {arm_name(chosen.arm)}, {chosen.score:.1%}" if chosen else "measured"
    return Stage(6, "Baselines", "done", reason, "rung baseline")


def _why_no_training(facts: Facts) -> str:
    """Why no training is needed, in words; empty where it may be."""
    if facts.released and facts.released.run is None and facts.finished is None:
        return "not needed: the prompt is released"
    if facts.decision and facts.decision.action.name in ("keep", "no_llm"):
        return "not needed: " + facts.decision.action.text.rstrip(".").lower()
    return ""


def _plan(facts: Facts) -> Stage:
    if facts.baseline is None:
        return Stage(7, "Plan", "locked", "needs baselines: press 6", "rung plan")
    if facts.plan:
        return Stage(7, "Plan", "done", facts.plan.stem, "rung plan")
    if settled := _why_no_training(facts):
        return Stage(7, "Plan", "not_needed", settled, "rung plan")
    if facts.dataset is None or facts.dataset.test_only:
        return Stage(7, "Plan", "locked", "needs a dataset with training rows: press 5", "rung plan")
    return Stage(
        7, "Plan", "open", "computed from the decision, the dataset and this machine", "rung plan", "look at the plan"
    )


def _train(facts: Facts) -> Stage:
    run = facts.run
    if run and run.state in ("starting", "running", "paused"):
        reason = f"{run.id} at step {run.step} of {run.steps}"
        since = f", started {run.started_at.astimezone():%H:%M}" if run.started_at else ""
        told = f"{run.id} is still training{since}{f' by {run.by}' if run.by else ''}"
        return Stage(8, "Train", "running", reason, f"rung runs watch {run.id}", told)
    if facts.finished:
        done = facts.finished
        return Stage(
            8, "Train", "done", f"{done.id} finished, best step {done.best_step}", f"rung runs watch {done.id}"
        )
    if run and run.state in ("stopped", "crashed"):
        reason = f"{run.id} stopped at step {run.step} of {run.steps}"
        return Stage(8, "Train", "needs_you", reason, f"rung runs resume {run.id}", f"go on with {run.id}")
    if facts.plan is None:
        if settled := _why_no_training(facts):
            return Stage(8, "Train", "not_needed", settled, "rung train")
        return Stage(8, "Train", "locked", "needs a plan: press 7", "rung train")
    if facts.decision and facts.decision.next_step not in ("fine_tune", "rag_and_fine_tune"):
        step = STEP_WORDS[facts.decision.next_step]
        return Stage(8, "Train", "locked", f"the advice says {step} next: press 2", "rung train")
    return Stage(8, "Train", "open", "six gates are checked before it starts", "rung train", "start the training")


def _verdict(facts: Facts) -> Stage:
    if facts.finished is None:
        if settled := _why_no_training(facts):
            return Stage(9, "Verdict", "not_needed", settled, "rung evaluate")
        return Stage(9, "Verdict", "locked", "needs a finished run: press 8", "rung evaluate")
    found = facts.verdict
    if found is None or found.run != facts.finished.id:
        reason = f"{facts.finished.id} is not measured on the test set yet"
        return Stage(9, "Verdict", "open", reason, f"rung evaluate {facts.finished.id}", "measure the tuned model")
    words = found.verdict.replace("_", " ")
    reason = f"{words}: {found.difference * 100:+.1f} points (95%: {found.low * 100:+.1f} to {found.high * 100:+.1f})"
    return Stage(9, "Verdict", "done", reason, f"rung verdict {found.run}")


def _release(facts: Facts) -> Stage:
    if facts.release:
        day = f", {facts.released.created_at:%Y-%m-%d}" if facts.released else ""
        return Stage(10, "Release", "done", f"released: {facts.release.name}{day}", "rung release --to prompt")
    accepted = facts.verdict.accepted if facts.verdict else None
    if facts.verdict and (facts.verdict.verdict == "ship" or accepted):
        command = f"rung release {facts.verdict.run} --to adapter"
        why = f"the judgement was accepted by {accepted.by}" if accepted else "the verdict is ship"
        return Stage(10, "Release", "open", why, command, "release the tuned model")
    if facts.verdict or _why_no_training(facts):
        return Stage(
            10, "Release", "open", "the prompt can be released", "rung release --to prompt", "release the prompt"
        )
    reason = "needs a verdict: press 9"
    return Stage(10, "Release", "locked", reason, "rung release --to prompt")


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


STAGES: tuple[Callable[[Facts], Stage], ...] = (
    _questions,
    _advice,
    _data,
    _review,
    _dataset,
    _baselines,
    _plan,
    _train,
    _verdict,
    _release,
)
