"""Actions on a finding: fix, dismiss, undo. Each can be undone and is in the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.checks.base import Checkup, DataFinding, leak_counts
from curation.checks.dismissals import standing_dismissals
from curation.review.queue import refresh_queue
from curation.split.manifest import read_manifest
from curation.store import Event, Store
from curation.store.records import row_id
from curation.store.waiting_rows import is_begun
from curation.store.writing import covers_others, decided_rows, delete_source, find_source, plans_of
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

CONTRADICTIONS = "contradictions"
PAIRED = frozenset({"leaks", "left_duplicates"})
"""Findings whose fix takes out rows of pairs: of these a second look can find more."""
CheckAgain = Callable[[frozenset[str]], Checkup]
"""Checks the project as if these rows were out."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Result of a fix, or (`change` None) of its preview."""

    finding: str
    action: str
    rows: tuple[str, ...]
    change: int | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Other counts of a finding that was fixed as a whole: of leaks the pairs and test items."""

    def words(self) -> str:
        """Return the fix as one sentence."""
        if not self.rows:
            return f"{self.finding}: nothing to fix."
        count = counted(len(self.rows), "row")
        done = {"exclude": f"{count} taken out", "queue": f"{count} sent to review"}[self.action]
        more = f" ({leak_counts(self.detail)})" if "test_items" in self.detail else ""
        return f"{self.finding}: {'' if self.change is not None else 'would be '}{done}{more}."


@dataclass(slots=True)
class _Order:
    """Target of a fix: the rows and pairs of a finding, over all rounds."""

    finding: DataFinding
    rows: dict[str, None]
    pairs: dict[tuple[str, str], None]

    def detail(self) -> Mapping[str, Any]:
        """Return the finding's counts; of leaks those of all rounds."""
        if "test_items" not in self.finding.detail:
            return self.finding.detail
        test_items = len({test for _, test in self.pairs})
        return {"pairs": len(self.pairs), "test_items": test_items, "train_rows": len(self.rows)}


def fix(
    store: Store,
    checkup: Checkup,
    names: Sequence[str] = (),
    *,
    actor: str,
    again: CheckAgain | None = None,
    dry_run: bool = False,
) -> list[Fixed]:
    """Do what the findings' fixes say, undone together; without names, that of every finding with a fix.

    A name is a finding's, or `finding:key` for one piece of its evidence. Raises RungError before anything is done
    where a name is unknown or has no fix. What a check did not find is fixed already. With fewer rows a phrase is
    rarer, so that a second look can find more pairs: `again` checks without the rows that would be out, until a round
    takes out none.
    """
    wanted = list(names) or fixable(checkup)
    orders = {name: None if checkup.found_nothing(name) else _order(checkup, name) for name in wanted}
    if again and (not names or PAIRED.intersection(names)):
        _look_again(orders, again, everything=not names)
    done: list[Fixed] = []
    for name, order in orders.items():
        if order is None:
            done.append(Fixed(name, "", (), None))
            continue
        finding, ids, change = order.finding, list(order.rows), None
        if not dry_run and ids:
            do = store.exclude if finding.action == "exclude" else store.queue
            change = do(ids, finding.title.lower(), finding.name, actor=actor)
        done.append(
            Fixed(finding.name, finding.action or "", tuple(ids), change, {} if ":" in name else order.detail())
        )
    made = [each.change for each in done if each.change is not None]
    if len(made) > 1:
        store.event("fix", actor, f"change-{made[-1]}", {"changes": made})
    return done


def _look_again(orders: dict[str, _Order | None], again: CheckAgain, *, everything: bool) -> None:
    """Add to the orders what is found without the rows they take out, until they take out no more."""
    known: frozenset[str] = frozenset()
    while (out := _taken_out(orders)) != known:
        known, checkup = out, again(out)
        for name in fixable(checkup) if everything else [each for each in orders if each in PAIRED]:
            if checkup.found_nothing(name):
                continue
            more = _order(checkup, name)
            order = orders.get(name)
            if order is None:
                orders[name] = more
            else:
                order.rows.update(more.rows)
                order.pairs.update(more.pairs)


def _taken_out(orders: Mapping[str, _Order | None]) -> frozenset[str]:
    return frozenset(
        row for order in orders.values() if order and order.finding.action == "exclude" for row in order.rows
    )


def settle(store: Store, checkup: Checkup, keep: Sequence[str], *, actor: str, dry_run: bool = False) -> Fixed:
    """Settle contradictions: of each pair with a row of `keep`, take the other row out, as this person's decision.

    Raises RungError for a row that contradicts none, or where both rows of a pair are to be kept.
    """
    finding = None if checkup.found_nothing(CONTRADICTIONS) else checkup.named(CONTRADICTIONS)
    pairs = [frozenset(pair) for pair in finding.pairs] if finding else []
    kept = frozenset(keep)
    if unknown := sorted(kept.difference(*pairs)):
        raise RungError(f"{unknown[0]} contradicts no other row.", f"rung data check --show {CONTRADICTIONS}")
    if both := next((pair for pair in pairs if pair <= kept), None):
        raise RungError(f"{' and '.join(sorted(both))} contradict each other.", "keep one of them")
    out = sorted({row for pair in pairs if pair & kept for row in pair - kept})
    reason = f"Contradicts {', '.join(sorted(kept)[:3])}{' and others' if len(kept) > 3 else ''}, kept by {actor}."
    change = store.exclude(out, reason, CONTRADICTIONS, actor=actor) if out and not dry_run else None
    return Fixed(CONTRADICTIONS, "exclude", tuple(out), change)


