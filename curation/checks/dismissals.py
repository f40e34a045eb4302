"""State before another check: dismissed findings, rows in review, and the last check."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence

from curation.checks.base import DataFinding, LastCheck
from curation.store import Event, Store
from curation.store.reading import data_mark, read_fact, revision
from curation.store.records import number_of
from curation.store.writing import keep_fact
from workspace.errors import RungError

KEY = "checked"
IN_REVIEW = "in review"
"""State of a finding whose rows all wait for reviewers."""
KEPT = 200
"""Pairs that are kept of a check."""


Settled = Mapping[str, Sequence[frozenset[str]]]
"""Sets of rows that were dismissed together, by finding: a pair each, or all rows of a finding (older versions)."""


NOTHING: Settled = {}
Moment = tuple[tuple[int, ...], tuple[int, ...]]
"""`revision` and `data_mark` of a store."""


def settled_pairs(sets: Sequence[frozenset[str]]) -> Callable[[str, str], bool]:
    """Return whether two rows were dismissed as a pair: one row of a pair alone says nothing of its other pairs."""
    pairs = {each for each in sets if len(each) == 2}
    larger = [each for each in sets if len(each) > 2]
    return lambda one, other: (pair := frozenset((one, other))) in pairs or any(pair <= each for each in larger)


def dismissals(store: Store) -> dict[str, list[frozenset[str]]]:
    """Return what was dismissed and not taken back, by finding: sets of rows, or pairs where it is about pairs."""
    settled: dict[str, list[frozenset[str]]] = {}
    for event in standing_dismissals(store):
        sets = event.detail.get("pairs") or [event.detail.get("rows", ())]
        settled.setdefault(event.ref, []).extend(map(frozenset, sets))
    return settled


def unsettled(finding: DataFinding, settled: Settled) -> DataFinding | None:
    """Return the finding without the rows that were dismissed; None if nothing is left of it."""
    sets = settled.get(finding.name, ())
    if any(not rows for rows in sets):
        return None
    gone = frozenset().union(*sets)
    ids = tuple(name for name in finding.ids if name not in gone)
    if not sets or len(ids) == len(finding.ids):
        return finding
    evidence = tuple(e for e in finding.evidence if not any(name in gone for name in e.rows))
    rows = finding.rows - (len(finding.ids) - len(ids))
    return finding.changed(ids=ids, evidence=evidence, rows=rows) if rows > 0 and ids else None


def standing_dismissals(store: Store) -> list[Event]:
    """Return dismissals that were not taken back, in order."""
    void = {event.ref for event in store.events(kind="undismiss")}
    return [event for event in store.events(kind="dismiss") if str(event.id) not in void]


def marked_in_review(
    finding: DataFinding, waiting: Collection[int], sent: Mapping[str, Collection[str]]
) -> DataFinding:
    """Return the finding, marked "in review" if all its rows were sent to review for it and still wait."""
    if finding.action != "queue" or not finding.ids:
        return finding
    mine = sent.get(finding.name, ())
    all_sent = all(name in mine and number_of(name) in waiting for name in finding.ids)
    return finding.changed(what_to_do=IN_REVIEW) if all_sent else finding


def sent_by_finding(store: Store) -> dict[str, set[str]]:
    """Return the rows that were sent to review, by finding."""
    sent: dict[str, set[str]] = {}
    for change in store.changes(kind="queue"):
        sent.setdefault(change.finding, set()).update(change.rows)
    return sent


def moment_of(store: Store) -> Moment:
    """Return what tells a later state of the store from this one."""
    with store.read() as connection:
        return revision(connection), data_mark(connection)


def keep_check(store: Store, before: Moment, blocking: Sequence[DataFinding]) -> None:
    """Keep which findings block, with pairs of rows that contradict each other; `before` is what was stored as the
    check began.

    A store that cannot be written now forgets nothing by that: it is what a new check would say again.
    """
    pairs = next((finding.pairs for finding in blocking if finding.name == "contradictions"), ())
    in_review = sum(finding.what_to_do == IN_REVIEW for finding in blocking)
    revision, mark = before
    kept = {"revision": revision, "blocking": len(blocking), "in_review": in_review, "contradictions": pairs[:KEPT]}
    with store.read() as connection:
        known = read_fact(connection, KEY)
    found = json.dumps({**kept, "data": mark} if blocking else {"data": mark})
    if store.is_read_only or found == known:
        return
    with contextlib.suppress(RungError), store.write() as connection:
        keep_fact(connection, KEY, found)


def last_check(store: Store) -> LastCheck:
    """Return the last check.

    Where rows were decided since, `blocking` is 1 if it found a contradiction of which both rows were approved
    meanwhile, for that still blocks; else it is 0, which is unknown, and old if anything blocked outside the review.
    """
    with store.read() as connection:
        kept = json.loads(read_fact(connection, KEY) or "{}")
        is_old = kept.get("data") != list(data_mark(connection))
        # the revision reads every row: only where something was found
        if "revision" not in kept or kept["revision"] == list(revision(connection)):
            return LastCheck(is_old, int(kept.get("blocking", 0)), int(kept.get("in_review", 0)))
    both = _both_approved(store, kept.get("contradictions", ()))
    may_block = not both and kept["blocking"] > kept.get("in_review", 0)
    return LastCheck(is_old or may_block, int(both))


def _both_approved(store: Store, pairs: Sequence[Sequence[str]]) -> bool:
    """True if both rows of one of these pairs were approved as they are, and nobody dismissed the pair."""
    if not pairs:
        return False
    is_settled = settled_pairs(dismissals(store).get("contradictions", ()))
    stored = {row.id: row for row in store.rows(ids=sorted({name for pair in pairs for name in pair}))}
    approved = {name for name, row in stored.items() if row.state == "approved" and row.excluded is None}
    return any(set(pair) <= approved and not is_settled(*pair) for pair in pairs)
