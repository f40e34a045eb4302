"""Commands of the group `review` for whoever leads it: a review again, a judge's score."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.options import By, Json, Reason
from rung.cli.output import ProgressLine, emit, note, say
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


@review_app.command("score")
def score_command(
    count: Annotated[int, typer.Option("--count", min=0, help="Maximum number of rows; 0: all that wait.")] = 0,
    provider: Annotated[str, typer.Option(help="local, anthropic or openai (any compatible server).")] = "",
    model: Annotated[str, typer.Option(help="Model id, hub id or folder, instead of [model] base.")] = "",
    base_url: Annotated[str, typer.Option(help="Address of a compatible server.")] = "",
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Spending limit for this run, in USD.")] = None,
    override: Annotated[
        str, typer.Option(help="privacy: send rows despite the privacy answer; needs --by and --reason.")
    ] = "",
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Let a model score how likely each waiting row is right. The score only orders the queue."""
    from curation.generate.scoring import score_rows
    from rung.cli.data.generate import named_model, open_named
    from rung.cli.models import overridden
    from rung.text.figures import money

    with desk_here() as desk:
        named = named_model(desk.settings, provider, model, base_url)
        allowed = overridden(desk.project, desk.settings, override, by, reason, "review score")
        opened = open_named(desk.project, desk.settings, named, allowed)
        found = score_rows(
            desk.project, desk.settings, desk.store, opened,
            count=count, budget_usd=budget_usd, progress=ProgressLine("Scores"),
        )  # fmt: skip
        order = desk.settings.review.order
    if as_json:
        emit({**found.to_json(), "scored": len(found.queued)})
    else:
        cost = money(found.cost_usd, 4) if found.cost_usd is not None else "cost unknown (no dated price)"
        calls = counted(found.asked, "call")
        say(f"{counted(len(found.queued), 'row')} scored by {found.model}: {calls}, {found.seconds:.1f} s, {cost}")
        if found.reused:
            say(f"  {found.reused:,} already had a score from this model")
        if found.stopped:
            note(f"! stopped: {found.stopped}. The scores so far are kept.")
        if order != "uncertainty":
            say('  To order the queue by score: [review] order = "uncertainty"')
        say("\nNext: rung review next")
    if found.stopped == "interrupted":
        raise typer.Exit(130)
