"""Commands of the group `review` for whoever leads it: a review again."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import emit, say
from rung.cli.review.review_group import Reviewer, desk_here, person_of, review_app
from workspace.counted import counted


@review_app.command("again")
def again_command(
    word: Annotated[
        list[str] | None,
        typer.Option("--word", metavar="WORD", help="Word to search for (default: the changed words)."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row decided under an older guideline.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the rows; change nothing.")] = False,
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Send rows affected by a guideline change back to review. The review gate is closed until they are decided."""
    from curation.review.guideline import review_again, touched_rows

    with desk_here() as desk:
        found = touched_rows(desk, chosen=word or (), everything=everything)
        change = None if dry_run or not found.rows else review_again(desk, found, actor=person_of(desk, by))
    if as_json:
        emit({"guideline": found.version, "older": found.older, "words": list(found.words),
              "rows": {name: list(hits) for name, hits in found.rows.items()}, "change": change})  # fmt: skip
        return
    older = f"{counted(found.older, 'row')} decided under an older version"
    say(f"Guideline v{found.version}: {older}, {len(found.rows):,} affected.")
    say(f"  words: {', '.join(found.words[:20]) or 'none'}{' ...' if len(found.words) > 20 else ''}")
    for name, hits in list(found.rows.items())[:10]:
        say(f"  {name}  {', '.join(hits[:8])}")
    if len(found.rows) > 10:
        say(f"  and {len(found.rows) - 10:,} more")
    if change is not None:
        say(f"They are in the review queue again (change {change}; rung data undo reverses it).")
        say("\nNext: rung review next")
