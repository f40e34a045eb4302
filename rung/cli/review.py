"""Commands of the group `review`: the queue for scripts, and what opens it on a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Json, Unmask
from rung.cli.output import emit, note, say
from workspace.errors import RungError
from workspace.files import read_utf8
from workspace.words import counted

if TYPE_CHECKING:
    from curation.review import Desk, Item

review_app = typer.Typer(help="Review rows: on a screen, in a browser, or by script.", rich_markup_mode=None)

Reviewer = Annotated[str, typer.Option("--reviewer", metavar="NAME", help="Who reviews.")]
Automatic = Annotated[
    bool, typer.Option("--automatic", help="The reviewer is a program; it never counts as expert review.")
]


def register(app: typer.Typer) -> None:
    """Add `rung review` and its commands."""
    from rung.cli import review_files, review_lead, serve  # noqa: F401  (they add their commands to review_app)

    app.add_typer(review_app, name="review")


@review_app.callback(invoke_without_command=True)
def review(
    context: typer.Context,
    reviewer: Reviewer = "",
) -> None:
    """Open the review screen; without a terminal print how the review stands."""
    if context.invoked_subcommand is None and not open_screen(reviewer):
        status(as_json=False)


def open_screen(reviewer: str) -> bool:
    """Open the review screen. False where there is no terminal."""
    import sys

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    from rung.tui.app import open_review

    open_review(reviewer)
    return True


@review_app.command("next")
def next_command(
    reviewer: Reviewer = "",
    as_json: Json = False,
    automatic: Automatic = False,
    row: str = typer.Option("", "--row"),
    unmask: Unmask = False,
) -> None:
    """Lease the next row and show it with its token. Personal data is masked; --json gives the row as it is."""
    from curation.review import next_item

    with desk_here() as desk:
        turn = next_item(desk, person_of(desk, reviewer), kind="automatic" if automatic else "person", want=row or None)
        if as_json:
            emit(turn.item.to_json() if turn.item else {"id": None, "waiting": turn.waiting})
        elif turn.item is None:
            waiting = f"{counted(turn.waiting, 'row')} wait{'s' if turn.waiting == 1 else ''}"
            say(f"Nothing waits for you; {waiting} for others." if turn.waiting else _empty())
        else:
            _show(desk, person_of(desk, reviewer), turn.item, unmask)


@review_app.command("decide")
def decide_command(
    row: Annotated[str, typer.Argument(metavar="ID")],
    verdict: Annotated[str, typer.Argument(metavar="approve|reject|edit|skip|unsure|flag")],
    token: Annotated[str, typer.Option("--token", metavar="T", help="The token that `next` gave.")],
    reviewer: Reviewer = "",
    text_file: Annotated[Path | None, typer.Option("--text-file", metavar="F", help="The new answer.")] = None,
    row_file: Annotated[Path | None, typer.Option("--row-file", metavar="F", help="The whole row as JSON.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="CODE", help="Number or words of a reason.")] = "",
    remark: Annotated[str, typer.Option("--remark", metavar="TEXT", help="For the team.")] = "",
    as_json: Json = False,
    automatic: Automatic = False,
) -> None:
    """Decide a leased row. A token that is over changes nothing (exit 1)."""
    from curation.review import Ruling, decide
    from curation.review.reasons import reason_of, reasons_now

    text = read_utf8(text_file, newline="") if text_file else None
    whole = _row(row_file) if row_file else None
    with desk_here() as desk:
        ruling = Ruling(verdict, text, whole, reason_of(reason, reasons_now(desk)), remark)
        kind = "automatic" if automatic else "person"
        made = decide(desk, row, token, person_of(desk, reviewer), ruling, kind=kind)  # type: ignore[arg-type]
    if as_json:
        emit(
            {"id": made.id, "state": made.state, "decision": made.decision} | ({"note": made.note} if made.note else {})
        )
        return
    say(f"{made.id} is {made.state}.")
    if made.note:
        say(made.note)


@review_app.command("undo")
def undo_command(
    row: Annotated[str, typer.Argument(metavar="ID")], reviewer: Reviewer = "", as_json: Json = False
) -> None:
    """Take back your decision on a row, by a new entry in the log."""
    from curation.review import undo

    with desk_here() as desk:
        made = undo(desk, row, person_of(desk, reviewer))
    if as_json:
        emit({"id": made.id, "state": made.state, "decision": made.decision})
    else:
        say(f"{made.id} is {made.state} again.")


@review_app.command("status")
def status(as_json: Json = False) -> None:
    """How the review stands: states, people, pace, samples, agreement."""
    from curation.review import progress
    from rung.report.review_words import lines

    with desk_here() as desk:
        found = progress(desk)
        if desk.store.is_read_only:
            note("! Nothing can be written here: the queue is as it was left, whatever rung.toml asks for since.")
    if as_json:
        emit(found.to_json())
        return
    for line in lines(found):
        say(line)


@review_app.command("reopen")
def reopen_command(
    rows: Annotated[list[str], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT")] = "reopened",
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Send decided rows to review again: the old decisions stay in the log and count no longer."""
    rows = list(dict.fromkeys(rows))
    with desk_here() as desk:
        gone = [row for each in rows if (row := desk.store.row(each)).excluded is not None]
        if gone:
            said = "\n".join(f"{row.id} was taken out ({row.excluded}): nobody would be given it." for row in gone)
            raise RungError(said, f"rung why {gone[0].id}, or leave it out")
        change = desk.store.queue(rows, reason, "reopened", actor=person_of(desk, by))
    if as_json:
        emit({"rows": rows, "change": change})
        return
    say(f"{counted(len(rows), 'row')} to review again (change {change}; rung data undo takes it back).")
    say("\nNext: rung review next")


