"""`rung questions`, `rung advise` and `rung rules`: the questionnaire, the advice, and the rules behind it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Json, at_most_one, check_html, day
from rung.cli.output import ProgressLine, emit, note, say, show
from rung.status.following import after_advice
from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.files import is_refused
from workspace.folder import find_project, require_project
from workspace.json_types import JsonObject
from workspace.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.answers import Answers, FactValues
    from advisor.decision import Decision
    from advisor.rulebook import Rulebook
    from workspace.folder import Project
    from workspace.settings import Settings


rules_app = typer.Typer(help="The rules behind the advice: check, refresh, list, show.", no_args_is_help=True)


def questions(as_json: Json = False) -> None:
    """Show every question with its answers."""
    from advisor.interview import sheet
    from rung.text.rules_text import text_lines

    book = _rulebook()
    show(as_json, sheet(book), text_lines(book))


def advise(
    answers: Annotated[str, typer.Option("--answers", help="A TOML or JSON file, or - for standard input.")] = "",
    save: Annotated[bool, typer.Option("--save", help="With --answers: write answers.toml and decision.json.")] = False,
    as_of: Annotated[str, typer.Option("--as-of", help="Date at which sources and prices must be valid.")] = "",
    as_json: Json = False,
    set_answers: Annotated[
        list[str] | None,
        typer.Option("--set", help="Record an answer in answers.toml: key=value (unknown removes it)."),
    ] = None,
    what_if: Annotated[
        list[str] | None, typer.Option("--what-if", help="Try an answer without recording it: key=value.")
    ] = None,
    diff: Annotated[Path | None, typer.Option("--diff", help="Compare with an older decision.")] = None,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Check decision.json against today's rules, prices and models.")
    ] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write a report to FILE.html.")] = None,
    logs: Annotated[
        list[Path] | None, typer.Option("--logs", help="Request logs: advise on each workload in them instead.")
    ] = None,
) -> None:
    """Recommend the next step and the likely end, with reasons."""
    from advisor.answer_file import record_said
    from advisor.decide import decide

    at_most_one({"--recheck": recheck, "--diff": diff, "--report": report})
    at_most_one({"--recheck": recheck, "--diff": diff, "--save": save})
    at_most_one({"--recheck": recheck, "--report" if report else "--save": report or save, "--what-if": what_if})
    if logs:
        at_most_one({"--logs": True, "--answers": answers, "--set": set_answers, "--what-if": what_if,
                     "--recheck": recheck, "--diff": diff, "--report": report, "--save": save})  # fmt: skip
        return _advise_on_logs(logs, day("--as-of", as_of), as_json)
    at_most_one({"--set": set_answers, "--answers": answers})
    said = _parsed(set_answers or [], "--set")
    project = require_project() if said else find_project()
    today = day("--as-of", as_of)
    older = _older(project, diff, recheck)
    check_html(report, "--report")
    given = _answers_given(answers, project, as_json, said)
    book = _rulebook(project if not answers or save else None)
    tried = given.with_changes(**_parsed(what_if or [], "--what-if", given))
    if project and not answers:
        given, tried = _judged(project, given), _judged(project, tried)
    decision = decide(book, tried, today)
    if said and project:
        record_said(project.answers_file, said, load_settings(project.settings_file).project.person)
    if older is not None:
        _compare(older, decision, project if recheck else None, as_json)
    elif what_if:
        more = {"decision": decision.model_dump(mode="json", by_alias=True)}
        _differ(decide(book, given, today), decision, ("Now", "Then"), as_json, more)
    else:
        if report is not None:
            from rung.report.advice import page_values
            from rung.report.page import write_html

            write_html(report, "advice.html", page_values(decision, tried, book))
            note(f"Report: {report}")
        if save or (not answers and project):
            decision = _write(project, tried, decision, new_answers=bool(answers))
        _print(decision, as_json, project)


def _advise_on_logs(logs: Sequence[Path], today: date, as_json: bool) -> None:
    """Print the workloads of these logs; nothing is written, and no model is asked."""
    from rung.text.monitoring_text import workload_lines
    from training.monitoring.log_import import read_logs
    from training.monitoring.requests import join
    from training.monitoring.workloads import workloads

    project = find_project()
    book = _rulebook(project)
    read = read_logs(logs, keep_rejects=True, progress=ProgressLine("Reading"))
    joined = join(read.parts)
    found = workloads(joined.requests, book, today, project.root / "rules" / "prices.toml" if project else None)
    aside = len(joined.aside) + len(read.rejects)
    document = {
        "lines": read.lines,
        "calls": len(joined.requests),
        "aside": aside,
        "workloads": [each.as_json() for each in found],
        "as_of": today.isoformat(),
    }
    show(as_json, document, workload_lines(found, len(joined.requests), aside))


def _answers_given(source: str, project: Project | None, as_json: bool, said: Mapping[str, Any]) -> Answers:
    """Return the answers of the named file, else the project's and those `said`, else from the questions screen.

    Nothing that is said is written here. Raises RungError if there are no answers, and none were given on a screen.
    """
    from advisor.answer_file import answers_at, load_answers, with_said
    from rung.tui import run_program

    if source:
        return load_answers(source)
    if project and (said or project.answers_file.exists()):
        before = answers_at(project.answers_file)
        return with_said(before, said, "") if said else before
    hint = "rung advise --answers FILE --save (rung questions lists the keys)"
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or as_json:
        raise RungError("No answers yet, and no terminal to ask questions on.", hint, where="answers.toml")
    if project is None:
        raise RungError("No Rung project here to keep answers in.", f"rung init, or {hint}", where="answers.toml")

    run_program(project.root, first=1)
    if not project.answers_file.exists():
        raise RungError("No answers yet.", hint, where="answers.toml")
    return load_answers(project.answers_file)


def _parsed(changes: list[str], option: str, answers: Answers | None = None) -> FactValues:
    """Return the values of `key=value` after an option.

    Raises InputError with all faults, among them where they would contradict each other in `answers`.
    """
    from advisor.answer_file import parse_value
    from advisor.answers import FACTS, contradictions

    problems: list[Problem] = []
    values: FactValues = {}
    for change in changes:
        key, equals, raw = (part.strip() for part in change.partition("="))
        if key not in FACTS or not equals:
            hint = did_you_mean(key, FACTS)
            problems.append(Problem(f'"{change}" is not key=value with a known key.{hint}', where=option, found=key))
            continue
        try:
            values[key] = parse_value(FACTS[key], raw)
        except InputError as error:
            problems += [replace(problem, where=option) for problem in error.problems]
    if answers is not None:
        problems += [Problem(text, where=option) for _, text in contradictions(answers.with_changes(**values))]
    if problems:
        raise InputError(problems, "rung questions")
    return values


def _older(project: Project | None, diff: Path | None, recheck: bool) -> Decision | None:
    """Return the advice that is compared with: a file, or with `recheck` the project's own."""
    from advisor.decision import Decision
    from workspace.artefact import read_artefact

    if recheck:
        diff = (project or require_project()).decision_file
        if not diff.exists():
            raise RungError(f"{diff.name}: no advice was written yet.", "rung advise")
    return read_artefact(diff, Decision) if diff is not None else None


