"""Commands of the group `baseline`: measure the ladder, measure the tuned model, rule on both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.trust import trust
from rung.cli.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.decision import Decision
    from chat.protocols import ChatModel
    from evaluation.report import Report
    from evaluation.verdict import Verdict
    from training.record import RunRecord
    from workspace.folder import Project
    from workspace.settings import Settings

BY = Annotated[str, typer.Option(help="Who vouches that the prompts are as good as they get, in place of a week.")]
JSON = Annotated[bool, typer.Option("--json", help="One JSON document.")]
LABELS = Annotated[bool, typer.Option("--label-scoring", help="Score every possible answer too, for calibration.")]
DATASET = Annotated[str | None, typer.Option(help="The frozen version to measure on; the newest by default.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("baseline")(baseline)
    app.command("evaluate")(evaluate)
    app.command("verdict")(verdict)
    app.command("trust")(trust)


def baseline(
    arms: Annotated[str, typer.Option(help="Arms, separated by commas; rung.toml's by default.")] = "",
    dataset: DATASET = None,
    by: BY = "",
    reason: Annotated[str, typer.Option(help="Why the prompts are as good as they get.")] = "",
    both_forms: Annotated[bool, typer.Option(help="On test, measure each arm free and held; else as chosen.")] = False,
    label_scoring: LABELS = False,
    as_json: JSON = False,
) -> None:
    """Measure the ladder on the frozen test set: base, prompt, few-shot, retrieved few-shot, rag, a classifier."""
    from evaluation.arms.registry import arms_named
    from evaluation.baseline import Aim, run_baseline
    from evaluation.bench import frozen_test, open_bench
    from evaluation.taking_over import check_advice, read_answers, take_over
    from rung.report.evaluation import write_page
    from workspace.errors import RungError

    project, settings = _project()
    wanted = arms_named([a.strip() for a in arms.split(",") if a.strip()] or settings.evaluation.arms)
    if bool(by.strip()) != bool(reason.strip()):
        raise RungError("Vouching for the prompts needs a name and a reason.", "--by NAME --reason TEXT")
    answers = read_answers(project)
    check_advice(project)
    frozen_test(project, dataset)
    model = _open(project, settings)
    extra = {"both_forms": both_forms, "label_scoring": label_scoring}
    bench = open_bench(project, settings, model, dataset=dataset, watch=_watch, **extra)
    aim = Aim(answers.goal_score, answers.prompt_effort_days, by.strip(), reason.strip())
    folder, report = run_baseline(bench, wanted, aim)
    decision = take_over(project, settings, bench, report)
    write_page(project, folder)
    _show_baseline(project, folder, report, decision, as_json)


def _show_baseline(project: Project, folder: Path, report: Report, decision: Decision, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from rung.report.baseline_words import lines, taken_over

    if as_json:
        return emit(
            {
                **report.model_dump(mode="json"),
                "folder": project.relative(folder),
                "next_step": decision.next_step,
                "destination": decision.destination,
            }
        )
    taken = [*taken_over(report.judged), f"Advice worked out again: next step {decision.next_step.replace('_', '-')}."]
    for line in lines(report, taken):
        say(line)
    say(f"Report: {project.relative(folder)}/report.html")
    say()
    say(f"Next: {_after_baseline(decision)}")
    return None


def _after_baseline(decision: Decision) -> str:
    if decision.next_step in ("fine_tune", "rag_and_fine_tune"):
        return "rung plan"
    return "rung release --to prompt" if decision.action.name == "keep" else "rung advise"


def evaluate(
    run: Annotated[str | None, typer.Argument(help="A run (R-001); the newest finished one by default.")] = None,
    power: Annotated[bool, typer.Option("--power", help="What this test set can show, before any run.")] = False,
    label_scoring: LABELS = False,
    human: Annotated[bool, typer.Option("--human", help="People compare outputs, blind (see docs).")] = False,
    rater: Annotated[str, typer.Option(help="With --human: who compares; rung.toml's person by default.")] = "",
    items: Annotated[int, typer.Option(min=10, help="With --human: items against each rival.")] = 50,
    sheet: Annotated[Path | None, typer.Option(help="With --human: write a sheet to fill in elsewhere.")] = None,
    answers: Annotated[list[Path] | None, typer.Option(help="With --human: read a filled sheet.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="With --human: end it, and say who wrote what.")] = False,
    forgetting: Annotated[bool, typer.Option("--forgetting", help="A general suite too, before and after.")] = False,
    as_json: JSON = False,
) -> None:
    """Measure the tuned model on the same frozen items as the baseline, and rule."""
    from evaluation.bench import open_bench
    from evaluation.tuned import require_baseline, run_evaluation
    from evaluation.verdict import newest_verdict
    from rung.report.evaluation import write_page

    project, settings = _project()
    if power:
        return _power(project, settings, as_json)
    if human:
        from rung.cli.human import compare_blind

        return compare_blind(project, settings, run, rater, items, sheet, answers or [], reveal, as_json)
    record = _finished(project, run)
    require_baseline(project, settings, record.dataset)
    model = _open_tuned(project, settings, record)
    bench = open_bench(project, settings, model, dataset=record.dataset, watch=_watch, label_scoring=label_scoring)
    evidence = [project.runs / record.id / "run.json"]
    untrained = (lambda: _open_untrained(project, settings, record)) if forgetting else None
    folder = run_evaluation(bench, record.id, record.system_prompt, evidence, untrained=untrained)
    write_page(project, folder)
    found = newest_verdict(project, record.id)
    assert found is not None
    return _show_evaluation(project, found[1], as_json)


def _show_evaluation(project: Project, result: Verdict, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from rung.report.verdict_words import TITLES, sentences

    if as_json:
        return emit(result.model_dump(mode="json"))
    first, second = sentences(result)
    say(f"{TITLES[result.verdict]}  {first}")
    say(f"{' ' * len(TITLES[result.verdict])}  {second}")
    say(f"Report: {project.evaluations.name}/{result.id}/report.html")
    say()
    say(f"Next: rung verdict {result.run}")
    return None


def _power(project: Project, settings: Settings, as_json: bool) -> None:
    from curation.manifest import read_manifest
    from evaluation.bench import frozen_test
    from evaluation.looks import standing
    from evaluation.power import power_of
    from rung.cli.output import emit, say
    from rung.report.power_words import lines

    folder, test = frozen_test(project)
    plan = standing(project, settings, read_manifest(folder).splits["test"].sha256)
    table = power_of(len(test), settings.evaluation.margin, plan.confidence)
    if as_json:
        return emit(table.as_json())
    for line in lines(table):
        say(line)
    return None


def _finished(project: Project, run: str | None) -> RunRecord:
    """The run to measure, its weights unchanged since they were saved."""
    from training.record import find_run, newest_run
    from workspace.errors import Refusal
    from workspace.files import sha256_file

    record = find_run(project, run) if run else newest_run(project)
    if record is None:
        raise Refusal("No finished run to measure.", "rung train")
    if record.state != "finished" or not record.files:
        where = f"at step {record.step} of {record.steps}"
        raise Refusal(f"{record.id} is {record.state}, {where}.", f"rung runs watch {record.id}")
    folder = project.runs / record.adapter
    changed = [n for n, digest in record.files.items() if not _is_same(folder / n, digest, sha256_file)]
    if changed:
        raise Refusal(f"{record.id}: {', '.join(changed)} changed since the run saved it.", "rung train")
    return record


def _is_same(path: Path, digest: str, hashed: Callable[[Path], str]) -> bool:
    return path.is_file() and hashed(path) == digest


def _open_tuned(project: Project, settings: Settings, record: RunRecord) -> ChatModel:
    """The run's base with its adapter, or the whole model that a full run saved."""
    folder = project.runs / record.adapter
    base = str(folder) if record.method == "full" else record.base
    model = settings.model.model_copy(update={"base": base, "provider": "local"})
    return _open(project, settings.model_copy(update={"model": model}), None if record.method == "full" else folder)


def _open_untrained(project: Project, settings: Settings, record: RunRecord) -> ChatModel:
    """The run's base as it was before training."""
    model = settings.model.model_copy(update={"base": record.base, "provider": "local"})
    return _open(project, settings.model_copy(update={"model": model}))


def _project() -> tuple[Project, Settings]:
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    return project, load_settings(project.settings_file)


def _open(project: Project, settings: Settings, adapter: Path | None = None) -> ChatModel:
    from chat.open import open_model
    from chat.privacy import project_guard
    from rung.cli.output import ProgressLine

    return open_model(
        settings.model,
        guard=project_guard(project, settings),
        adapter=adapter,
        batch=settings.evaluation.batch,
        progress=ProgressLine("loading the model"),
    )


def _watch(what: str) -> Any:
    from rung.cli.output import ProgressLine
    from rung.report.figures import arm_name

    name, comma, rest = what.partition(",")
    return ProgressLine(f"{arm_name(name)}{comma}{rest}")