@review_app.command("sample")
def sample_command(
    role: Annotated[str, typer.Option("--as", metavar="pool|train|validation|test")] = "pool",
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """After a sample that failed: draw a new one on fresh rows, at half the error."""
    from curation.review import draw_again

    with desk_here() as desk:
        plan = draw_again(desk.store, desk.settings, role, actor=person_of(desk, by))
    if as_json:
        drawn = {"size": plan.size, "population": plan.population, "error": plan.error} if plan else None
        emit({"role": role, "sample": drawn})
    if plan is None:
        if not as_json:
            say(f"No {role} rows are left that were not in a sample.")
        raise typer.Exit(1)
    if as_json:
        return
    say(f"{plan.size:,} of {plan.population:,} fresh {role} rows are queued, to show under {plan.error:.1%} faults.")
    say("\nNext: rung review next")


@review_app.command("invite")
def invite_command(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[str, typer.Option("--role", metavar="reviewer|adjudicator|lead")] = "reviewer",
    days: Annotated[float, typer.Option("--days", metavar="N")] = 14,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the link at once.")] = False,
    base: Annotated[str, typer.Option("--base", metavar="URL", help="Where the page is served.")] = "",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Into a file for you alone, not on the screen.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a personal link to the review page. Only a hash of its token is stored."""
    from curation.review import invite
    from curation.review import revoke as revoke_link
    from rung.web.serve import link_base
    from workspace.files import check_outputs, write_private

    check_outputs(out)
    with desk_here() as desk:
        if revoke:
            revoke_link(desk.store, name, actor=desk.settings.project.person)
            told = f"The link of {name} has ended. What {name} decided is kept."
            emit({"name": name, "revoked": True}) if as_json else say(told)
            return
        token = invite(desk.store, name, role=role, days=days, actor=desk.settings.project.person)
        web = desk.settings.web
    link = f"{base.rstrip('/') or link_base(web, web.port)}/enter/{token}"
    if out is not None:
        write_private(out, f"{link}\n")
    if as_json:
        emit({"name": name, "role": role, "days": days, **({"file": str(out)} if out else {"link": link})})
    else:
        say(link if out is None else f"The link of {name} is in {out}, which only you can read.")


def desk_here() -> Any:
    """The desk of the project here, as a context that closes its store."""
    import contextlib

    from curation.review import open_desk
    from workspace.folder import require_project
    from workspace.settings import load_settings

    @contextlib.contextmanager
    def opened() -> Any:
        project = require_project()
        desk = open_desk(project, load_settings(project.settings_file))
        with desk.store:
            yield desk

    return opened()


def person_of(desk: Desk, reviewer: str) -> str:
    """Who reviews: as named, or rung.toml's person."""
    return reviewer or desk.settings.project.person


def _row(path: Path) -> Any:
    from curation.review.edits import parse_row

    return parse_row(read_utf8(path, newline="").encode(), str(path))


def _empty() -> str:
    return "Nothing to review.  Next: rung data generate --count N, or rung data freeze"


def _show(desk: Desk, person: str, item: Item, unmask: bool) -> None:
    from curation.review.masked import hidden_words, log_unmasked, veiled

    veil = veiled(item)
    if unmask and veil.found:
        log_unmasked(desk, person, item, veil.found)
    _say_item(item if unmask else veil.item)
    if veil.found:
        hidden = hidden_words(veil.found)
        say(f"\nShown as it is: {hidden}" if unmask else f"\nHidden: {hidden}; --unmask shows them, the log tells it")
    say(f"\nkept for you until {item.until}")
    say(f"Next: rung review decide {item.id} approve --token {item.token}")


def _say_item(item: Item) -> None:
    say(f"{item.id}   {item.role}, from {item.source or item.origin}   item {item.decided + 1:,} of {item.total:,}")
    for message in item.messages:
        say(f"\n{message.get('role')}\n  " + str(message.get("content")).replace("\n", "\n  "))
    if not item.messages:
        say("\n  " + str(item.row.get("text", "")))
    if item.findings:
        say("\nLook at this")
    for finding in item.findings:
        say(f"  ! {finding['text']}")
    if item.guideline:
        say(f"\nGuideline v{item.guideline.version}: guideline.md")
