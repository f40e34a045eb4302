"""Objectives of a run: the rows or pairs it trains on, the reward of its answers, and the values that belong to it."""

import glob
import hashlib
import json
import random
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from chat.local.offline import tell_nobody
from chat.protocols import Turn
from curation.example import Example, said_in
from curation.split.manifest import SplitName, load_split, read_manifest, split_file
from curation.store import StoredRow, open_store
from training.plan.hyperparameters import FORWARD, VALIDATION_SHARE, PlanDraft, RunFacts
from training.plan.plans import DataFacts
from training.plan.recipe import PAIRED, REINFORCED, Because, Recipe
from training.runs import RunRecord, find_run
from workspace.errors import InputError, Problem, Refusal, RungError
from workspace.files import is_unchanged
from workspace.folder import Project
from workspace.settings import Settings
from workspace.shipped_rules import rule_file

HELD: tuple[SplitName, ...] = ("validation", "test")


def is_run(reward: str) -> bool:
    """True if a recipe's reward names a run; else it names a metric."""
    return re.fullmatch(r"R-\d+", reward) is not None


def metric_name(recipe: Recipe, settings: Settings) -> str:
    """Return the metric that answers are scored by: the reward where it is one, else the project's."""
    return settings.evaluation.metric if not recipe.reward or is_run(recipe.reward) else recipe.reward


def reward_run(project: Project, name: str) -> RunRecord:
    """Return the finished run of a reward model. Raises InputError for any other."""
    run = find_run(project, name)
    if run.objective != "reward" or run.state != "finished":
        what = (
            f"{run.id} is no reward model ({run.objective})" if run.objective != "reward" else f"{name} is {run.state}"
        )
        problem = Problem(f"{what}.", "[training] reward", "a finished run of objective reward, or a metric", name)
        raise InputError([problem], "rung plan --objective reward, then rung train")
    return run


def same_held_out(project: Project, run: RunRecord, dataset: str) -> None:
    """Raise Refusal if this dataset holds out other rows than the one that the reward model was trained on: pairs
    of rows that are held out now may be what it learnt from, and it would reward the answers to them.
    """
    if run.dataset == dataset:
        return
    here = _held_hashes(project, dataset)
    if here is None or here != _held_hashes(project, run.dataset):
        raise Refusal(
            f"{run.id} was trained on {run.dataset}, which holds out other rows than {dataset}: it may have learnt "
            "from rows that are tested on here.",
            "rung plan --objective reward, then rung train",
        )


def _held_hashes(project: Project, dataset: str) -> list[str] | None:
    """Return SHA-256 of the validation and the test split; None if one is not there."""
    folder = project.datasets / dataset
    if not (folder / "manifest.json").is_file():
        return None
    splits = read_manifest(folder).splits
    held = [splits[name].sha256 for name in HELD if name in splits]
    return held if len(held) == len(HELD) else None


def reward_fault(project: Project, recipe: Recipe, dataset: str) -> str:
    """Return how the reward model on disk differs from the plan's; empty if it does not."""
    if not is_run(recipe.reward):
        return ""
    try:
        run = reward_run(project, recipe.reward)
        same_held_out(project, run, dataset)
    except RungError as error:
        return error.message
    for name, digest in run.files.items():
        path = project.runs / run.adapter / name
        if not is_unchanged(path, digest):
            return f"{run.id}: {name} changed since it was trained"
    return "" if run.adapter_sha256 == recipe.signals else f"{run.id} is another reward model than was planned with"


GB = 10**9


def rows_of(folder: Path, split: SplitName, settings: Settings) -> Sequence[Example]:
    """Return the rows of a split whose bytes are those that were frozen; a large one stays on disk."""
    path = split_file(folder, split)
    return StreamedRows(path) if path.stat().st_size > settings.training.stream_over * GB else load_split(folder, split)


class StreamedRows(Sequence[Example]):
    """Rows that stay in their file: `datasets` streams them in order, and single ones are read where they begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begins = array("q")
        with path.open("rb") as file:
            place = 0
            for line in file:
                if line.strip():
                    self.begins.append(place)
                place += len(line)

    def __len__(self) -> int:
        return len(self.begins)

    def __iter__(self) -> Iterator[Example]:
        from datasets import load_dataset

        tell_nobody()
        lines = load_dataset("text", data_files=glob.escape(str(self.path)), split="train", streaming=True)
        return (Example.from_json(line["text"]) for line in lines if line["text"].strip())

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        with self.path.open("rb") as file:
            file.seek(self.begins[place])
            return Example.from_json(file.readline())


HELD_OUT = 10
"""One in this many is held out, at least one, if validation holds none."""


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one question, the better one `chosen`. `row` is the id of the reviewed row."""

    row: str
    split: Literal["train", "validation"]
    asked: list[Turn]
    chosen: str
    rejected: str
    tools: Any = None

    def texts(self) -> list[Example]:
        """Return both answers as rows, for readers of rows."""
        return [answered(self.asked, text, self.tools) for text in (self.chosen, self.rejected)]


