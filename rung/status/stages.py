"""The ten stages, each from the facts alone: state, reason in one line, and the command that opens it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from curation.split.manifest import SHOWS_NOTHING
from evaluation.arms.classifiers import CLASSICAL, ENCODER
from evaluation.arms.registry import arm_name
from evaluation.judge.model_judge import by_judge
from evaluation.measured_answers import best_untuned, form_of
from evaluation.verdict.rule import Verdict
from rung.status.facts import WAITING, Facts, read_facts
from rung.status.following import SET_GOAL, WATCH, after_grading, after_sample
from rung.text.baseline_text import best_label
from rung.text.decision_text import OPTION, TUNED, step_and_end, step_word
from rung.text.power_text import small_words
from rung.text.verdict_text import out_of_reach, scatter
from training.runs import LIVE, RunRecord
from workspace.counted import all_of, counted, points, signed_interval
from workspace.folder import Project
from workspace.json_types import JsonObject

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
STEP_WORDS = {"classifier": "classifier", **OPTION}
RUNGS = {"encoder": "encoder"} | {name: word for name, word in STEP_WORDS.items() if name != "rag_and_fine_tune"}
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
    """Scores (0..1) by rung, None if not measured, and the goal; `arms`: each score's arm, `intervals`: its 95%."""

    scores: dict[str, float | None]
    goal: float | None
    arms: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def rungs(self) -> tuple[str, ...]:
        """Return the rungs from the top; measured classifiers, which are no language models, come last."""
        classifiers = (name for name in ("classifier", "encoder") if self.scores.get(name) is not None)
        return ("fine_tune", "rag", "few_shot", "prompt", *classifiers)

    @property
    def classified(self) -> float | None:
        """The score of the better classifier."""
        found = [self.scores.get(name) for name in ("classifier", "encoder")]
        return max((score for score in found if score is not None), default=None)


@dataclass(frozen=True, slots=True)
class Status:
    """All of it. `next` is the stage where the project goes on, None if nothing waits."""

    project: str
    stages: tuple[Stage, ...]
    ladder: Ladder
    next: Stage | None
    problems: tuple[str, ...]
    reviewed: tuple[int, int] = (0, 0)
    """Rows in review: how many are decided, and how many there are."""
    dataset: tuple[str, str] | None = None
    """The newest frozen version and the hash of its manifest."""

    def stage(self, name: str) -> Stage:
        """Return the stage of this name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def command(self) -> str:
        """The command that leads on; where nothing waits, what comes after a release."""
        return self.next.command if self.next else WATCH

    def in_shell(self, stage: Stage) -> str:
        """Return a stage's reason where no key opens another: the command in the place of the digit."""
        return PRESS.sub(lambda found: self.stages[(int(found[1]) or 10) - 1].command, stage.reason)

    def as_json(self) -> JsonObject:
        """Return the document of `rung status --json`."""
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
            "dataset": dict(zip(("version", "sha256"), self.dataset, strict=True)) if self.dataset else None,
            "ladder": {**self.ladder.scores, "classifier": self.ladder.classified, "goal": self.ladder.goal},
            "problems": list(self.problems),
        }


def read_status(project: Project) -> Status:
    """Read the artefacts and the store, and return the status."""
    return status_of(read_facts(project))


def next_step(project: Project) -> str:
    """Return the next command of this project, as `rung status`, Start and all commands print it."""
    return read_status(project).command


def status_of(facts: Facts) -> Status:
    """Return every stage in order, the ladder, and the first stage that waits for somebody."""
    stages = tuple(of(facts, _Here(n, name, command)) for n, (name, command, of) in enumerate(STAGES, 1))
    waiting = [stage for stage in stages if stage.state in ("needs_you", "open", "running")]
    if facts.release:
        waiting = [stage for stage in waiting if stage.state in ("needs_you", "running")]
    first = next((s for s in waiting if s.state == "running"), None) or _measured_first(facts, waiting)
    name = facts.settings.project.name or facts.project.name
    frozen = (facts.dataset.version, facts.dataset_sha256) if facts.dataset else None
    decided = facts.rows(*DECIDED)
    reviewed = decided, decided + facts.rows(*WAITING)
    return Status(name, stages, ladder_of(facts), first, facts.problems, reviewed, frozen)


