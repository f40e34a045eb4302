"""Topics of the rows: clusters with sizes, words and examples, and topics that only one side has."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from curation.checks.base import DataFinding, FindingEvidence, QualityCheck, Subject, Survey, excerpt, one_thread
from curation.checks.rules import limit
from curation.mask import mask

FEWEST = 60
DRAWN = 3000


class Topics(QualityCheck):
    """Clusters of the questions; a finding where a test set has topics that training lacks."""

    name = "topics"
    title = "Topics without rows"
    reason = "The test set asks about topics for which there are no rows to learn from."

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the map as a measure; the gaps as a finding."""
        if len(survey.sample) < FEWEST:
            return None
        rng = random.Random(survey.options.seed)
        rows = rng.sample(list(survey.sample), min(DRAWN, len(survey.sample)))
        test = [s for s in rows if s.role == "test"]
        train = [s for s in rows if s.role != "test"]
        found = cluster([*train, *test], survey.options.seed)
        if found is None or not train:
            return None
        places, names = found
        topics = _table(places, names, train, test)
        self.measures = {"topics": topics}
        gaps = [topic for topic in topics if topic["test"] >= 3 and topic["train"] == 0]
        if not gaps:
            return None
        evidence = [
            FindingEvidence(
                key=str(gap["topic"]), places=(), note=f"{gap['words']}: {gap['test']} test rows, none to learn from"
            )
            for gap in gaps
        ]
        return self.finding(evidence, rows=sum(gap["test"] for gap in gaps))


def cluster(subjects: Sequence[Subject], seed: int) -> tuple[list[int], list[str]] | None:
    """Return topic of each row, and the words that name each topic; None if there is no text."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    texts = [subject.example.question[:1000] for subject in subjects]
    count = min(int(limit("overlap_topics")), max(2, int((len(texts) / 10) ** 0.5) * 2))
    try:
        maker = TfidfVectorizer(max_features=8000, max_df=0.5, sublinear_tf=True)
        vectors = maker.fit_transform(texts)
        parts = min(50, vectors.shape[1] - 1)
        if parts < 2:
            return None
        with one_thread():
            dense = normalize(TruncatedSVD(parts, random_state=seed).fit_transform(vectors))
    except ValueError:
        return None
    with one_thread():
        places = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=1024).fit_predict(dense)
    words = maker.get_feature_names_out()
    names = []
    for topic in range(count):
        inside = vectors[places == topic]
        weight = inside.mean(axis=0).A1 if inside.shape[0] else None
        names.append(mask(", ".join(words[i] for i in weight.argsort()[::-1][:4])) if weight is not None else "")
    return [int(place) for place in places], names


def _table(
    places: list[int], names: list[str], train: Sequence[Subject], test: Sequence[Subject]
) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = []
    for topic, name in enumerate(names):
        inside = [i for i, place in enumerate(places) if place == topic]
        learnt = [i for i in inside if i < len(train)]
        example = (*train, *test)[inside[0]].example.question if inside else ""
        row = {"topic": topic, "words": name, "train": len(learnt), "test": len(inside) - len(learnt)}
        table.append({**row, "example": excerpt(example, 80)})
    return sorted((row for row in table if row["train"] or row["test"]), key=lambda row: -row["train"])
