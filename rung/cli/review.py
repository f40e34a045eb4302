"""Commands of the group `review`: the queue for scripts, for the lead, in files, on a screen and in a browser."""

from __future__ import annotations

import contextlib
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Json, Unmask
from rung.cli.output import new_folders, note, show
from rung.status.following import ITEM, OWN_ROWS, REVIEW, after
from workspace.counted import counted
from workspace.errors import RungError
from workspace.files import check_outputs, read_utf8, write_private
from workspace.folder import require_project
from workspace.settings import Settings, WebSettings, load_settings, opened_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from curation.review import Desk, ReviewItem
    from curation.review.item import Veil
    from curation.review.service import NextItem

review_app = typer.Typer(help="Review rows: on a screen, in a browser, or by script.", rich_markup_mode=None)

Reviewer = Annotated[str, typer.Option("--reviewer", metavar="NAME", help="Name of the reviewer.")]
Automatic = Annotated[
    bool, typer.Option("--automatic", help="The reviewer is a program; it never counts as expert review.")
]


@contextlib.contextmanager
def desk_here() -> Iterator[Desk]:
    """Open the desk of the project here; its store is closed after the block."""
    from curation.review import open_desk

    desk = open_desk(*opened_project())
    with desk.store:
        yield desk


def person_of(desk: Desk, reviewer: str) -> str:
    """Return the reviewer's name, by default rung.toml's person."""
    return reviewer or desk.settings.project.person


@review_app.callback(invoke_without_command=True)
def review(
    context: typer.Context,
    reviewer: Reviewer = "",
) -> None:
    """Open the review screen; without a terminal print the review progress."""
    if context.invoked_subcommand is not None:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        from rung.tui.app import open_review

        open_review(reviewer)
    else:
        status(as_json=False)


@review_app.command("next")
def next_command(
    reviewer: Reviewer = "",
    as_json: Json = False,
    automatic: Automatic = False,
    row: Annotated[str, typer.Option("--row", metavar="ID", help="This row, e.g. r-000012, if it is free.")] = "",
    unmask: Unmask = False,
) -> None:
    """Take the next row, reserved for you, and show it with its token. Personal data is masked, in --json too."""
    from curation.review import next_item
    from curation.review.item import kinds_of, log_unmasked, veiled

    with desk_here() as desk:
        person = person_of(desk, reviewer)
        turn = next_item(desk, person, kind="automatic" if automatic else "person", want=row or None)
        if turn.item is None:
            mine = {"mine": list(turn.mine)} if turn.mine else {}
            show(as_json, {"id": None, "waiting": turn.waiting} | mine, _nothing(turn))
            return
        veil = veiled(turn.item)
        if unmask and (found := veil.found | veil.unseen if as_json else veil.found):
            log_unmasked(desk, person, turn.item, found)
    item = turn.item if unmask else veil.item
    document = {**item.to_json(), "hidden": {} if unmask else kinds_of(veil.found)}
    show(as_json, document, _item_lines(item, veil, unmask))


