"""Label noise where there are many classes: as much is found, in seconds."""

import random
import time

import numpy as np
import pytest
from planted import row, run
from scipy.sparse import csr_matrix

from curation.quality import softmax
from curation.quality.label_noise import MANY
from curation.quality.softmax import Softmax, put_together


def many(classes, rows, seed=1, share=0.05):
    """Questions of ten words, four of them of their class's six; some of them with another class's label."""
    rng = random.Random(seed)
    sounds = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    vocabulary = ["".join(rng.choices(sounds, k=rng.randint(2, 4))) for _ in range(4000)]
    common, own = vocabulary[:300], [rng.sample(vocabulary, 6) for _ in range(classes)]
    made, flipped = [], set()
    for i in range(rows):
        label = i % classes
        words = [rng.choice(own[label] if rng.random() < 0.4 else common) for _ in range(10)]
        if rng.random() < share:
            flipped.add(i)
            label = (label + rng.randrange(1, classes)) % classes
        made.append(row(" ".join(words), f"class {label}"))
    return made, flipped


def found(rows):
    finding = run(rows, "label_noise")[0].get("label_noise")
    return {int(each.removeprefix("r-")) for each in finding.ids} if finding else set()


def test_flipped_labels_of_many_classes_are_doubted():
    rows, flipped = many(MANY, 2400)
    told = found(rows)
    assert len(told & flipped) >= 0.9 * len(flipped) and len(told - flipped) <= 0.05 * len(told)
    assert len(found(many(MANY, 2400, share=0)[0])) <= 12


@pytest.mark.slow
def test_four_hundred_classes_take_seconds():
    rows, flipped = many(400, 20_000)
    start = time.process_time()
    told = found(rows)
    assert time.process_time() - start < 90
    assert len(told & flipped) >= 0.93 * len(flipped) and len(told - flipped) <= 0.02 * len(told)


def test_what_one_row_alone_has_is_one_feature_of_that_row():
    rows = csr_matrix(np.array([[1, 2, 0, 0], [3, 0, 4, 12], [5, 0, 0, 0]], np.float32))
    assert put_together(rows).toarray().tolist() == [
        [1, 2, 0, 0],
        [3, 0, np.sqrt(160, dtype=np.float32), 0],
        [5, 0, 0, 0],
    ]


def test_the_model_tells_classes_apart_and_the_same_seed_learns_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    given = rng.permutation(np.repeat(np.arange(5), 40)) * 10
    dense = rng.random((200, 30)) * (rng.random((200, 30)) < 0.2)
    dense[np.arange(200), given // 10] = 2.0
    rows = csr_matrix(dense.astype(np.float32))
    said = Softmax(1).fit(rows, given).predict_proba(rows)
    assert (said.argmax(axis=1) * 10 == given).mean() > 0.98 and np.allclose(said.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(said, Softmax(1).fit(rows, given).predict_proba(rows))
    monkeypatch.setattr(softmax, "PASSES", 0)
    assert np.allclose(Softmax(1).fit(rows, given).predict_proba(rows), 0.2)