def _measured_first(facts: Facts, waiting: list[Stage]) -> Stage | None:
    """Return the stage of a measurement that comes first: it needs a goal, or it reached the goal and can be released.

    With answers and a frozen test set the arms are measured before more rows are reviewed: that costs minutes.
    """
    if 0 < facts.check.blocking == facts.check.in_review:
        waiting = [stage for stage in waiting if stage.name != "Data"]
    wanted = {stage.name: stage for stage in waiting}
    if (stage := wanted.get("Data")) and facts.counts and facts.dataset is None:
        return stage
    if facts.changed and (stage := wanted.get("Dataset")):
        return stage
    if (stage := wanted.get("Baselines")) and (stage.command == SET_GOAL or waiting[0].number > 2):
        return stage
    keeps = facts.decision is not None and facts.decision.reached and not facts.decision_is_old
    if keeps and facts.baseline is not None and (stage := wanted.get("Release")):
        return stage
    if not waiting and not facts.release and (step := _not_tuning(facts)):
        return Stage(2, "Advice", "open", f"the advice says {step} next", "rung advise", f"the advice says {step}")
    return waiting[0] if waiting else None


def _not_tuning(facts: Facts) -> str:
    """Return the next step of the advice in words where it is no training; empty if it is, or is not known."""
    decision = facts.decision
    return "" if decision is None or decision.next_step in TUNED else step_word(decision)


def ladder_of(facts: Facts) -> Ladder:
    """Test scores of the rungs; the best of the arms that belong to each."""
    reports = [report for report in (facts.baseline, facts.measured) if report]
    arms = {arm.arm: arm for report in reports for arm in report.arms if not arm.unmeasured}
    belongs = {
        "classifier": (CLASSICAL,),
        "encoder": (ENCODER,),
        "prompt": ("prompt",),
        "few_shot": ("few_shot", "retrieved", "many_shot"),
        "rag": ("rag", "combined"),
        "fine_tune": ("tuned",),
    }
    best = {
        rung: max((a for a in names if a in arms), key=lambda arm: arms[arm].score, default="")
        for rung, names in belongs.items()
    }
    scores = {rung: arms[arm].score if arm else None for rung, arm in best.items()}
    intervals = {rung: (arms[arm].low, arms[arm].high) for rung, arm in best.items() if arm}
    return Ladder(scores, facts.goal, best, intervals)


@dataclass(frozen=True, slots=True)
class _Here:
    """A stage before its state is known; `command` is the usual one."""

    number: int
    name: str
    command: str

    def __call__(self, state: State, reason: str, does: str = "", command: str = "") -> Stage:
        """Return the stage; `does` is its "Next:" sentence."""
        return Stage(self.number, self.name, state, reason, command or self.command, does)


def _questions(facts: Facts, here: _Here) -> Stage:
    if not facts.answers:
        return here("open", "4 to 6 answers are enough for a prompt or RAG", "answer the questions")
    unknown = sum(value == "unknown" for value in facts.answers.values())
    measured = len(facts.answers.keys() & facts.not_asked)
    told = f"{len(facts.answers) - measured} answered"
    told += f', {unknown} answered "don\'t know"' if unknown else ""
    return here("done", told + (f", {measured} measured" if measured else ""))


def _advice(facts: Facts, here: _Here) -> Stage:
    if not facts.answers:
        return here("locked", "needs answers: press 1")
    if facts.decision is None:
        return here("open", "not given yet for these answers", "see the advice")
    if facts.decision_is_old:
        return here("open", "the answers changed since it was given", "see the new advice")
    decision = facts.decision
    if decision.reached == "classifier":
        return here("done", f"the {form_of(decision.reached, facts.baseline)} reaches the goal")
    return here("done", step_and_end(decision.next_step, decision.destination, settled=decision.settled))


