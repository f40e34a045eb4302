"""Commands of the group `advise`: the questionnaire, the advice, and the rules behind it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Json, at_most_one, day
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

    at_most_one({"--json": as_json, "--format": form != "text"})
    if form not in ("text", "markdown"):
        text = f'--format "{form}" is not known; text or markdown.'
        raise RungError(text, "rung questions --format markdown", where="--format", found=form)
    book = _rulebook()
    if as_json:
        emit(sheet(book))
        return
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
    from rung.cli.answering import answers_given, changed, said_on_the_line, write_said
    from workspace.folder import require_project

    _check_together(recheck, diff, report, save, what_if)
    said = said_on_the_line(set_answers or [], answers)
    project = require_project() if said else _project()
    today = day("--as-of", as_of) if as_of else date.today()
    older = _older(project, diff, recheck)
    _check_report(report)
    given = answers_given(answers, project, as_json, said)
    book = _rulebook(project if not answers or save else None)
    tried = changed(given, what_if or [])
    decision = decide(book, tried, today)
    if said and project:
        write_said(project, said)
    if older is not None:
        _compare(older, decision, project if recheck else None, as_json)
    elif what_if:
        _what_if(decide(book, given, today), decision, as_json)
    else:
        _report(report, decision, tried, book)
        if save or (not answers and project):
            decision = _write(project, tried, decision, new_answers=bool(answers))
        _print(decision, as_json, project)


def _check_together(
    recheck: bool, diff: Path | None, report: Path | None, save: bool, what_if: list[str] | None
) -> None:
    """Raise RungError for options of which one would be passed over in silence."""
    asked = {"--recheck": recheck, "--diff": diff is not None, "--report": report is not None, "--save": save}
    ways = [name for name, there in asked.items() if there]
    clash = [*ways, "--what-if"] if what_if and ways and ways != ["--diff"] else ways
    if len(clash) > 1 and clash != ["--report", "--save"]:
        raise RungError(f"{' and '.join(clash)} cannot be had together.", "take one of them", where=clash[0])


def _older(project: Project | None, diff: Path | None, recheck: bool) -> Decision | None:
    """The advice that is compared with: a file, or with `recheck` the project's own."""
    from advisor.decision import Decision
    from workspace.artefact import read_artefact
    from workspace.folder import require_project

    if recheck:
        diff = (project or require_project()).decision_file
        if not diff.exists():
            raise RungError(f"{diff.name}: no advice was written yet.", "rung advise")
    return read_artefact(diff, Decision) if diff is not None else None


def _compare(older: Decision, decision: Decision, project: Project | None, as_json: bool) -> None:
    """What changed; with a project whether its own decision still holds."""
    if project is not None:
        from rung.cli.recheck import recheck_decision

        recheck_decision(project, older, decision, as_json)
    else:
        _differ(older, decision, ("Before", "Now"), as_json, {})


def _check_report(report: Path | None) -> None:
    if report is not None:
        from rung.report.advice import check_report

        check_report(report)


def _report(report: Path | None, decision: Decision, answers: Answers, book: Rulebook) -> None:
    if report is not None:
        from rung.report.advice import write_report

        write_report(report, decision, answers, book)
        note(f"Report: {report}")


def _print(decision: Decision, as_json: bool, project: Project | None) -> None:
    if as_json:
        stamped = decision.model_copy(update={"created_at": _midnight(decision.as_of), "made_from": {}})
        emit(stamped.model_dump(mode="json", by_alias=True))
        return
    from rung.report.advice_words import advice_lines

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


def _write(project: Project | None, answers: Answers, decision: Decision, *, new_answers: bool) -> Decision:
    """Write answers.toml (where they are new) and decision.json with what it was made from.

    Where nothing may be written the advice is given all the same, unless answers were to be kept.
    """
    from advisor.project import write_decision
    from advisor.recording import save_answers
    from workspace.files import is_refused
    from workspace.folder import require_project

    project = project or require_project()
    if new_answers:
        save_answers(project.answers_file, answers)
    try:
        return write_decision(project, decision)
    except OSError as error:
        if new_answers or not is_refused(error):
            raise
        note(f"! {project.decision_file.name} is not written, this advice is not kept: {error.strerror}.")
        return decision


def _what_if(before: Decision, after: Decision, as_json: bool) -> None:
    decision = {"decision": after.model_dump(mode="json", by_alias=True)}
    _differ(before, after, ("Now", "Then"), as_json, decision)


def _differ(before: Decision, after: Decision, names: tuple[str, str], as_json: bool, more: dict[str, Any]) -> None:
    """What differs between two decisions of these names; `more` stands beside it in the document."""
    from rung.cli.advice_diff import difference, difference_lines

    found = difference(before, after)
    if as_json:
        emit({**found, **more})
        return
    for line in difference_lines(found, *names):
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
    from rung.report.rules_words import check_lines, check_report

    if folder is not None and not folder.is_dir():
        what = "a file" if folder.exists() else "no such folder"
        raise RungError(f"{folder}: {what}, expected a folder of rules.", "rung rules check FOLDER", where=str(folder))
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
    from advisor.rulebook import FIELDS
    from rung.report.rules_words import list_lines, rule_document
    from workspace.errors import did_you_mean

    book = _rulebook(_project())
    rules = [rule for rule in book.rules if not kind or rule.kind == kind]
    if not rules:
        kinds = sorted({rule.kind for rule in book.rules}, key=list(FIELDS).index)
        text = f'No rule is of the kind "{kind}".{did_you_mean(kind, kinds)} Kinds: {", ".join(kinds)}.'
        raise RungError(text, "rung rules list", where="--kind", expected=", ".join(kinds), found=kind)
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
    from rung.report.rules_words import explain, explain_lines

    document = explain(_rulebook(_project()), rule_id, date.today())
    if as_json:
        emit(document)
        return
    for line in explain_lines(document):
        say(line)