def _print(decision: Decision, as_json: bool, project: Project | None) -> None:
    if as_json:
        midnight = datetime.combine(decision.as_of, time(), UTC)
        stamped = decision.model_copy(update={"created_at": midnight, "made_from": {}})
        emit(stamped.model_dump(mode="json", by_alias=True))
        return
    from evaluation.measured_answers import unjudged
    from rung.status.stages import after_advice_of, read_status
    from rung.text.baseline_text import answer
    from rung.text.decision_text import advice_lines

    if project is not None and (report := unjudged(project, load_settings(project.settings_file))):
        say(f"{answer(report)}\n")
    status = read_status(project) if project else None
    is_given = status is not None and status.stage("Advice").state == "done"
    onward = after_advice_of(decision.next_step).command if is_given else "rung status"
    for line in advice_lines(decision, after_advice(status.command if status else "", onward)):
        say(line)


def _compare(older: Decision, decision: Decision, project: Project | None, as_json: bool) -> None:
    """Print what changed; in a project also whether its own decision still holds."""
    if project is not None:
        recheck_decision(project, older, decision, as_json)
    else:
        _differ(older, decision, ("Before", "Now"), as_json, {})


def _judged(project: Project, answers: Answers) -> Answers:
    from evaluation.measured_answers import with_judged

    return with_judged(project, load_settings(project.settings_file), answers)


def _rulebook(project: Project | None = None) -> Rulebook:
    """Return the rulebook, with the project's own rules, whose settings must be right."""
    from advisor.rulefiles import load_rulebook

    if project:
        load_settings(project.settings_file)
    return load_rulebook(project.root / "rules" if project else None)


