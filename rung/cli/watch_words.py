"""What the commands of `rung watch` say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.words import counted

if TYPE_CHECKING:
    from curation.formats.rows import Reject
    from training.watch.learn import Learnt
    from training.watch.record import Import


def imported_lines(made: Import | None, rejects: Sequence[Reject], place: Path | None) -> Iterator[str]:
    """What became of each line of the logs."""
    if made is None:
        yield "Nothing new: these files were imported before."
        yield "\nNext: rung watch report"
        return
    yield _requests(made)
    yield (
        f"  {counted(made.lines, 'line')}: {counted(made.requests, 'request')}, {made.joined:,} joined to one, "
        f"{made.feedback:,} later feedback, {made.aside:,} set aside, {made.rejected:,} rejected, {made.empty:,} empty"
    )
    if made.sample < 1:
        beyond = f"; {made.beyond_sample:,} more were rated, edited or failed" if made.beyond_sample else ""
        yield f"  sample {made.sample:.2%} by seed {made.seed}{beyond}"
    if made.masked:
        yield "  masked: " + ", ".join(f"{count:,} [{kind}]" for kind, count in made.masked.items())
    yield from _judged(made)
    if made.said_again:
        were = "was" if made.said_again == 1 else "were"
        yield f"  {made.said_again:,} of the known requests {were} rated, edited or commented on since"
    yield from _strange(made, rejects, place)
    yield f"\nNext: {'rung watch report' if made.release else 'rung release --to prompt'}"


def _requests(made: Import) -> str:
    known = f" + {made.known:,} known before" if made.known else ""
    drawn = f" + {made.not_drawn:,} not drawn" if made.not_drawn else ""
    after = f", to release {made.release}" if made.release else "; nothing is released yet"
    return f"{made.id}: {counted(made.requests, 'request')} = {made.kept:,} kept{drawn}{known}{after}"


def _judged(made: Import) -> Iterator[str]:
    if made.rated or made.edited or made.failed:
        yield f"  {made.rated:,} rated, {made.edited:,} edited, {made.failed:,} failed"
    if made.scale:
        yield f"  ratings read as {made.scale[0]:g} (worst) to {made.scale[1]:g} (best)"
    if made.scores_unread:
        yield f"  scores that no person gave are no ratings: {_listed(made.scores_unread)}"
    if made.ratings_unclear:
        yield f"! ratings that cannot be read: {_listed(made.ratings_unclear)}"


def _listed(table: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in table.items())


def _strange(made: Import, rejects: Sequence[Reject], place: Path | None) -> Iterator[str]:
    for why, count in made.why_aside.items():
        yield f"! {counted(count, 'line')} set aside: {why}"
    if rejects:
        head = rejects[0]
        yield (
            f"! {len(rejects):,} of {counted(made.lines, 'line')} could not be read; see {place}, with reasons. "
            f"First: line {head.line}, {head.reason}"
        )
    if made.out_of_order:
        stand = "stands" if made.out_of_order == 1 else "stand"
        yield f"! {counted(made.out_of_order, 'request')} {stand} earlier in time than the line before; time decides."
    if made.without_time:
        has = "has" if made.without_time == 1 else "have"
        yield (
            f"! {counted(made.without_time, 'request')} {has} no time that can be read; each stands behind the line "
            "before it."
        )


def learnt_lines(done: Learnt) -> Iterator[str]:
    """What became of the requests."""
    from training.watch.origins import STALE_HINT, stale_words

    queued, out = len(done.queued), done.rejected.total()
    yield f"{counted(done.looked_at, 'request')} = {queued:,} queued for review + {out:,} kept out"
    if done.why:
        yield "  queued: " + ", ".join(f"{count:,} {why}" for why, count in done.why.most_common())
    if done.rejected:
        yield "  kept out: " + ", ".join(f"{count:,} {why}" for why, count in done.rejected.most_common())
        yield "  each with its reason in watch/not_learnt.jsonl"
    if done.known:
        yield f"  {done.known:,} {'was' if done.known == 1 else 'were'} handled before"
    for name, why in done.stale.items() if done.of_stale else ():
        yield f"! {stale_words(name, why)} Its requests wait: {STALE_HINT.format(name=name)}"
    if done.left:
        yield f"  {done.left:,} more {'waits' if done.left == 1 else 'wait'}: the same command again, or --count"
    yield f"\nNext: {'rung review next' if queued else 'rung watch import LOGS'}"
