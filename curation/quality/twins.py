"""Findings about pairs of rows: duplicates, contradictions, leaks. The pairs themselves are found in `curation`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from curation.quality.base import (
    EVIDENCE_KEPT,
    Action,
    Check,
    Evidence,
    Finding,
    Severity,
    Subject,
    evidence_of,
    shown_texts,
)

if TYPE_CHECKING:
    from curation.dedup import DedupResult
    from curation.leakage import Leak
    from curation.store import StoredRow

Settled = Mapping[str, Sequence[frozenset[str]]]
"""Sets of rows that were dismissed together, by finding."""
NOTHING: Settled = {}
At = Callable[[Sequence[int]], list[Subject]]
"""Gives the rows at these indices."""


class Duplicates(Check):
    """Near and exact duplicates with the same answer; one of each cluster stays."""

    name = "duplicates"
    title = "Duplicates"
    reason = "The same question with the same answer: more of it teaches nothing, and falls into two splits."
    action = "exclude"

    def found(self, result: DedupResult, at: At) -> Finding | None:
        """What would go, beside what stays for it."""
        gone = result.exact + result.near
        if not gone:
            return None
        shown = result.removed[:EVIDENCE_KEPT]
        rows, kept = at([r.index for r in shown]), at([r.kept for r in shown])
        evidence = [
            evidence_of(f"{r.kind}, {r.similarity:.2f}, same answer", row, stays, score=r.similarity)
            for r, row, stays in zip(shown, rows, kept, strict=True)
        ]
        ids = [s.id for s in at([r.index for r in result.removed])] if rows[0].id else []
        return self.finding(
            evidence,
            rows=gone,
            ids=ids,
            detail={
                "exact": result.exact,
                "near": result.near,
                "clusters": {str(size): count for size, count in result.cluster_sizes.items()},
            },
        )

    def taken_out(self, rows: Sequence[StoredRow]) -> Finding | None:
        """What was taken out of a project at import, with the evidence that was kept then."""
        gone = [row for row in rows if row.excluded in ("exact duplicate", "near duplicate")]
        if not gone:
            return None
        evidence = [
            Evidence(
                key=row.id,
                places=(row.source, str(row.evidence.get("kept", ""))),
                rows=(row.id,),
                note=f"{row.evidence.get('kind', '')}, {row.evidence.get('similarity', 1.0):.2f}, same answer",
                score=row.evidence.get("similarity"),
            )
            for row in gone[:EVIDENCE_KEPT]
        ]
        clusters = cluster_sizes([str(row.evidence.get("kept", "")) for row in gone], apart=1)
        finding = self.finding(evidence, rows=len(gone), severity="handled", detail={"clusters": clusters})
        return finding.model_copy(update={"what_to_do": "1 kept of each cluster"})


def cluster_sizes(cluster_of: Sequence[object], apart: int = 0) -> dict[str, int]:
    """How many clusters have how many rows, from the cluster of some rows; `apart` rows of each are not among them."""
    sizes = Counter(count + apart for count in Counter(cluster_of).values() if count + apart > 1)
    return {str(size): sizes[size] for size in sorted(sizes)}


class LeftDuplicates(Duplicates):
    """Duplicates among rows that are in (edited or generated since the import)."""

    name = "left_duplicates"
    title = "Duplicates left"


class Contradictions(Check):
    """One question, two answers."""

    name = "contradictions"
    title = "Contradictions"
    severity = "blocks"
    reason = "The same question has different answers; at least one is wrong, or the question lacks something."
    action = "queue"

    def found(self, result: DedupResult, at: At, settled: Settled = NOTHING) -> Finding | None:
        """Both rows of each pair, but for the pairs that somebody settled."""
        pairs = [pair for pair in result.pairs if pair.kind == "contradiction"]
        if not pairs:
            return None
        ones, others = at([p.index for p in pairs]), at([p.other for p in pairs])
        sets = settled.get(self.name, ())
        both = [(a, b) for a, b in zip(ones, others, strict=True) if not any({a.id, b.id} <= rows for rows in sets)]
        rows = {(s.file, s.line, s.id): s.id for pair in both for s in pair}
        if not both:
            return None
        evidence = [evidence_of("same question, different answers", a, b, score=1.0) for a, b in both[:EVIDENCE_KEPT]]
        return self.finding(
            evidence, rows=len(rows), ids=[name for name in rows.values() if name], detail={"pairs": len(both)}
        )


class Leaks(Check):
    """Test items that stand in a row of training."""

    name = "leaks"
    title = "Leaks into test"
    severity: Severity = "blocks"
    reason = "A test item that training has seen measures memory, not skill."
    action: Action | None = "exclude"

    def found(
        self,
        leaks: Sequence[Leak],
        train: Mapping[int, Subject],
        test: Sequence[Subject],
        settled: Settled = NOTHING,
    ) -> Finding | None:
        """Test item and train row of each; the fix takes the train rows out. `rows` counts test items."""
        gone = frozenset().union(*settled.get(self.name, ()))
        left = [leak for leak in leaks if train[leak.train].id not in gone]
        if not left:
            return None
        strongest: dict[int, Leak] = {}
        for leak in left:
            strongest.setdefault(leak.test, leak)
        evidence = [_leak_evidence(leak, train, test) for leak in list(strongest.values())[:EVIDENCE_KEPT]]
        ids = list(dict.fromkeys(name for leak in left if (name := train[leak.train].id))) if self.action else []
        return self.finding(evidence, rows=len(strongest), ids=ids, detail={"pairs": len(left)})


class Suspects(Leaks):
    """What resembles a leak and is none by the rule: minimal pairs, short questions inside a row, short spans."""

    name = "suspects"
    title = "Near the test set"
    severity = "look"
    reason = "Train rows that come near a test item without being one: minimal pairs, short spans."
    action = None


def _leak_evidence(leak: Leak, train: Mapping[int, Subject], test: Sequence[Subject]) -> Evidence:
    note = f"{leak.kind}, {leak.score:.2f}, {leak.answer} answer"
    more = [leak.evidence.why] if leak.evidence.why else []
    shared = [f"in both: {leak.evidence.shared}"] if leak.evidence.shared else []
    one, other = test[leak.test], train[leak.train]
    texts = [*shown_texts(one.example, other.example), *shared]
    return evidence_of(", ".join([note, *more]), one, other, score=leak.score, texts=texts)