def _write(project: Project | None, answers: Answers, decision: Decision, *, new_answers: bool) -> Decision:
    """Write answers.toml (where they are new) and decision.json with what it was made from.

    Where nothing may be written the advice is given all the same, unless answers were to be kept.
    """
    from advisor.answer_file import save_answers
    from advisor.decision import write_decision
    from evaluation.measured_answers import judge_again, page_to_write

    project = project or require_project()
    settings = load_settings(project.settings_file)
    if new_answers:
        save_answers(project.answers_file, answers)
    try:
        judge_again(project, settings)
        if folder := page_to_write(project, settings):
            from rung.report.evaluation import write_page

            write_page(project, folder)
        return write_decision(project, decision)
    except OSError as error:
        if new_answers or not is_refused(error):
            raise
        note(f"! {project.decision_file.name} was not written: {error.strerror}. This advice is not saved.")
        return decision


def _differ(before: Decision, after: Decision, names: tuple[str, str], as_json: bool, more: JsonObject) -> None:
    """Print the difference between two decisions of these names; `more` is added to the JSON document."""
    from rung.text.decision_text import difference, difference_lines

    found = difference(before, after)
    show(as_json, {**found, **more}, difference_lines(found, *names))


@rules_app.command("check")
def rules_check(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of rules (default: the built-in and the project's).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the rules: ids, answers, sources, contradictions, expired sources."""
    from advisor.rulefiles import load_rulebook
    from rung.text.rules_text import check_lines, check_report

    if folder is not None and not folder.is_dir():
        what = "a file" if folder.exists() else "no such folder"
        raise RungError(f"{folder}: {what}, expected a folder of rules.", "rung rules check FOLDER", where=str(folder))
    project = find_project()
    book = load_rulebook(folder or (project.root / "rules" if project else None))
    report = check_report(book, date.today())
    show(as_json, report, check_lines(report))


@rules_app.command("refresh")
def rules_refresh(
    as_of: Annotated[str, typer.Option("--as-of", help="The day that counts (default: today).")] = "",
    as_json: Json = False,
) -> None:
    """List the entries past their date: sources, models, prices, providers. Exit code 1 if there is any."""
    from advisor.dated_tables import over_date
    from rung.text.rules_text import over_lines, over_report

    day_of = day("--as-of", as_of)
    over = over_date(day_of)
    show(as_json, over_report(over, day_of), over_lines(over, day_of))
    if over:
        raise typer.Exit(1)


@rules_app.command("list")
def rules_list(as_json: Json = False) -> None:
    """List the rules with their reasons."""
    from rung.text.rules_text import list_lines, rule_document

    book = _rulebook(find_project())
    show(as_json, [rule_document(book, rule) for rule in book.rules], list_lines(book.rules))


@rules_app.command("show")
def rules_show(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="A rule, a source or an answer's key.")],
    as_json: Json = False,
) -> None:
    """Show one rule with its sources, or the rules that a question's answer opens."""
    from rung.text.rules_text import explain, explain_lines

    document = explain(_rulebook(find_project()), rule_id, date.today())
    show(as_json, document, explain_lines(document))


def recheck_decision(project: Project, before: Decision, after: Decision, as_json: bool) -> None:
    """Exit 0 if the decision still holds, 1 for other advice, an ended model, or prices that change what pays."""
    from advisor.decision import recheck
    from rung.text.decision_text import difference, difference_lines, shift_json

    models = models_in_use(project, load_settings(project.settings_file), after)
    findings = list(map(shift_json, recheck(before, after, models, after.as_of, project.root / "rules")))
    found, holds = difference(before, after), all(finding["holds"] for finding in findings)
    lines = [f"The decision of {before.as_of} {'is still valid' if holds else 'is no longer valid'} on {after.as_of}."]
    for finding in findings:
        way = f"  -> {finding['do']}" if finding["do"] else ""
        lines.append(f"{'!' if finding['holds'] else '✗'} {finding['text']}{way}")
    document = {**found, "holds": holds, "findings": findings}
    show(as_json, document, [*lines, *difference_lines(found, "Written", "Now")])
    if not holds:
        raise typer.Exit(1)


def models_in_use(project: Project, settings: Settings, decision: Decision) -> dict[str, str]:
    """Hosted models that the project counts on, by what they are for, each model once."""
    from training.release.releases import current_release

    found: dict[str, str] = {}
    if settings.model.provider != "local":
        found[settings.model.base] = "[model] base"
    released = current_release(project)
    if released is not None and released[1].base:
        found.setdefault(released[1].base, f"release {released[1].id}")
    incumbent = decision.answers.get("incumbent_model")
    if isinstance(incumbent, str):
        found.setdefault(incumbent, "the answer incumbent_model")
    return {use: name for name, use in found.items()}