def _data(facts: Facts, here: _Here) -> Stage:
    if facts.store_fault:
        return here("needs_you", "the database cannot be opened", "repair the database", "rung doctor")
    if not facts.counts:
        return here("open", "no rows yet", "import your rows", "rung data import FILE")
    kept = sum(n for table in facts.counts.values() for state, n in table.items() if state != "excluded")
    out = facts.rows("excluded") + facts.unreadable
    drafted = max(kept + out - facts.lines_read, 0)
    reason = f"{counted(facts.lines_read, 'line')} read, {kept - drafted:,} kept, {out:,} taken out"
    reason += f", {drafted:,} drafted" if drafted else ""
    if blocking := facts.check.blocking:
        many = f"{counted(blocking, 'finding')} {'blocks' if blocking == 1 else 'block'} the dataset"
        many += ", in review: press 4" if blocking == facts.check.in_review else ""
        return here("needs_you", many, many)
    if facts.check.is_old and facts.dataset is None:
        return here("open", f"not checked: {reason}", "check the rows")
    return here("done", reason)


def _review(facts: Facts, here: _Here) -> Stage:
    waiting, decided = facts.rows(*WAITING), facts.rows(*DECIDED)
    if not facts.counts:
        return here("locked", "needs rows: press 3", command="rung review status")
    who = f", by {all_of(facts.reviewers)}" if facts.reviewers else ""
    does = f"review {counted(waiting, 'row')}"
    for sample in facts.failed:
        role, reason = sample.plan.role, f"the sample of {sample.plan.role} failed: {sample.fault()}"
        if waiting:
            return here("needs_you", reason, does)
        return here("needs_you", reason, f"draw a larger sample of {role}", after_sample(role))
    if waiting:
        return here("needs_you", f"{decided:,} of {decided + waiting:,} decided{who}", does)
    return here("done", f"{decided:,} decided{who}" if decided else "nothing to review")


def _dataset(facts: Facts, here: _Here) -> Stage:
    manifest = facts.dataset
    if manifest is None:
        if not facts.rows(*DECIDED, "unreviewed", "trusted"):
            return here("locked", "needs reviewed rows: press 4")
        first = "test" if "test" in facts.counts else "pool"
        if left := sum(facts.counts.get(first, {}).get(state, 0) for state in WAITING):
            return here("locked", f"needs {counted(left, 'more row')} reviewed: press 4")
        return _test_set(facts, here, first)
    if facts.changed:
        reason = f"{manifest.version} changed since it was frozen: {', '.join(facts.changed)}"
        return here("needs_you", reason, "freeze the dataset again")
    sizes = ", ".join(f"{split.rows:,} {name}" for name, split in manifest.splits.items())
    if manifest.test_only:
        state: State = "open" if facts.baseline else "done"
        return here(state, f"{manifest.version}: test set only, {sizes}", "freeze the whole dataset")
    return here("done", f"{manifest.version}: {sizes}")


def _test_set(facts: Facts, here: _Here, first: str) -> Stage:
    """Return the test set that could be frozen, imported or a share of the pool, and its smallest gain."""
    rows = sum(facts.counts.get(first, {}).get(state, 0) for state in ("approved", "edited", "unreviewed", "trusted"))
    about = "" if first == "test" else "about "
    items = rows if first == "test" else round(rows * facts.settings.dataset.test)
    if not items:
        reason = f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} too few for a test set"
        return here("needs_you", reason, "import more rows", "rung data import FILE")
    said = ", ".join(filter(None, (f"can be frozen: {about}{counted(items, 'item')}", small_words(items))))
    does = "freeze the test set" if items >= SHOWS_NOTHING else "import more rows, or freeze this small test set"
    return here("open", said, does, "rung data freeze --test-only")