def fixable(checkup: Checkup) -> list[str]:
    """Return names of the findings that have a fix to do."""
    return [f.name for f in checkup.findings if f.action and f.ids and f.severity != "handled" and not in_review(f)]


def in_review(finding: DataFinding) -> bool:
    """True if all rows of a finding were sent to review and wait there: its fix has been done."""
    return finding.what_to_do == "in review"


def dismiss(store: Store, checkup: Checkup, name: str, *, by: str, reason: str) -> int:
    """Dismiss a finding, or one piece of its evidence (`leaks:4f2a91c0`), as a false alarm; returns the event's id.

    It holds until it is undone; of a finding about pairs it holds for the pairs of rows that were found, and no others.
    Raises RungError if name or reason is missing.
    """
    if not by.strip() or not reason.strip():
        raise RungError("A finding is dismissed with a name and a reason.", "--by NAME --reason TEXT")
    finding, ids = _rows_of(checkup, name)
    detail: dict[str, object] = {"reason": reason, "rows": list(ids), "title": finding.title}
    if finding.pairs:
        detail["pairs"] = [list(ids)] if ":" in name else [list(pair) for pair in finding.pairs]
    return store.event("dismiss", by, finding.name, detail)


def undo(store: Store, project: Project, settings: Settings, *, actor: str) -> str:
    """Take back the last fix, dismissal or import; returns what it was, in words. Raises RungError if there is none,
    Refusal for an import whose rows somebody uses.

    What the import itself took out (duplicates) is no fix: it goes with the import.
    """
    changes = [c for c in store.changes() if c.kind in ("exclude", "queue") and c.finding not in ("", "duplicates")]
    said = standing_dismissals(store)
    imported = _last_import(store)
    later = said and imported and said[-1].id > imported.id  # times are whole seconds; a fix is of rows that were there
    if imported and not later and (not changes or str(imported.at) > str(changes[-1].at)):
        return undo_import(store, project, settings, imported, actor)
    if not changes and not said:
        raise RungError("There is nothing to undo.", "rung data check")
    if said and (not changes or str(said[-1].at) >= str(changes[-1].at)):
        event = said[-1]
        store.event("undismiss", actor, str(event.id), {"finding": event.ref})
        return f"{event.ref}: {event.actor}'s dismissal no longer counts."
    last = changes[-1].id
    together = next((set(e.detail["changes"]) for e in store.events(kind="fix", ref=f"change-{last}")), {last})
    undone = []
    for change in [each for each in reversed(changes) if each.id in together]:
        rows = counted(len(store.undo(change.id, actor=actor)), "row")
        what = "back in" if change.kind == "exclude" else "as before"
        undone.append(f"{change.finding or change.reason}: {rows} {what}.")
    return "\n".join(undone)


def undo_import(store: Store, project: Project, settings: Settings, event: Event, actor: str) -> str:
    """Delete the rows of an import as if it had never been; returns what it was, in words.

    Raises Refusal if somebody decided one of them, a frozen version holds one, or a sample that people began was
    drawn from them and others.
    """

    def stays(why: str, way: str = "rung data check") -> Refusal:
        return Refusal(f"{event.ref} stays: {why}", way, where=event.ref)

    with store.write(alone=True) as connection:
        source = find_source(connection, event.ref, event.detail["sha256"], event.detail["role"])
        names = {row_id(number): decided for number, decided in decided_rows(connection, source).items()}
        if first := next((name for name, decided in names.items() if decided), ""):
            raise stays(f"{first} is decided.", f"rung review undo {first}")
        for path in sorted(project.datasets.glob("*/manifest.json")):
            if any(row.get("id") in names for row in read_manifest(path.parent).rows):
                raise stays(f"{path.parent.name} is frozen from it.")
        for plan in plans_of(connection, source):
            if covers_others(connection, plan, source) and is_begun(connection, plan):
                raise stays("a sample that was drawn from it and other files is under review.")
        gone = delete_source(connection, source)
        store.event("unimport", actor, str(event.id), {"file": event.ref, "rows": gone}, connection=connection)
    refresh_queue(store, settings)
    return f"{event.ref}: {counted(gone, 'row')} taken back."


def _last_import(store: Store) -> Event | None:
    """Return the newest import that brought rows and was not taken back."""
    void = {event.ref for event in store.events(kind="unimport")}
    brought = [e for e in store.events(kind="import") if any(e.detail.get(k) for k in ("kept", "exact", "near"))]
    return next((e for e in reversed(brought) if str(e.id) not in void), None)


def _order(checkup: Checkup, name: str) -> _Order:
    finding, ids = _rows_of(checkup, name)
    if finding.action is None or finding.severity == "handled":
        state = "is handled already" if finding.severity == "handled" else "has no fix: a person has to look"
        raise RungError(f"{finding.name} {state}.", f"rung data check --show {finding.name}")
    return _Order(
        finding, dict.fromkeys(each for each in ids if each in set(finding.ids)), dict.fromkeys(finding.pairs)
    )


def _rows_of(checkup: Checkup, name: str) -> tuple[DataFinding, tuple[str, ...]]:
    """Return a finding and its rows; with `finding:key` the rows of that evidence."""
    base, _, key = name.partition(":")
    finding = checkup.named(base)
    if not key:
        rows = dict.fromkeys((*finding.ids, *(row for e in finding.evidence for row in e.rows)))
        return finding, tuple(rows)
    for evidence in finding.evidence:
        if evidence.key == key:
            return finding, evidence.rows
    raise RungError(f'{base} has no evidence "{key}".', f"rung data check --show {base}", found=name)
