"""Commands of the group `advise`: the questionnaire, the advice, and the rules behind it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import emit, note, say
from workspace.errors import RungError

if TYPE_CHECKING:
    from advisor.answers import Answers
    from advisor.decision import Decision
    from advisor.rulebook import Rulebook
    from workspace.folder import Project

rules_app = typer.Typer(help="The rules behind the advice: check, list, show.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `questions`, `advise` and `rules`."""
    app.command("questions")(questions)
    app.command("advise")(advise)
    app.add_typer(rules_app, name="rules")


def questions(
    as_json: Json = False,
    form: Annotated[str, typer.Option("--format", help="text or markdown: a sheet to print.")] = "text",
) -> None:
    """Show every question with its answers."""
    from advisor.interview import sheet
    from rung.cli.sheet import markdown_lines, text_lines

    book = _rulebook()
    if as_json:
        emit(sheet(book))
        return
    if form not in ("text", "markdown"):
        raise RungError(f'--format "{form}" is not known; text or markdown.', where="--format", found=form)
    for line in markdown_lines(book) if form == "markdown" else text_lines(book):
        say(line)


def advise(
    answers: Annotated[str, typer.Option("--answers", help="A TOML or JSON file, or - for standard input.")] = "",
    save: Annotated[bool, typer.Option("--save", help="With --answers: write answers.toml and decision.json.")] = False,
    as_of: Annotated[str, typer.Option("--as-of", help="The date by which sources and prices expire.")] = "",
    as_json: Json = False,
    set_answers: Annotated[
        list[str] | None, typer.Option("--set", help="key=value: answer this in answers.toml; unknown takes it back.")
    ] = None,
    what_if: Annotated[list[str] | None, typer.Option("--what-if", help="key=value: try another answer.")] = None,
    diff: Annotated[Path | None, typer.Option("--diff", help="An older decision: say what changed.")] = None,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Does decision.json still hold by today's rules, prices, models?")
    ] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write a page: FILE.html or FILE.md.")] = None,
) -> None:
    """Say what to do next, where it will probably end, and why."""
    from advisor.decide import decide
    from rung.cli.answering import answers_given, changed, set_said

    project, day = _project(), _day(as_of)
    if set_answers:
        set_said(set_answers, answers)
    given = answers_given(answers, project, as_json)
    book = _rulebook(project if not answers or save else None)
    tried = changed(given, what_if or [])
    decision = decide(book, tried, day)
    if recheck:
        from rung.cli.recheck import recheck_decision

        recheck_decision(project, decision, as_json)
        return
    if diff is not None:
        _diff(diff, decision, as_json)
        return
    if what_if:
        _what_if(decide(book, given, day), decision, as_json)
        return
    if report is not None:
        from rung.report.advice import write_report

        write_report(report, decision, tried, book)
        note(f"Report: {report}")
    if save or (not answers and project):
        decision = _write(project, tried, decision, new_answers=bool(answers))
    _print(decision, as_json, project)


def _print(decision: Decision, as_json: bool, project: Project | None) -> None:
    if as_json:
        stamped = decision.model_copy(update={"created_at": _midnight(decision.as_of), "made_from": {}})
        emit(stamped.model_dump(mode="json", by_alias=True))
        return
    from rung.cli.advice_words import advice_lines

    for line in advice_lines(decision, _next_command(decision, project)):
        say(line)


def _next_command(decision: Decision, project: Project | None) -> str:
    if project is None:
        return "rung init"
    if decision.action.name == "keep":
        return "rung release --to prompt"
    return "rung status" if project.database_file.exists() else "rung data import FILE"


def _midnight(day: date) -> datetime:
    from datetime import UTC, time

    return datetime.combine(day, time(), UTC)


def _project() -> Project | None:
    from workspace.folder import find_project

    return find_project()


def _rulebook(project: Project | None = None) -> Rulebook:
    """The rulebook, with the project's own rules, whose settings must be right."""
    from advisor.rulebook import load_rulebook
    from workspace.settings import load_settings

    if project:
        load_settings(project.settings_file)
    return load_rulebook(project.root / "rules" if project else None)


def _day(text: str) -> date:
    if not text:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RungError(
            f'--as-of "{text}" is not a date.', where="--as-of", expected="a date like 2026-11-25", found=text
        ) from error


def _write(project: Project | None, answers: Answers, decision: Decision, *, new_answers: bool) -> Decision:
    """Write answers.toml (where they are new) and decision.json with what it was made from."""
    from advisor.project import write_decision
    from advisor.recording import save_answers
    from workspace.folder import require_project

    project = project or require_project()
    if new_answers:
        save_answers(project.answers_file, answers)
    return write_decision(project, decision)


def _what_if(before: Decision, after: Decision, as_json: bool) -> None:
    from rung.cli.advice_diff import difference, difference_lines

    found = difference(before, after)
    if as_json:
        emit({**found, "decision": after.model_dump(mode="json", by_alias=True)})
        return
    for line in difference_lines(found, "Now", "Then"):
        say(line)


def _diff(path: Path, after: Decision, as_json: bool) -> None:
    from advisor.decision import Decision
    from rung.cli.advice_diff import difference, difference_lines
    from workspace.artefact import read_artefact

    found = difference(read_artefact(path, Decision), after)
    if as_json:
        emit(found)
        return
    for line in difference_lines(found, "Before", "Now"):
        say(line)


@rules_app.command("check")
def rules_check(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of rules; else the built-in and the project's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the rules: ids, answers, sources, contradictions, expired sources."""
    from advisor.rulebook import load_rulebook
    from rung.cli.rules_words import check_lines, check_report

    project = _project()
    book = load_rulebook(folder or (project.root / "rules" if project else None))
    report = check_report(book, date.today())
    if as_json:
        emit(report)
        return
    for line in check_lines(report):
        say(line)


@rules_app.command("list")
def rules_list(
    kind: Annotated[str, typer.Option("--kind", help="Only this kind: need, veto, gate ...")] = "",
    as_json: Json = False,
) -> None:
    """List the rules with their reasons."""
    from rung.cli.rules_words import list_lines, rule_document

    book = _rulebook(_project())
    rules = [rule for rule in book.rules if not kind or rule.kind == kind]
    if not rules:
        raise RungError(f'No rule of the kind "{kind}".', "rung rules list", found=kind)
    if as_json:
        emit([rule_document(book, rule) for rule in rules])
        return
    for line in list_lines(rules):
        say(line)


@rules_app.command("show")
def rules_show(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="A rule, a source or an answer's key.")],
    as_json: Json = False,
) -> None:
    """Show one rule with its sources, or the rules that a question's answer opens."""
    from rung.cli.rules_words import explain, explain_lines

    document = explain(_rulebook(_project()), rule_id, date.today())
    if as_json:
        emit(document)
        return
    for line in explain_lines(document):
        say(line)
