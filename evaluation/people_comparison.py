"""People compare, blind: the tuned model's output beside the base's and the best prompt's, sides and order by a seed.

Who wrote what is in no sheet; it is worked out again from the plan when the answers are read. Texts are masked as in
review (personal data and keys). Whoever asks to see them as they are is written into the log: the same event as in the
review, never the data itself.

`open_comparison` gives the plan with its pairings, `next_for` what a rater has not answered, `record` writes an answer
at once, `standing` counts, and `reveal` ends it where everyone who began has finished.
"""

import json
import math
import random
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote, unquote

from curation.review.agreement import krippendorff_alpha
from curation.review.item import UNMASKED, Cover, Found, hidden_words, kinds_of
from curation.split.manifest import load_split
from curation.store import open_store
from evaluation.bench import clusters_of
from evaluation.measurement_report import ItemOutcome, read_report
from evaluation.outcomes import load_baseline
from evaluation.verdict.intervals import CONFIDENCE, estimate, t_quantile
from evaluation.verdict.rule import newest_verdict
from workspace.artefact import Artefact, ArtefactPart, read_artefact, write_artefact
from workspace.errors import InputError, Refusal, RungError
from workspace.files import append_lines, line_problems, read_lines, write_text
from workspace.folder import Project, oldest_first
from workspace.json_types import JsonObject
from workspace.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Hidden:
    """Texts with masks, in the order in which they were given, and what is hidden in them."""

    texts: tuple[str, ...]
    found: Found

    @property
    def words(self) -> str:
        """`1 phone, 2 e-mails`; empty if nothing is hidden."""
        return hidden_words(self.found)


def hidden(*texts: str) -> Hidden:
    """Return the texts as they are shown at first."""
    cover = Cover()
    return Hidden(tuple(map(cover.text, texts)), frozenset(cover.found))


def rater_file(folder: Path, kind: str, rater: str) -> Path:
    """Return the file of a person's `answers` or `labels`. Raises RungError for an empty name."""
    if not rater.strip():
        raise RungError("A rater needs a name.", "--rater NAME")
    return folder / f"{kind}.{quote(rater.strip(), safe='')}.jsonl"


def rater_files(folder: Path, kind: str) -> dict[str, Path]:
    """Return the files of all who gave some, by their names."""
    return {unquote(p.name[len(kind) + 1 : -6]): p for p in sorted(folder.glob(f"{kind}.*.jsonl"))}


def read_sheet(
    path: Path, column: str, words: Collection[str], known: Mapping[int, Callable[[Mapping[str, Any]], bool]]
) -> dict[int, tuple[str, str]]:
    """Return a filled sheet: by id one of the `words` in this column, and the reason. An empty one is left open.

    `known` says of each id whether a line shows its texts. Raises InputError with every line that is no answer.
    """
    found: dict[int, tuple[str, str]] = {}

    def fault(line: str) -> str:
        try:
            row = json.loads(line)
            identity, said = row["id"], str(row.get(column) or "").strip().lower()
        except (ValueError, TypeError, KeyError, AttributeError):
            return "is not a line of the sheet."
        shows = known.get(identity) if isinstance(identity, int) else None
        if shows is None or not shows(row):
            return f"id {identity!r} with these outputs is not of this sheet."
        if identity in found:
            return f"id {identity} is answered twice."
        if said and said not in words:
            return f'{column} "{said}" is none of {", ".join(words)}.'
        if said:
            found[identity] = said, str(row.get("reason") or "").strip()
        return ""

    if problems := line_problems(path, f"id, {column}, reason", fault):
        raise InputError(problems)
    return found


def log_shown(project: Project, settings: Settings, person: str, ref: str, found: Found) -> None:
    """Write to the log who sees `ref` (E-002/human/7) as it is, and what kinds of data; before it is shown."""
    with open_store(project, settings) as store:
        store.event(UNMASKED, person, ref, {"kinds": kinds_of(found)})