@dataclass(frozen=True, slots=True)
class Preferences:
    """All pairs that were found; `left_out` says of each row that was not taken, why."""

    items: Sequence[AnswerPair]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Return the hash of the items as canonical JSON: the same reviews give the same."""
        lines = (json.dumps(asdict(item), sort_keys=True, ensure_ascii=False) for item in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def of(self, split: str) -> list[AnswerPair]:
        """Return the items of one split."""
        return [item for item in self.items if item.split == split]


def answered(asked: Sequence[Mapping[str, Any]], answer: str, tools: Any = None) -> Example:
    """Return a chat row of these turns and this answer; with tools, calls at its end are calls."""
    row: dict[str, object] = {"messages": list(asked), **({"tools": tools} if tools else {})}
    return Example(row).with_answer(answer)


def preferences_of(project: Project, settings: Settings, folder: Path) -> Preferences:
    """Return pairs from the frozen dataset in `folder` and the review log: one for each row that a person edited, and
    for each that holds both answers itself.

    What is in the frozen test or validation rows is left out. A plan keeps the hash of what was found, and the process
    that trains reads it again and compares. Raises Refusal if too little is left to learn from, with what to review.
    """
    manifest = read_manifest(folder)
    split_of = {str(row["id"]): str(row["split"]) for row in manifest.rows if row["split"] != "test"}
    with open_store(project, settings) as store:
        stored = {row.id: row for row in store.rows(excluded=None)}
    pairs: list[AnswerPair] = []
    left_out: dict[str, str] = {}
    for name, split in split_of.items():
        row = stored.get(name)
        if row is None or ("rejected" not in row.example.row and row.state != "edited"):
            continue
        if fault := _fault(row):
            left_out[name] = fault
        else:
            pairs.append(_pair(row, "train" if split == "train" else "validation"))
    if len(pairs) < 2:
        raise Refusal(
            f"{len(pairs)} pairs: a pair is a draft that a reviewer edited, in a frozen row; two at least are needed.",
            "rung review   (edit drafts instead of rejecting them), then rung data freeze",
        )
    return Preferences(_without_leaks(folder, _held_out(pairs), left_out), left_out)


def _fault(row: StoredRow) -> str:
    """Return the reason why the draft and the edit of a row are no pair."""
    now, before = row.example, row.original
    if "rejected" in now.row:
        return ""
    if not before.answer or not before.answer.strip():
        return "it came without an answer: there is no draft to compare with"
    if before.question != now.question or before.context != now.context:
        return "the question was edited too: the draft answers another one"
    if " ".join(before.answer.split()) == " ".join((now.answer or "").split()):
        return "only white space was edited"
    return ""


def _pair(row: StoredRow, split: Literal["train", "validation"]) -> AnswerPair:
    now = row.example
    worse = now.row.get("rejected")
    if worse is None:
        worse = row.original.answer
    elif not isinstance(worse, str):
        worse = said_in(worse[-1])
    return AnswerPair(
        row.id, split, [dict(turn) for turn in now.asked], now.answer or "", str(worse), now.row.get("tools")
    )


def _held_out(pairs: list[AnswerPair]) -> list[AnswerPair]:
    """Return the pairs; where validation holds none, some of train are held out, chosen by their hash."""
    if any(pair.split == "validation" for pair in pairs):
        return pairs
    order = sorted(pairs, key=lambda pair: hashlib.sha256(pair.row.encode()).hexdigest())
    aside = {pair.row for pair in order[: max(1, len(order) // HELD_OUT)]}
    return [replace(pair, split="validation") if pair.row in aside else pair for pair in pairs]


def _without_leaks(folder: Path, items: Sequence[AnswerPair], left_out: dict[str, str]) -> list[AnswerPair]:
    """Return the items, without those that repeat a frozen test row, or in train a validation row."""
    from curation.likeness.leaks.find import find_leaks

    test, validation = load_split(folder, "test"), load_split(folder, "validation")
    rows = [(item, text) for item in items for text in item.texts()]
    found = {rows[leak.train][0].row: "test" for leak in find_leaks([text for _, text in rows], test).leaks}
    learnt = [(item, text) for item, text in rows if item.split == "train"]
    for leak in find_leaks([text for _, text in learnt], validation).leaks:
        found.setdefault(learnt[leak.train][0].row, "validation")
    left_out.update({name: f"it is in {split}" for name, split in found.items()})
    return [item for item in items if item.row not in found]


LEAST_ROWS = 30
"""Fewer validation rows say too little to choose a checkpoint by."""
MOST_ROWS = 200
DECODING = 1.0
"""Cost of a generated token, in trained tokens: one forward pass of few rows, limited by memory."""
SPARE = 8
"""Tokens that an answer under reinforcement may have beyond the longest reviewed one."""
REPLAY_ROOM = 96
"""Most tokens of the base model's answer to a general question; one that was cut does not train."""
REPLAY_TOKENS = 192
"""Such a question with its answer, in any chat template."""
WORDS = {
    "sft": "the reviewed answers",
    "dpo": "pairs: a reviewer's edit against the draft",
    "reward": "pairs; the model learns to score answers, not to give them",
    "grpo": "sampled answers, rewarded by the metric against their group",
    "rloo": "sampled answers, rewarded by the metric against the others",
}


