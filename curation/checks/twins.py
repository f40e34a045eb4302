"""Findings about pairs of rows: duplicates, contradictions, leaks. `curation.likeness` finds the pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from curation.checks.base import (
    EVIDENCE_KEPT,
    Action,
    DataFinding,
    FindingEvidence,
    QualityCheck,
    Severity,
    Subject,
    evidence_of,
    excerpt,
    leak_counts,
    shown_texts,
)
from curation.checks.dismissals import NOTHING, Settled, settled_pairs
from curation.checks.subjects import FileRows, GoneRows, ProjectRows, kept_for
from curation.likeness.duplicates import DedupResult
from curation.likeness.leaks.find import Leak
from curation.store import StoredRow

RowsByIndex = FileRows | ProjectRows


class Duplicates(QualityCheck):
    """Near and exact duplicates with the same answer; one of each cluster stays."""

    name = "duplicates"
    title = "Duplicates"
    reason = "The same question with the same answer: more of it teaches nothing, and falls into two splits."
    action = "exclude"

    def found(self, result: DedupResult, at: RowsByIndex) -> DataFinding | None:
        """Return the duplicates that would be removed, each with the row that stays; None if there are none."""
        gone = result.exact + result.near
        if not gone:
            return None
        shown = result.removed_at(slice(EVIDENCE_KEPT))
        rows = at.subjects([r.index for r in shown] + [r.kept for r in shown])
        evidence = [
            evidence_of(f"{r.kind}, {r.similarity:.2f}, same answer", row, stays, score=r.similarity)
            for r, row, stays in zip(shown, rows, rows[len(shown) :], strict=False)
        ]
        return self.finding(
            evidence,
            rows=gone,
            ids=[name for name in at.names(result.gone.tolist()) if name],
            detail={
                "exact": result.exact,
                "near": result.near,
                "clusters": {str(size): count for size, count in result.cluster_sizes.items()},
            },
        )

    def taken_out(self, gone: GoneRows, stay: Mapping[str, StoredRow]) -> DataFinding | None:
        """Return the rows removed from a project at import, the first ones each beside the row that stays (`stay`, by
        id), with the evidence that was kept then.
        """
        if not gone.first:
            return None
        evidence = []
        for row in gone.first:
            name = kept_for(row)
            both = [row, *([stay[name]] if name in stay else [])]
            found = FindingEvidence(
                key=row.id,
                places=(row.source, stay[name].source if name in stay else name),
                rows=(row.id,),
                note=f"{row.evidence.get('kind', '')}, {row.evidence.get('similarity', 1.0):.2f}, same answer",
                score=row.evidence.get("similarity"),
                texts=tuple(map(excerpt, shown_texts(*(each.example for each in both)))),
            )
            evidence.append(found)
        sizes = Counter(count + 1 for count in gone.kept.values())
        return self.finding(
            evidence,
            rows=gone.kinds.total(),
            severity="handled",
            detail={"clusters": {str(size): sizes[size] for size in sorted(sizes)}},
            what_to_do="1 kept of each cluster",
        )


class LeftDuplicates(Duplicates):
    """Duplicates among rows that are in (edited or generated since the import)."""

    name = "left_duplicates"
    title = "Duplicates left"


class Contradictions(QualityCheck):
    """One question, two answers."""

    name = "contradictions"
    title = "Contradictions"
    severity = "blocks"
    reason = "The same question has different answers; at least one is wrong, or the question lacks something."
    action = "queue"

    def found(self, result: DedupResult, at: RowsByIndex, settled: Settled = NOTHING) -> DataFinding | None:
        """Return both rows of each pair, except for settled pairs."""
        pairs = result.pairs_of("contradiction")
        left = ~_settled(pairs.one, pairs.other, at, settled.get(self.name, ()))
        one, other = pairs.one[left], pairs.other[left]
        if not len(one):
            return None
        shown = min(EVIDENCE_KEPT, len(one))
        both = at.subjects([*one[:shown].tolist(), *other[:shown].tolist()])
        evidence = [
            evidence_of("same question, different answers", a, b, score=1.0)
            for a, b in zip(both, both[shown:], strict=False)
        ]
        rows = list(dict.fromkeys(np.stack((one, other), 1).ravel().tolist()))
        ids = [name for name in at.names(rows) if name]
        named = zip(at.names(one.tolist()), at.names(other.tolist()), strict=True)
        detail, pairs_named = {"pairs": len(one)}, tuple(named) if ids else ()
        return self.finding(evidence, rows=len(rows), ids=ids, detail=detail, pairs=pairs_named)


def _settled(
    one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], at: RowsByIndex, sets: Sequence[frozenset[str]]
) -> npt.NDArray[np.bool_]:
    """Return for each pair whether both of its rows were dismissed together."""
    if not sets or not len(one):
        return np.zeros(len(one), np.bool_)
    settled = settled_pairs(sets)
    both = zip(at.names(one.tolist()), at.names(other.tolist()), strict=True)
    return np.fromiter((settled(*pair) for pair in both), np.bool_, len(one))


class Leaks(QualityCheck):
    """Test items that a row of training holds."""

    name = "leaks"
    title = "Leaks into test"
    severity: Severity = "blocks"
    reason = "A test item that training has seen measures memory, not skill."
    action: Action | None = "exclude"

    def found(
        self, leaks: Iterable[Leak], train: RowsByIndex, test: Sequence[Subject], settled: Settled = NOTHING
    ) -> DataFinding | None:
        """Test item and train row of each; the fix takes the train rows out. `rows` counts test items."""
        sets = settled.get(self.name, ())
        is_settled = settled_pairs(sets)
        strongest: dict[int, Leak] = {}
        rows: dict[int, None] = {}
        pairs: list[tuple[int, int]] = []
        for leak in leaks:
            if sets and is_settled(train.names([leak.train])[0], test[leak.test].id):
                continue
            pairs.append((leak.train, leak.test))
            strongest.setdefault(leak.test, leak)
            if self.action:
                rows[leak.train] = None
        if not pairs:
            return None
        shown = list(strongest.values())[:EVIDENCE_KEPT]
        learnt = train.subjects([leak.train for leak in shown])
        evidence = [_leak_evidence(leak, test[leak.test], row) for leak, row in zip(shown, learnt, strict=True)]
        ids = [name for name in train.names(list(rows)) if name]
        counts = {"pairs": len(pairs), "test_items": len(strongest), "train_rows": len({one for one, _ in pairs})}
        named = zip(train.names([one for one, _ in pairs]), (test[other].id for _, other in pairs), strict=True)
        reason = f"{self.reason} Found: {leak_counts(counts)}."
        both = tuple((learnt_id, test_id) for learnt_id, test_id in named if learnt_id and test_id)
        return self.finding(evidence, rows=len(strongest), ids=ids, detail=counts, reason=reason, pairs=both)


class Suspects(Leaks):
    """Pairs that resemble a leak but are none by the rule: minimal pairs, short questions inside a row, short spans."""

    name = "suspects"
    title = "Near the test set"
    severity = "look"
    reason = "Train rows that come near a test item without being one: minimal pairs, short spans."
    action = None


def _leak_evidence(leak: Leak, one: Subject, other: Subject) -> FindingEvidence:
    note = f"{leak.kind}, {leak.score:.2f}, {leak.answer} answer" + (f", {why}" if (why := leak.evidence.why) else "")
    shared = [f"in both: {leak.evidence.shared}"] if leak.evidence.shared else []
    return evidence_of(note, one, other, score=leak.score, texts=[*shown_texts(one.example, other.example), *shared])