ITEMS = 50
USUAL_SPREAD = 0.8
"""Standard deviation of preferences of -1, 0 and 1 if two thirds are decided: the number of items follows from it."""

Choice = Literal["a", "b", "tie"]
Given = dict[str, dict[int, tuple[Choice, str]]]
"""Choices and reasons, by rater and by id of the pairing."""
Groups = Mapping[int, str] | None
"""The group of each item, where items share one."""


class BlindPlan(Artefact):
    """`human/plan.json`: what is compared, by rival the items. `seed` decides items, order and sides.

    No item is asked against two rivals: the text that is in both would be known as the tuned one.
    """

    run: str
    items: dict[str, list[int]]
    seed: int
    test_sha256: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """One question with two outputs. `tuned_is` and `rival` are never shown before the end."""

    id: int
    item: int
    question: str
    a: str
    b: str
    rival: str
    tuned_is: Literal["a", "b"]

    @property
    def is_same(self) -> bool:
        """True for equal outputs: a tie that nobody needs to be asked about."""
        return self.a.strip() == self.b.strip()

    def vote(self, choice: Choice) -> int:
        """Return 1 for the tuned model's output, -1 for the rival's, 0 for a tie."""
        return 0 if choice == "tie" else 1 if choice == self.tuned_is else -1

    @property
    def veil(self) -> Hidden:
        """Question, a and b as they are shown at first: personal data and keys masked."""
        return hidden(self.question, self.a, self.b)

    def is_shown_by(self, row: Mapping[str, object]) -> bool:
        """True if a line of a sheet holds both outputs, as they are or masked."""
        return (row.get("a", self.a), row.get("b", self.b)) in ((self.a, self.b), self.veil.texts[1:])

    def shown(self, *, masked: bool = True) -> dict[str, object]:
        """Return the line of a sheet."""
        question, a, b = self.veil.texts if masked else (self.question, self.a, self.b)
        return {"id": self.id, "question": question, "a": a, "b": b, "choice": "", "reason": ""}


class PeoplePreference(ArtefactPart):
    """Tuned against one rival: how often people preferred it. `difference` is wins minus losses as a share, ties 0;
    raters of one item are averaged first, so that the interval counts items. `alpha` is
    Krippendorff's, of two raters or more.
    """

    rival: str
    n: int
    raters: list[str]
    wins: int
    losses: int
    ties: int
    same: int
    difference: float
    low: float
    high: float
    alpha: float | None
    reasons: list[str]