@dataclass(frozen=True, slots=True)
class ObjectiveRows:
    """Rows to train on and rows held out, or pairs as rows of both answers. `signals` names what was read."""

    train: Sequence[Example | list[Example]]
    validation: Sequence[Example | list[Example]]
    signals: str = ""
    notes: list[str] = field(default_factory=list)

    def seen(self) -> Iterator[list[Example]]:
        """Return each item that trains as the rows that the model sees of it."""
        return ([item] if isinstance(item, Example) else item for item in self.train)


def replay_questions() -> list[str]:
    """Return all general questions that the base model may answer for `[training] replay`, in a fixed order."""
    table = rule_file("general.toml")["replay"]
    both = [form.format(topic) for form in table["forms"] for topic in table["topics"]]
    random.Random(0).shuffle(both)
    return both


def material_of(project: Project, settings: Settings, folder: Path, objective: str) -> ObjectiveRows:
    """Return the objective's items. Raises Refusal for too few, or a reward model that may know held-out rows."""
    reward = settings.training.reward
    if objective in REINFORCED and is_run(reward):
        same_held_out(project, reward_run(project, reward), folder.name)
    if objective not in PAIRED:
        return ObjectiveRows(rows_of(folder, "train", settings), rows_of(folder, "validation", settings))
    found = preferences_of(project, settings, folder)
    learnt, held = found.of("train"), found.of("validation")
    notes = [f"{len(learnt)} pairs to train on and {len(held)} held out, from the reviews"]
    if found.left_out:
        name, why = next(iter(found.left_out.items()))
        notes.append(f"{len(found.left_out)} reviewed rows are no pairs: {name}: {why}")
    return ObjectiveRows([i.texts() for i in learnt], [i.texts() for i in held], found.sha256, notes)


def put_objective(draft: PlanDraft, project: Project, settings: Settings, facts: RunFacts, data: DataFacts) -> None:
    """Set the values that belong to the objective."""
    chosen, objective = settings.training, str(facts["objective"])
    if objective in ("dpo", *REINFORCED):
        draft.put_defaults(facts, chosen, "beta")
    if objective not in REINFORCED:
        return
    draft.put_defaults(facts, chosen, "generations", "temperature")
    text = f"the longest reviewed answer has {data.answer} tokens"
    draft.put("answer_tokens", data.answer + SPARE, Because(text=text, rule="your-data"))
    draft.override("answer_tokens", chosen.answer_tokens)
    metric = settings.evaluation.metric
    draft.put("reward", metric, Because(text="the project's metric, checked on each answer", rule="metric"))
    draft.override("reward", chosen.reward or None)
    if is_run(chosen.reward):
        draft.values["signals"] = reward_run(project, chosen.reward).adapter_sha256


def put_choice(draft: PlanDraft, settings: Settings, facts: RunFacts, data: DataFacts) -> None:
    """Choose the checkpoint by the metric if enough validation rows can be answered in a tenth of the training time.

    A reward model answers nothing, and reinforcement has no loss that could be compared.
    """
    asked, objective = settings.training.choose_by, facts["objective"]
    if objective == "reward":
        return draft.put("choose_by", "loss", Because(text="it gives no answers", rule="choose-by-metric"))
    # rows that can be answered at each check in a tenth of the training time before it
    each = data.tokens / max(1, draft.values["evals"])
    row = FORWARD * (data.tokens / max(1, data.train)) + DECODING * data.answer
    affordable = int(VALIDATION_SHARE * each / row)
    wanted = asked == "metric" or objective in REINFORCED
    if not wanted and (asked == "loss" or min(data.validation, affordable) < LEAST_ROWS):
        few = min(data.validation, affordable)
        text = f"answers of {few} validation rows are affordable, {LEAST_ROWS} would be needed"
        draft.put("choose_by", "loss", Because(text=text, rule="choose-by-metric", source=("judgement",)))
        return draft.override("choose_by", "loss" if asked == "loss" else None)
    rows = min(data.validation, MOST_ROWS if wanted else affordable, MOST_ROWS)
    text = f"{settings.evaluation.metric} on {rows} validation rows at each check"
    draft.put("choose_by", "metric", Because(text=text, rule="choose-by-metric", source=("judgement",)))
    draft.override("choose_by", "metric" if asked == "metric" else None)
    draft.values["metric_rows"] = rows
    return None
