"""Drafts for a banking77 project, and a reviewer who edits them, so that DPO has pairs to learn from.

    python -m benchmarks.banking77.drafts INTO [--count 100]      before `rung data import`: raw/drafts.jsonl
    python -m benchmarks.banking77.drafts INTO --review           after it: every draft is edited or approved

A draft is a train row with the intent of the nearest question (TF-IDF) that has another one: a likely mistake. The
reviewer here is this script, which has the right intents in raw/answers.json; it stands in for a person.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

REVIEWER = "script"


def split_off(into: Path, count: int) -> None:
    """The first `count` rows of raw/pool.jsonl become raw/drafts.jsonl, with what is right in raw/answers.json."""
    pool = [json.loads(line) for line in (into / "raw/pool.jsonl").read_text("utf-8").splitlines()]
    texts = [row["messages"][0]["content"] for row in pool]
    names = [row["messages"][1]["content"] for row in pool]
    wrong = nearest_other(texts, names)
    drafts = [_row(texts[place], wrong[place]) for place in range(count)]
    _write(into / "raw/drafts.jsonl", drafts)
    _write(into / "raw/pool.jsonl", pool[count:])
    (into / "raw/answers.json").write_text(json.dumps(dict(zip(texts[:count], names[:count], strict=True)), indent=1))


def nearest_other(texts: list[str], names: list[str]) -> list[str]:
    """Return for each text the name of the most similar text with another name."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(texts)
    alike = (vectors @ vectors.T).toarray()
    labels = np.array(names)
    return [str(labels[np.where(labels == name, -1.0, alike[place]).argmax()]) for place, name in enumerate(names)]


def review(into: Path) -> dict[str, int]:
    """Edit every draft whose intent is wrong, approve the others; how many of each."""
    from curation.review import Ruling, decide_all, open_desk
    from workspace.folder import Project
    from workspace.settings import load_settings

    project = Project(into)
    right = json.loads((into / "raw/answers.json").read_text())
    desk = open_desk(project, load_settings(into / "rung.toml"))
    with desk.store as store:
        rows = store.rows(role="candidates")
        rulings = [(row.id, right[row.example.question], row.example.answer) for row in rows]
        given = [
            (name, Ruling("approve") if answer == draft else Ruling("edit", text=answer))
            for name, answer, draft in rulings
        ]
        decide_all(desk, REVIEWER, given, kind="person")
    return {verdict: sum(ruling.verdict == verdict for _, ruling in given) for verdict in ("edit", "approve")}


def _row(text: str, name: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": name}]}


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def main() -> int:
    """Make the drafts, or review them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--review", action="store_true")
    asked = parser.parse_args()
    if asked.review:
        print(json.dumps(review(asked.into)))
        return 0
    split_off(asked.into, asked.count)
    print(f"{asked.count} drafts in {asked.into / 'raw/drafts.jsonl'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