@review_app.command("decide")
def decide_command(
    row: Annotated[str, typer.Argument(metavar="ID", help="The row, e.g. r-000012.")],
    verdict: Annotated[str, typer.Argument(metavar="approve|reject|edit|skip|unsure|flag", help="The decision.")],
    token: Annotated[str, typer.Option("--token", metavar="T", help="The token that `next` gave.")],
    reviewer: Reviewer = "",
    text_file: Annotated[Path | None, typer.Option("--text-file", metavar="F", help="The new answer.")] = None,
    row_file: Annotated[Path | None, typer.Option("--row-file", metavar="F", help="The whole row as JSON.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="CODE", help="Number or words of a reason.")] = "",
    remark: Annotated[str, typer.Option("--remark", metavar="TEXT", help="Remark for the team.")] = "",
    as_json: Json = False,
    automatic: Automatic = False,
) -> None:
    """Decide a row that `next` gave you. An expired token changes nothing (exit 1)."""
    from curation.review import Ruling, decide
    from curation.review.guideline import reason_of, reasons_now
    from curation.review.ruling import parse_row
    from rung.text.review_text import failed_text

    text = read_utf8(text_file, newline="") if text_file else None
    whole = parse_row(read_utf8(row_file, newline="").encode(), str(row_file)) if row_file else None
    with desk_here() as desk:
        ruling = Ruling(verdict, text, whole, reason_of(reason, reasons_now(desk)), remark)
        kind = "automatic" if automatic else "person"
        made = decide(desk, row, token, person_of(desk, reviewer), ruling, kind=kind)  # type: ignore[arg-type]
    document = {"id": made.id, "state": made.state, "decision": made.decision}
    note_of = {"note": failed_text(made.failed, made.role)} if made.failed else {}
    show(as_json, document | note_of, [f"{made.id} is {made.state}.", *note_of.values()])


@review_app.command("undo")
def undo_command(
    row: Annotated[str, typer.Argument(metavar="ID", help="The row.")], reviewer: Reviewer = "", as_json: Json = False
) -> None:
    """Undo your decision on a row. The log keeps both entries."""
    from curation.review import undo

    with desk_here() as desk:
        made = undo(desk, row, person_of(desk, reviewer))
    document = {"id": made.id, "state": made.state, "decision": made.decision}
    show(as_json, document, [f"{made.id} is {made.state} again."])


@review_app.command("status")
def status(as_json: Json = False) -> None:
    """Show review progress: states, people, pace, samples, agreement."""
    from curation.review import progress
    from rung.status.stages import next_step
    from rung.text.review_text import lines

    with desk_here() as desk:
        found = progress(desk)
        if desk.store.is_read_only:
            note("! The store is read-only: the queue does not reflect later changes of rung.toml.")
    show(as_json, found.to_json(), lines(found, next_step(require_project())))


@review_app.command("reopen")
def reopen_command(
    rows: Annotated[list[str], typer.Argument(metavar="ID...", help="The rows, e.g. r-000012.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "reopened",
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Send decided rows to review again. The old decisions stay in the log but no longer count."""
    rows = list(dict.fromkeys(rows))
    with desk_here() as desk:
        gone = [row for each in rows if (row := desk.store.row(each)).excluded is not None]
        if gone:
            said = "\n".join(f"{row.id} was taken out ({row.excluded}), so it cannot be reviewed." for row in gone)
            raise RungError(said, f"rung why {gone[0].id}, or leave it out")
        change = desk.store.queue(rows, reason, "reopened", actor=person_of(desk, by))
    told = f"{counted(len(rows), 'row')} to review again (change {change}; rung data undo reverses it)."
    show(as_json, {"rows": rows, "change": change}, [told, "", f"Next: {REVIEW}"])


@review_app.command("sample")
def sample_command(
    role: Annotated[str, typer.Option("--as", metavar="pool|train|validation|test", help="Role of the rows.")] = "pool",
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Draw a new review sample after one failed: fresh rows, enough to show half the error rate."""
    from curation.review import draw_again

    with desk_here() as desk:
        plan = draw_again(desk.store, desk.settings, role, actor=person_of(desk, by))
    if plan is None:
        show(as_json, {"role": role, "sample": None}, [f"Every {role} row has been in a sample already."])
        raise typer.Exit(1)
    drawn = {"size": plan.size, "population": plan.population, "error": plan.error}
    told = f"{plan.size:,} of {plan.population:,} fresh {role} rows are queued, to show under {plan.error:.1%} errors."
    show(as_json, {"role": role, "sample": drawn}, [told, "", f"Next: {REVIEW}"])


@review_app.command("invite")
def invite_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the person.")],
    role: Annotated[str, typer.Option("--role", metavar="reviewer|adjudicator|lead", help="Role.")] = "reviewer",
    days: Annotated[float, typer.Option("--days", metavar="N", help="Days until the link expires.")] = 14,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the link at once.")] = False,
    base: Annotated[str, typer.Option("--base", metavar="URL", help="Address of the review page.")] = "",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write the link to a file that only you can read."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a personal link to the review page. Only a hash of its token is stored."""
    from curation.review import invite
    from curation.review import revoke as revoke_link
    from rung.web.serve import link_base

    check_outputs(out)
    with desk_here() as desk:
        if revoke:
            revoke_link(desk.store, name, actor=desk.settings.project.person)
            told = f"The link of {name} is revoked. The decisions of {name} are kept."
            return show(as_json, {"name": name, "revoked": True}, [told])
        token = invite(desk.store, name, role=role, days=days, actor=desk.settings.project.person)
        web = desk.settings.web
    link = f"{base.rstrip('/') or link_base(web, web.port)}/enter/{token}"
    if out is not None:
        write_private(out, f"{link}\n")
    where = {"file": str(out)} if out else {"link": link}
    told = f"The link of {name} is in {out}, readable only by you." if out else link
    return show(as_json, {"name": name, "role": role, "days": days, **where}, [told])


def _nothing(turn: NextItem) -> Iterator[str]:
    """Yield the reason why no row comes, and the next steps."""
    from rung.status.stages import next_step

    if not turn.waiting:
        yield f"Nothing to review.  Next: {next_step(require_project())}"
        return
    said = f"You are done; {counted(turn.waiting, 'row')} wait{'s' if turn.waiting == 1 else ''} for others."
    if turn.mine:
        some = ", ".join(turn.mine[:5]) + (f" and {len(turn.mine) - 5:,} more" if len(turn.mine) > 5 else "")
        yield f"{said} You decided {some} already, or marked it as not sure: a second person must decide."
        yield f"\nNext: {after(OWN_ROWS, row=turn.mine[0])}"
    else:
        yield said


def _item_lines(item: ReviewItem, veil: Veil, unmask: bool) -> Iterator[str]:
    from curation.review.item import hidden_words
    from rung.text.review_text import item_lines

    yield from item_lines(item)
    if hidden := hidden_words(veil.found):
        hint = "--unmask shows them and is recorded in the log"
        yield f"\nShown unmasked: {hidden}" if unmask else f"\nHidden: {hidden}; {hint}"
    yield f"\nReserved for you until {item.until}"
    yield f"Next: {after(ITEM, row=item.id, token=item.token)}"


@review_app.command("export")
def export_command(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="A .jsonl or .csv file.")],
    assign: Annotated[str, typer.Option("--assign", metavar="NAME", help="Name of the reviewer of these rows.")] = "",
    count: Annotated[int, typer.Option("--count", metavar="N", min=0, help="Maximum number of rows; 0: all.")] = 0,
    as_json: Json = False,
) -> None:
    """Write waiting rows to a file, for decisions by mail or in git; `rung review import` reads it back."""
    from curation.review.exchange import export_rows

    check_outputs(out)
    with desk_here() as desk, new_folders(out):
        written = export_rows(desk, out, assign=assign, count=count)
    told = f"{counted(written, 'row')} in {out}. Fill in decision, text and reason, then: rung review import {out}"
    show(as_json, {"rows": written, "file": str(out)}, [told])


@review_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The filled file.")],
    reviewer: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Import decisions from a file. Conflicts are listed and change nothing."""
    from curation.review.exchange import import_decisions

    with desk_here() as desk:
        found = import_decisions(desk, file, reviewer=reviewer)
    told = f"{counted(found.decided, 'decision')} imported, {counted(found.open, 'row')} still open."
    lines = [told, *(f"! {conflict}" for conflict in found.conflicts)]
    show(as_json, {"decided": found.decided, "open": found.open, "conflicts": list(found.conflicts)}, lines)
    if found.conflicts:
        raise typer.Exit(1)


def _agree_to_all(rows: int, as_json: bool) -> None:
    """Ask on a terminal before every older decision stops counting. Raises RungError where nobody can answer."""
    asked = f"{counted(rows, 'row')} would be reviewed again"
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = "rung review again --word WORD, or --yes for all of them"
        raise RungError(
            f"{asked}. Nothing was changed.", hint, where="--word", expected="--word or --yes", found=str(rows)
        )
    typer.confirm(f"{asked}. Continue?", abort=True, err=True)


@review_app.command("again")
def again_command(
    word: Annotated[
        list[str] | None,
        typer.Option("--word", metavar="WORD", help="Only rows that hold this word; may be given more than once."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--yes", "-y", "--all", help="Without --word: all these rows, and do not ask.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the rows; change nothing.")] = False,
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Send rows decided under an older guideline back to review. The review gate is closed until they are decided."""
    from curation.review.guideline import review_again, touched_rows
    from rung.text.review_text import touched_lines

    with desk_here() as desk:
        found = touched_rows(desk, word or ())
        if not (word or everything or dry_run):
            _agree_to_all(len(found.rows), as_json)
        change = None if dry_run or not found.rows else review_again(desk, found, actor=person_of(desk, by))
    document = {"guideline": found.version, "older": found.older, "words": list(found.words),
                "rows": {name: list(hits) for name, hits in found.rows.items()}, "change": change}  # fmt: skip
    show(as_json, document, touched_lines(found, change))


@review_app.command("serve")
def serve_command(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "",
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="0: a free port.", min=0, max=65535)] = None,
    login: Annotated[str, typer.Option("--login", metavar="link|proxy|none", help="How people sign in.")] = "",
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Public address, behind a proxy.")] = "",
    as_json: Json = False,
) -> None:
    """Serve the review page to browsers, by default on this machine only. --json prints the address, then serves."""
    from workspace.extras import require

    for module in ("uvicorn", "starlette"):
        require("web", module)
    given: dict[str, Any] = {"host": host, "login": login, "url": url, "port": port}
    desk = _served({key: value for key, value in given.items() if value not in ("", None)})
    with desk.store:
        desk.store.check_writable()
        _serve(desk, as_json)


def _served(given: dict[str, Any]) -> Desk:
    """Return the desk of the project here, with the flags on top of `[web]`."""
    from pydantic import ValidationError

    from curation.review import open_desk

    project, settings = opened_project()
    try:
        web = WebSettings.model_validate({**settings.web.model_dump(), **given})
    except ValidationError as error:
        detail = error.errors()[0]
        raise RungError(
            f"--{detail['loc'][0]} {detail['input']}: {detail['msg']}.", "rung review serve --help"
        ) from error
    return open_desk(project, Settings.model_validate({**settings.model_dump(), "web": web}))


def _serve(desk: Desk, as_json: bool) -> None:
    from rung.start import guideline_is_untouched
    from rung.web.serve import bind, check_login, server

    check_login(desk)
    opened = bind(desk.settings.web)
    own = secrets.token_urlsafe(32) if desk.settings.web.login == "link" else ""
    _tell(desk, opened.getsockname()[1], own, as_json)
    if guideline_is_untouched(desk.project):
        note("! guideline.md is still the template: describe there what a right answer is; reviewers see it")
    sys.stdout.flush()
    try:
        server(desk, own).run(sockets=[opened])
    except KeyboardInterrupt:
        pass
    finally:
        opened.close()
    note("The review page is closed. All decisions are saved.")


def _tell(desk: Desk, port: int, own: str, as_json: bool) -> None:
    """Print the address of the page before serving it, and the link of the person who starts it (token `own`)."""
    from rung.web.serve import address_of, link_base, reached

    web = desk.settings.web
    base, written = link_base(web, port), load_settings(desk.project.settings_file).web
    option = f" --base {base}" if base != link_base(written, written.port) else ""
    invite = f"rung review invite NAME{option}" if web.login != "none" else None
    link = f"{base}/enter/{own}" if own else None
    told = {"address": address_of(web, port), "port": port, "login": web.login, "url": web.url or None}
    show(as_json, {**told, "link": link, "invite": invite}, reached(web, port, link, invite))
