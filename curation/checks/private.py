"""Private data that must not leave with a dataset: keys, personal data, names of persons."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import entry_points
from typing import Any

from curation.checks.base import SingleRowCheck, Subject
from curation.example import every_text
from curation.mask import Finder, Spot, find_personal, find_secrets
from workspace.counted import counted
from workspace.errors import RungError, did_you_mean
from workspace.extras import installed, require


class Secrets(SingleRowCheck):
    """Keys of known forms; no entropy rule, because codes and hashes are ordinary data."""

    name = "secrets"
    title = "Keys and passwords"
    severity = "blocks"
    reason = "A key in a row is out as soon as the model is: take the row out, and change the key."
    action = "exclude"

    def fault(self, subject: Subject) -> str | None:
        """Return the kinds of keys."""
        names = {spot.name for text in every_text(subject.example) for spot in find_secrets(text)}
        return ", ".join(sorted(names)) if names else None


class Personal(SingleRowCheck):
    """E-mail, phone, card (Luhn), IBAN (check digits), IP addresses and US social security numbers."""

    name = "pii"
    title = "Phones, e-mails"
    reason = "Personal data in rows can be read back from a tuned model."
    action = "queue"
    unseen = "names of persons are looked for with --names only"

    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()

    def fault(self, subject: Subject) -> str | None:
        """Return the kinds, with the number of each."""
        found = Counter(spot.kind for text in every_text(subject.example) for spot in find_personal(text))
        self.kinds.update(found.keys())
        return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) if found else None

    def detail(self) -> dict[str, Any]:
        """Return the number of rows by kind."""
        return {"rows_by_kind": dict(sorted(self.kinds.items()))}


AUTO = "auto"
SURE = 0.5


def name_finder(model: str = AUTO) -> Finder:
    """Return a finder of names of persons: this spaCy model or, with `auto`, the installed one.

    Nothing is fetched. Raises RungError if presidio, or a model that marks persons, is not there.
    """
    chosen = _chosen(model) if installed("presidio_analyzer") else ""
    presidio = require("quality", "presidio_analyzer")
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    language = chosen.split("_")[0]
    models = [{"lang_code": language, "model_name": chosen}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    persons = SpacyRecognizer(supported_language=language, supported_entities=["PERSON"])
    registry = presidio.RecognizerRegistry(recognizers=[persons], supported_languages=[language])
    analyzer = presidio.AnalyzerEngine(nlp_engine=engine, registry=registry, supported_languages=[language])

    def find(text: str) -> list[Spot]:
        found = analyzer.analyze(text, language=language, entities=["PERSON"], score_threshold=SURE)
        return sorted(Spot(each.start, each.end, "NAME", "NAME") for each in found)

    return find


def _chosen(model: str) -> str:
    """Return the name of a model that is installed: the asked for one, else an English one, else the first."""
    there = sorted(each.name for each in entry_points(group="spacy_models"))
    if model in there:
        return model
    if model != AUTO or not there:
        asked = f'the spaCy model "{model}"' if model != AUTO else "a spaCy model"
        raise RungError(
            f"Names of persons need {asked}, which is not installed.{did_you_mean(model, there)}",
            "python -m spacy download en_core_web_sm",
            expected="one of: " + (", ".join(there) or "none is installed"),
        )
    return next((name for name in there if name.startswith("en_")), there[0])


class Names(SingleRowCheck):
    """Rows that name a person. While they are looked for, names are masked in what every check shows."""

    name = "names"
    title = "Names of persons"
    reason = "A name beside what is said of a person can be read back from a tuned model."
    action = "queue"

    def __init__(self, find: Finder) -> None:
        super().__init__()
        self.find = find

    def fault(self, subject: Subject) -> str | None:
        """Return the number of names."""
        count = sum(len(self.find(text)) for text in every_text(subject.example))
        return counted(count, "name") if count else None
