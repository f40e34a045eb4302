"""What is done about a finding: fix, dismiss, take back. Everything can be undone, everything is in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.findings import Checkup, Finding
from workspace.errors import RungError

if TYPE_CHECKING:
    from curation.store import Event, Store

Settled = Mapping[str, Sequence[frozenset[str]]]
"""For each finding's name the sets of rows that were dismissed together; an empty set dismisses the whole finding."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a fix did, or (`change` None) would do."""

    finding: str
    action: str
    rows: tuple[str, ...]
    change: int | None

    def words(self) -> str:
        """One sentence."""
        if not self.rows:
            return f"{self.finding}: nothing to fix."
        count = f"{len(self.rows):,} row{'s' * (len(self.rows) != 1)}"
        done = {"exclude": f"{count} taken out", "queue": f"{count} sent to review"}[self.action]
        return f"{self.finding}: {done}." if self.change is not None else f"{self.finding}: would be {done}."


def fix(store: Store, checkup: Checkup, names: Sequence[str], *, actor: str, dry_run: bool = False) -> list[Fixed]:
    """Do what the findings' fixes say, one undoable change each.

    A name is a finding's, or `finding:key` for one piece of its evidence. Raises RungError before anything is done
    where a name is unknown or has no fix. What a check did not find is fixed already.
    """
    orders = {name: None if checkup.found_nothing(name) else _order(checkup, name) for name in names}
    done: list[Fixed] = []
    for name, order in orders.items():
        if order is None:
            done.append(Fixed(name, "", (), None))
            continue
        (finding, ids), change = order, None
        if not dry_run and ids:
            do = store.exclude if finding.action == "exclude" else store.queue
            change = do(ids, _reason(finding), finding.name, actor=actor)
        done.append(Fixed(finding.name, finding.action or "", tuple(ids), change))
    return done


def fixable(checkup: Checkup) -> list[str]:
    """Names of the findings that have a fix to do."""
    return [f.name for f in checkup.findings if f.action and f.ids and f.severity != "handled"]


def dismiss(store: Store, checkup: Checkup, name: str, *, by: str, reason: str) -> int:
    """Say that a finding, or one piece of its evidence (`leaks:4f2a91c0`), is none; returns the event's id.

    It stays said until it is undone. Raises RungError where name or reason is missing.
    """
    if not by.strip() or not reason.strip():
        raise RungError("A finding is dismissed with a name and a reason.", "--by NAME --reason TEXT")
    finding, ids = _rows_of(checkup, name)
    return store.event("dismiss", by, finding.name, {"reason": reason, "rows": list(ids), "title": finding.title})


def undo(store: Store, *, actor: str) -> str:
    """Take back the last fix or dismissal; returns what it was, in words. Raises RungError where there is none.

    What the import itself took out (duplicates) is no fix, and stays.
    """
    changes = [c for c in store.changes() if c.kind in ("exclude", "queue") and c.finding not in ("", "duplicates")]
    said = _standing(store)
    if not changes and not said:
        raise RungError("There is nothing to undo.", "rung data check")
    if said and (not changes or str(said[-1].at) >= str(changes[-1].at)):
        event = said[-1]
        store.event("undismiss", actor, str(event.id), {"finding": event.ref})
        return f"{event.ref}: {event.actor}'s dismissal no longer counts."
    change = changes[-1]
    rows = store.undo(change.id, actor=actor)
    what = "back in" if change.kind == "exclude" else "as before"
    return f"{change.finding or change.reason}: {len(rows):,} row{'s' * (len(rows) != 1)} {what}."


def dismissals(store: Store) -> dict[str, list[frozenset[str]]]:
    """What was dismissed and stands, by finding."""
    settled: dict[str, list[frozenset[str]]] = {}
    for event in _standing(store):
        settled.setdefault(event.ref, []).append(frozenset(event.detail.get("rows", ())))
    return settled


def unsettled(finding: Finding, settled: Settled) -> Finding | None:
    """The finding without the rows that were dismissed; None where nothing is left of it."""
    sets = settled.get(finding.name, ())
    if any(not rows for rows in sets):
        return None
    gone = frozenset().union(*sets)
    ids = tuple(name for name in finding.ids if name not in gone)
    if not sets or len(ids) == len(finding.ids):
        return finding
    evidence = tuple(e for e in finding.evidence if not any(name in gone for name in e.rows))
    rows = finding.rows - (len(finding.ids) - len(ids))
    return finding.model_copy(update={"ids": ids, "evidence": evidence, "rows": rows}) if rows > 0 and ids else None


def _standing(store: Store) -> list[Event]:
    """Dismissals that were not taken back, in order."""
    void = {event.ref for event in store.events(kind="undismiss")}
    return [event for event in store.events(kind="dismiss") if str(event.id) not in void]


def _order(checkup: Checkup, name: str) -> tuple[Finding, list[str]]:
    finding, ids = _rows_of(checkup, name)
    if finding.action is None or finding.severity == "handled":
        state = "is handled already" if finding.severity == "handled" else "has no fix: a person has to look"
        raise RungError(f"{finding.name} {state}.", f"rung data check --show {finding.name}")
    return finding, [each for each in ids if each in set(finding.ids)]


def _rows_of(checkup: Checkup, name: str) -> tuple[Finding, tuple[str, ...]]:
    """A finding and its rows; with `finding:key` the rows of that evidence."""
    base, _, key = name.partition(":")
    finding = checkup.named(base)
    if not key:
        rows = dict.fromkeys((*finding.ids, *(row for e in finding.evidence for row in e.rows)))
        return finding, tuple(rows)
    for evidence in finding.evidence:
        if evidence.key == key:
            return finding, evidence.rows
    raise RungError(f'{base} has no evidence "{key}".', f"rung data check --show {base}", found=name)


def _reason(finding: Finding) -> str:
    return finding.title.lower()