def items_for(half_width: float) -> int:
    """Return items for an interval of about plus and minus `half_width`."""
    n = 10
    while t_quantile(n + 1, (1 + CONFIDENCE) / 2) * USUAL_SPREAD / math.sqrt(n) > half_width and n < 100_000:
        n += max(1, n // 50)
    return n


def pairings(
    plan: BlindPlan,
    questions: Sequence[str],
    tuned: Mapping[int, ItemOutcome],
    rivals: Mapping[str, Mapping[int, ItemOutcome]],
) -> list[Pairing]:
    """Return all pairings of a plan, in the order in which they are asked."""
    rng = random.Random(plan.seed)
    drawn = [(item, rival) for rival, items in plan.items.items() for item in items]
    rng.shuffle(drawn)
    made = []
    for number, (item, rival) in enumerate(drawn, 1):
        side: Literal["a", "b"] = rng.choice(("a", "b"))
        mine, other = tuned[item].output, rivals[rival][item].output
        a, b = (mine, other) if side == "a" else (other, mine)
        made.append(Pairing(number, item, questions[item - 1], a, b, rival, side))
    return made


def draw_items(n: int, rivals: Sequence[str], wanted: int, seed: int) -> dict[str, list[int]]:
    """Item numbers (from 1) for each rival, without replacement: `wanted` each, or as many as there are."""
    each = min(wanted, n // len(rivals))
    drawn = random.Random(seed).sample(range(1, n + 1), each * len(rivals))
    return {rival: sorted(drawn[place * each : (place + 1) * each]) for place, rival in enumerate(rivals)}


def write_sheet(made: Sequence[Pairing], *, masked: bool = True) -> str:
    """JSONL for one rater; equal outputs are left out."""
    return "".join(json.dumps(p.shown(masked=masked), ensure_ascii=False) + "\n" for p in made if not p.is_same)


def preferences(made: Sequence[Pairing], answers: Given, groups: Groups = None) -> list[PeoplePreference]:
    """Return the preferences against each rival, from complete sheets by rater; items of one group count together."""
    rivals = dict.fromkeys(p.rival for p in made)
    return [_against([p for p in made if p.rival == rival], answers, groups) for rival in rivals]


def _against(pairs: Sequence[Pairing], answers: Given, groups: Groups) -> PeoplePreference:
    asked = [p for p in pairs if not p.is_same]
    votes = {p.id: {name: p.vote(given[p.id][0]) for name, given in answers.items()} for p in asked}
    flat = [vote for each in votes.values() for vote in each.values()]
    means = [sum(votes[p.id].values()) / len(votes[p.id]) if not p.is_same else 0.0 for p in pairs]
    found = estimate(means, None if groups is None else [groups[p.item] for p in pairs])
    low, high = found.interval()
    reasons = [given[p.id][1] for p in asked for given in answers.values() if given[p.id][1]]
    said = [{name: str(vote) for name, vote in each.items()} for each in votes.values()]
    return PeoplePreference(
        rival=pairs[0].rival,
        n=len(pairs),
        raters=list(answers),
        wins=flat.count(1),
        losses=flat.count(-1),
        ties=flat.count(0),
        same=len(pairs) - len(asked),
        difference=found.mean,
        low=low,
        high=high,
        alpha=krippendorff_alpha(said) if len(answers) > 1 else None,
        reasons=reasons,
    )


FOLDER, PLAN, RESULT = "human", "plan.json", "result.json"


@dataclass(frozen=True, slots=True)
class BlindComparison:
    """A plan with its pairings, in the order in which they are asked; `folder` is `human/` of the evaluation."""

    folder: Path
    plan: BlindPlan
    pairings: tuple[Pairing, ...]
    groups: Mapping[int, str] | None = None
    """Item -> group that it shares with others (`[dataset] group_by`): their preferences count together."""

    @property
    def asked(self) -> list[Pairing]:
        """Return the pairings that people are asked: equal outputs are ties by themselves."""
        return [pairing for pairing in self.pairings if not pairing.is_same]

    def ref(self, identity: int) -> str:
        """Return the log's name of one pairing: E-002/human/7."""
        return f"{self.folder.parent.name}/{FOLDER}/{identity}"

    def next_for(self, rater: str) -> Pairing | None:
        """Return the first pairing that this rater has not answered."""
        done = self.answers().get(rater, {})
        return next((pairing for pairing in self.asked if pairing.id not in done), None)

    def record(self, rater: str, identity: int, choice: str, reason: str = "") -> None:
        """Write one answer at once. Raises RungError for an unknown id or choice, or an empty name."""
        if choice not in get_args(Choice):
            raise RungError(f'"{choice}" is none of {", ".join(get_args(Choice))}.')
        if identity not in {pairing.id for pairing in self.asked}:
            raise RungError(f"{identity} is not of this comparison.")
        append_lines(
            rater_file(self.folder, "answers", rater), [{"id": identity, "choice": choice, "reason": reason.strip()}]
        )

    def take_sheet(self, rater: str, path: Path) -> None:
        """Record a filled sheet. Raises InputError with every line that is no answer."""
        if not path.is_file():
            raise RungError(f"{path}: no such file.", "rung evaluate --human --sheet FILE")
        known = {pairing.id: pairing.is_shown_by for pairing in self.asked}
        for identity, (choice, reason) in read_sheet(path, "choice", get_args(Choice), known).items():
            self.record(rater, identity, choice, reason)

    def answers(self) -> Given:
        """Return every rater's answers by id. Raises InputError for a damaged file."""
        files = rater_files(self.folder, "answers")
        return {rater: dict(read_lines(path, _answer, "answer")) for rater, path in files.items()}

    def standing(self) -> dict[str, tuple[int, int]]:
        """Return by rater: answered, of how many."""
        wanted = {pairing.id for pairing in self.asked}
        return {rater: (len(wanted & given.keys()), len(wanted)) for rater, given in self.answers().items()}

    def reveal(self) -> list[PeoplePreference]:
        """Return the preferences and write result.json. Raises Refusal while somebody who began has not finished."""
        standing = self.standing()
        behind = [f"{rater} has {of - done} left" for rater, (done, of) in standing.items() if done < of]
        if self.asked and not standing:
            behind = ["nobody has answered yet"]
        if behind:
            raise Refusal(f"Not revealed: {', '.join(behind)}.", f"rung evaluate {self.plan.run} --human --rater NAME")
        found = preferences(self.pairings, self.answers(), self.groups)
        against = [preference.model_dump(mode="json") for preference in found]
        document = {"run": self.plan.run, "raters": list(standing), "against": against}
        write_text(self.folder / RESULT, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        return found


def _answer(row: Mapping[str, Any]) -> tuple[int, tuple[Choice, str]]:
    """Raises ValueError or KeyError for what is none."""
    if row["choice"] not in get_args(Choice):
        raise ValueError(row["choice"])
    return int(row["id"]), (row["choice"], str(row["reason"]))


def open_comparison(project: Project, run: str | None = None, items: int = ITEMS) -> BlindComparison:
    """Return the comparison of the run's newest verdict, planned if there is none. Raises Refusal without a verdict."""
    found = newest_verdict(project, run)
    if found is None:
        raise Refusal("No verdict yet: people compare outputs after it, so that none is seen before.", "rung evaluate")
    evaluation, verdict = found
    baseline = load_baseline(*read_report(project, verdict.baseline_report or ""))
    tuned = load_baseline(*read_report(project, evaluation.name)).outcomes[verdict.candidate]
    rivals = [arm for arm in dict.fromkeys(("base", verdict.chosen)) if arm in baseline.outcomes]
    folder, path = evaluation / FOLDER, evaluation / FOLDER / PLAN
    if not path.is_file():
        seed = secrets.randbits(31)  # nobody who reads the code can tell the sides from it
        drawn = draw_items(len(tuned), rivals, items, seed)
        folder.mkdir(exist_ok=True)
        test_sha = verdict.test_sha256 or ""
        write_artefact(path, BlindPlan(run=verdict.run or "", items=drawn, seed=seed, test_sha256=test_sha))
    plan = read_artefact(path, BlindPlan)
    rows = load_split(project.datasets / (verdict.dataset or ""), "test")
    by_place = {arm: dict(enumerate(baseline.outcomes[arm], 1)) for arm in plan.items}
    questions = [o.asked(rows) for o in tuned]
    made = tuple(pairings(plan, questions, dict(enumerate(tuned, 1)), by_place))
    group_by = load_settings(project.settings_file).dataset.group_by
    named = clusters_of(project.datasets / (verdict.dataset or ""), group_by, [o.row for o in tuned])
    return BlindComparison(folder, plan, made, None if named is None else dict(enumerate(named, 1)))


def begun_comparison(project: Project) -> BlindComparison | None:
    """Return the newest comparison that has a plan; None if none was begun."""
    plans = oldest_first(project.evaluations.glob(f"*/{FOLDER}/{PLAN}"))
    return open_comparison(project, read_artefact(plans[-1], BlindPlan).run) if plans else None


def read_result(evaluation: Path) -> list[PeoplePreference]:
    """Return people's preferences once they were revealed; empty before."""
    path = evaluation / FOLDER / RESULT
    if not path.is_file():
        return []
    document: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    return [PeoplePreference.model_validate(entry) for entry in document["against"]]