def _baselines(facts: Facts, here: _Here) -> Stage:
    if not facts.test_sha256:
        return here("locked", "needs a frozen test set: press 5")
    report = facts.baseline
    if report is None:
        n = facts.dataset.splits["test"].rows if facts.dataset else 0
        return here("open", f"{counted(n, 'test item')}, no arm measured yet", "measure the arms")
    if report.id in facts.other_outputs:
        return here("needs_you", f"{report.id} does not match the log", "measure the arms again")
    best = best_untuned(report)
    untuned = f"best without tuning: {arm_name(best.arm)}, {best.score:.1%}" if best else ""
    if facts.goal is None and best is not None and not _why_no_training(facts) and facts.finished is None:
        does = f"set a goal. {best.score:.1%} may already be enough"
        return here("needs_you", f"no goal is set; {untuned}", does, SET_GOAL)
    if best is not None and best.arm != report.chosen:
        return here("done", untuned)
    chosen = next((arm for arm in report.arms if arm.arm == report.chosen), None)
    if chosen and chosen.unmeasured:
        return here("done", f"{arm_name(chosen.arm)} was not measured: {chosen.unmeasured}")
    called = best_label(report)
    reason = f"{called[0].lower()}{called[1:]}: {arm_name(chosen.arm)}, {chosen.score:.1%}" if chosen else "measured"
    return here("done", reason + (f"; {facts.unmeasured}" if facts.unmeasured else ""))


def _why_no_training(facts: Facts) -> str:
    """Return the reason why no training is needed; empty if it may be."""
    if facts.released and facts.released.run is None and facts.finished is None:
        return f"the {facts.released.forms[0].form} is released"
    if facts.decision and facts.decision.reached == "classifier":
        return f"the {form_of('classifier', facts.baseline)} reaches the goal"
    if facts.decision and facts.decision.action.name in ("keep", "no_llm"):
        return facts.decision.action.text.rstrip(".")
    return ""


def _plan(facts: Facts, here: _Here) -> Stage:
    if facts.baseline is None:
        return here("locked", "needs baselines: press 6")
    if (settled := _why_no_training(facts)) and facts.finished is None:
        return here("not_needed", settled)
    if facts.run is None and (step := _not_tuning(facts)):
        return here("locked", f"the advice says {step} next: press 2")
    if facts.plan:
        return here("done", facts.plan.stem)
    if facts.finished and facts.finished.adopted:
        return here("not_needed", f"{facts.finished.id} was trained elsewhere")
    if facts.dataset is None or facts.dataset.test_only:
        return here("locked", "needs a dataset with training rows: press 5")
    return here("open", "computed from the decision, the dataset and this machine", "look at the plan")


def _train(facts: Facts, here: _Here) -> Stage:
    run, done = facts.run, facts.finished
    after = after_run(run).command if run else ""
    if run and run.state in LIVE:
        since = f", started {run.started_at.astimezone():%H:%M}" if run.started_at else ""
        told = f"{run.id} is still training{since}{f' by {run.by}' if run.by else ''}"
        return here("running", f"{run.id} at step {run.step} of {run.steps}", told, after)
    if done:
        how = "adopted, not trained here" if done.adopted else f"finished, best step {done.best_step}"
        return here("done", f"{done.id} {how}", command=f"rung runs watch {done.id}")
    if run and run.state in ("stopped", "crashed"):
        reason = f"{run.id} stopped at step {run.step} of {run.steps}"
        return here("needs_you", reason, f"resume {run.id}", after)
    if run and run.state == "failed":
        return here("needs_you", f"{run.id} failed at step {run.step}", "look at the plan", after)
    if settled := _why_no_training(facts):
        return here("not_needed", settled)
    if facts.plan is None:
        return here("locked", "needs a plan: press 7")
    if (plan := _plan(facts, here)).state == "locked":
        return plan
    return here("open", "six gates are checked before it starts", "start the training")


def _verdict(facts: Facts, here: _Here) -> Stage:
    run, found = facts.finished, facts.verdict
    if run is None:
        if settled := _why_no_training(facts):
            return here("not_needed", settled)
        return here("locked", "needs a finished run: press 8")
    if run.objective == "reward":
        reason = f"{run.id} is a reward model: it scores answers"
        return here("not_needed", reason, command=after_run(run).command)
    if found is None or found.run != run.id:
        reason = f"{run.id} is not measured on the test set yet"
        return here("open", reason, "measure the tuned model", after_run(run).command)
    if facts.measured and facts.measured.id in facts.other_outputs:
        reason = f"{facts.measured.id} does not match the log"
        return here("needs_you", reason, "measure the tuned model again", f"rung evaluate {found.run}")
    interval = signed_interval(found.low, found.high, found.confidence)
    reason = f"{found.verdict.replace('_', ' ')}: {points(found.difference)} {interval}"
    after = after_verdict(found)
    if after.stage != 10 and facts.release is None:
        return here("needs_you", reason, after.does, after.command)
    return here("done", reason, command=f"rung verdict {found.run}")


