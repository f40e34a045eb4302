"""Commands of the group `review` for whoever leads it: known items, a review again, economics, a judge's score."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.options import Json
from rung.cli.output import ProgressLine, emit, note, say
from rung.cli.review import Reviewer, desk_here, person_of, review_app
from workspace.words import counted

gold_app = typer.Typer(help="Known items, mixed in among the others.", rich_markup_mode=None, no_args_is_help=True)
review_app.add_typer(gold_app, name="gold")

Ids = Annotated[list[str], typer.Argument(metavar="ID...")]


@gold_app.command("add")
def gold_add(
    rows: Annotated[list[str] | None, typer.Argument(metavar="ID...")] = None,
    decided_by: Annotated[str, typer.Option(metavar="NAME", help="All rows that this person decided.")] = "",
    count: Annotated[int, typer.Option(metavar="N", help="Of those N, drawn by seed; 0: all.")] = 0,
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Make decided rows known items: others get them as they first came, and what they say never counts for the row."""
    from curation.review.gold import add_gold, decided_rows
    from workspace.errors import RungError

    with desk_here() as desk:
        names = list(rows or [])
        if decided_by:
            names += decided_rows(desk.store, decided_by, count, desk.settings.dataset.seed)
        if not names:
            raise RungError("No rows are named.", "rung review gold add ID..., or --decided-by NAME")
        added = add_gold(desk.store, names, actor=person_of(desk, by))
        share = desk.settings.review.gold
    if as_json:
        emit({"added": added})
        return
    say(f"{counted(len(added), 'known item')} more.")
    if not share:
        say("They are mixed in once [review] gold says how often (0.05: one in twenty), or entry asks for a test.")
    say("\nNext: rung review gold list")


@gold_app.command("end")
def gold_end(rows: Ids, by: Reviewer = "", as_json: Json = False) -> None:
    """Take rows out of the known items. What was answered stays counted."""
    from curation.review.gold import end_gold

    with desk_here() as desk:
        ended = end_gold(desk.store, rows, actor=person_of(desk, by))
    if as_json:
        emit({"ended": ended})
    else:
        say(f"{counted(len(ended), 'known item')} fewer.")


@gold_app.command("list")
def gold_list(as_json: Json = False) -> None:
    """Known items with what is right, and who missed how many. For the lead's eyes: it tells the answers."""
    from dataclasses import asdict

    from curation.review.gold import known_by_person, known_items

    with desk_here() as desk:
        items, people = known_items(desk.store), known_by_person(desk.store)
        policy = desk.settings.review
    if as_json:
        emit({"share": policy.gold, "items": [asdict(i) for i in items], "reviewers": [asdict(p) for p in people]})
        return
    entry = f", {policy.entry} before the queue opens to a new reviewer" if policy.entry else ""
    say(f"{counted(len(items), 'known item')}, mixed in {policy.gold:.0%} of the time{entry}")
    for item in items:
        missed = f"   missed by {item.missed} of {item.answered}" if item.answered else ""
        say(f"  {item.row}  {item.verdict}{' to ' + item.answer[:60] if item.answer else ''}   by {item.actor}{missed}")
    for person in people:
        say(f"{person.reviewer}: {person.right:,} of {person.answered:,} right, {person.missed:,} missed")


@review_app.command("again")
def again_command(
    word: Annotated[
        list[str] | None, typer.Option("--word", metavar="WORD", help="In place of the changed words.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row decided under an older guideline.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which rows, change nothing.")] = False,
    by: Reviewer = "",
    as_json: Json = False,
) -> None:
    """Send back to review what the new guideline touches: while such a row is open, the review gate is closed."""
    from curation.review.again import review_again, touched_rows

    with desk_here() as desk:
        found = touched_rows(desk, chosen=word or (), everything=everything)
        change = None if dry_run or not found.rows else review_again(desk, found, actor=person_of(desk, by))
    if as_json:
        emit({"guideline": found.version, "older": found.older, "words": list(found.words),
              "rows": {name: list(hits) for name, hits in found.rows.items()}, "change": change})  # fmt: skip
        return
    older = f"{counted(found.older, 'row')} decided under an older one"
    say(f"Guideline v{found.version}: {older}, {len(found.rows):,} touched.")
    say(f"  words: {', '.join(found.words[:20]) or 'none'}{' ...' if len(found.words) > 20 else ''}")
    for name, hits in list(found.rows.items())[:10]:
        say(f"  {name}  {', '.join(hits[:8])}")
    if len(found.rows) > 10:
        say(f"  and {len(found.rows) - 10:,} more")
    if change is not None:
        say(f"They wait for review again (change {change}; rung data undo takes it back).")
        say("\nNext: rung review next")


@review_app.command("economics")
def economics_command(as_json: Json = False) -> None:
    """Pace, acceptance, edits, cost of an accepted row, hours to the goal, and whether more rows are worth it."""
    from curation.review.economics import economics
    from rung.report.review_words import economics_words

    with desk_here() as desk:
        found = economics(desk)
    if as_json:
        emit(found.to_json())
        return
    say("Economics of the review")
    for label, words in economics_words(found):
        say(f"  {label:<22}{words}")


@review_app.command("score")
def score_command(
    count: Annotated[int, typer.Option("--count", min=0, help="At most so many rows; 0: all that wait.")] = 0,
    provider: Annotated[str, typer.Option(help="local, anthropic or openai (any compatible server).")] = "",
    model: Annotated[str, typer.Option(help="Model id, hub id or folder, instead of [model] base.")] = "",
    base_url: Annotated[str, typer.Option(help="Address of a compatible server.")] = "",
    budget_usd: Annotated[float | None, typer.Option(min=0, help="The most that this run may spend.")] = None,
    override: Annotated[str, typer.Option(help="privacy: against the privacy answer, with --by and --reason.")] = "",
    by: Annotated[str, typer.Option(help="Who overrides.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Let a model say how likely each waiting row is right. It orders the queue, nothing else."""
    from curation.generate.scoring import score_rows
    from rung.cli.generate import named_model, open_named
    from rung.cli.models import overridden

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
        cost = f"${found.cost_usd:.4f}" if found.cost_usd is not None else "cost unknown (no dated price)"
        calls = counted(found.asked, "call")
        say(f"{counted(len(found.queued), 'row')} scored by {found.model}: {calls}, {found.seconds:.1f} s, {cost}")
        if found.reused:
            say(f"  {found.reused:,} had a score of this model already")
        if found.stopped:
            note(f"! stopped: {found.stopped}. What came is kept.")
        if order != "uncertainty":
            say('  they order the queue with [review] order = "uncertainty"')
        say("\nNext: rung review next")
    if found.stopped == "interrupted":
        raise typer.Exit(130)