@dataclass(frozen=True, slots=True)
class Following:
    """Step after a run, the advice or a verdict: the stage's number, a sentence, and the command."""

    stage: int
    does: str
    command: str


def after_run(run: RunRecord, *, measured: bool = False) -> Following:
    """Return what follows a run in its present state; `measured` where it has a verdict."""
    if run.state == "finished" and run.objective == "reward":
        return Following(7, "plan a training with this reward model", "rung runs list")
    if run.state == "finished":
        does = "the verdict on it" if measured else "measure it on the test set"
        return Following(9, does, f"rung evaluate {run.id}")
    if run.state == "failed":
        return Following(7, "look at the plan", "rung plan")
    if run.state == "paused":
        return Following(8, "p continues. Everything so far is saved", f"rung runs watch {run.id}")
    if run.state in LIVE:
        does = "wait. Safe to leave: training continues in the background"
        return Following(8, does, f"rung runs watch {run.id}")
    return Following(8, f"resume {run.id} from step {run.step}", f"rung runs resume {run.id}")


def after_advice_of(step: str) -> Following:
    """Return where the next step of the advice is carried out."""
    if step in TUNED:
        return Following(7, "plan the run", "rung plan")
    return Following(6, "measure it", "rung baseline")


def after_verdict(found: Verdict) -> Following:
    """Return what follows a verdict; more items lead nowhere where even they could not ship the model."""
    if found.verdict == "ship" or found.accepted:
        return Following(10, "release", f"rung release {found.run} --to adapter")
    if found.verdict == "keep_prompt":
        return Following(10, "release the prompt", "rung release --to prompt")
    if found.verdict == "judgement":
        command = f"rung verdict {found.run} --accept-judgement --by NAME --reason TEXT"
        return Following(9, "decide (asks name and reason)", command)
    if out_of_reach(found):
        return Following(2, "see the advice (2)", "rung advise")
    if by_judge(found.metric):
        return Following(9, "label outputs to check the judge", after_grading(found.run, checked=False))
    if scatter(found):
        seed = 1 + max(training.seed for training in found.trainings)
        return Following(
            7, "train once more with another seed", f"RUNG_TRAINING__SEED={seed} rung plan, then rung train"
        )
    return Following(3, "add test items, in Data", "rung data import FILE --as test")


def _release(facts: Facts, here: _Here) -> Stage:
    if facts.release:
        day = f", {facts.released.created_at:%Y-%m-%d}" if facts.released else ""
        return here("done", f"released: {facts.release.name}{day}")
    accepted = facts.verdict.accepted if facts.verdict else None
    if facts.verdict and (facts.verdict.verdict == "ship" or accepted):
        why = f"the judgement was accepted by {accepted.by}" if accepted else "the verdict is ship"
        return here("open", why, "release the tuned model", after_verdict(facts.verdict).command)
    if facts.verdict or _why_no_training(facts):
        reached = facts.decision.reached if facts.decision and not facts.verdict else ""
        form = form_of(reached, facts.baseline) or "prompt"
        return here("open", f"the {form} can be released", f"release the {form}", f"rung release --to {form}")
    return here("locked", "needs a verdict: press 9")


STAGES: tuple[tuple[str, str, Callable[[Facts, _Here], Stage]], ...] = (
    ("Questions", "rung advise", _questions),
    ("Advice", "rung advise", _advice),
    ("Data", "rung data check", _data),
    ("Review", "rung review", _review),
    ("Dataset", "rung data freeze", _dataset),
    ("Baselines", "rung baseline", _baselines),
    ("Plan", "rung plan", _plan),
    ("Train", "rung train", _train),
    ("Verdict", "rung evaluate", _verdict),
    ("Release", "rung release --to prompt", _release),
)
"""Name, usual command and state of each stage, in order."""
