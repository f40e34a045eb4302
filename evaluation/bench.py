"""Basis of a measurement: the frozen test set, the rows to choose on and to show, the desk that all arms share.

These rows are of the frozen dataset, else reviewed rows of the store: never a test row, and none that the leakage check
finds against the test set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from chat.hosted import Hosted
from chat.privacy import notices, unguarded
from chat.protocols import ChatModel, Embedder, Progress
from curation.example import Example
from curation.split.manifest import SplitName, load_split, newest_dataset, read_manifest
from curation.split.split import group_key
from curation.store import Store, StoredRow, open_store, store_exists
from evaluation.arms.arm_material import ArmMaterial, read_prompts
from evaluation.arms.prompted import BIGGER_MODEL
from evaluation.ask import Replies
from evaluation.judge.model_judge import project_judge
from evaluation.measure import EvalItem, Harness, choosing_items, items_of
from evaluation.measurement_report import Abstention, ArmResult, SureSplits, abstention
from evaluation.metrics.item_metrics import item_metric
from evaluation.metrics.json_documents import json_shape
from evaluation.retrieval import Meanings, read_documents
from workspace.errors import InputError, Problem, Refusal
from workspace.files import read_utf8
from workspace.folder import Project, by_number, next_id
from workspace.settings import EvaluationSettings, Settings


@dataclass(frozen=True)
class DevRows:
    """`validation` chooses, `examples` may be shown; `validation_ids` are ids of pool rows in the store, in the
    same order; empty for rows that have their split already.

    `notes` says where they come from, in words for the report.
    """

    validation: tuple[Example, ...] = ()
    examples: tuple[Example, ...] = ()
    validation_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def rows_for(project: Project, settings: Settings, folder: Path, test: Sequence[Example]) -> DevRows:
    """Return rows of the newest dataset that holds this very test set and a train split, else of the store."""
    test_sha = read_manifest(folder).splits["test"].sha256
    full = newest_dataset(project, complete=True)
    if full is not None and read_manifest(full).splits["test"].sha256 == test_sha:
        return frozen_rows(full)
    if not store_exists(project, settings):
        return DevRows(notes=("No rows to choose on: one version of each arm was taken, untried.",))
    with open_store(project, settings) as store:
        return stored_rows(store, settings, test)


def frozen_rows(folder: Path) -> DevRows:
    """Validation and train of a frozen dataset."""
    validation = load_split(folder, "validation") if "validation" in read_manifest(folder).splits else []
    train = [row for row in load_split(folder, "train") if row.answer is not None]
    note = (
        f"Chosen on the {len(validation)} validation rows of {folder.name}, examples from its {len(train)} train rows."
    )
    return DevRows(tuple(validation), tuple(train), notes=(note,))


def stored_rows(store: Store, settings: Settings, test: Sequence[Example]) -> DevRows:
    """Reviewed imported rows, cleared against the test set and split as the freeze will split them."""
    from curation.likeness.leaks.find import clean_rows

    found = store.rows(role=["pool", "train", "validation"], origin="import")
    known = [row for row in found if (row.is_reviewed or row.state == "trusted") and row.example.answer is not None]
    kept, _ = clean_rows([row.example for row in known], test)
    usable = [known[index] for index in kept]
    validation, train = _parted(usable, settings)
    if not validation:
        return DevRows(notes=("No reviewed rows to choose on: only base and prompt can be measured.",))
    trusted = sum(row.state == "trusted" for row in usable)
    note = f"Chosen on {len(validation)} reviewed pool rows, examples from {len(train)} others; they become validation."
    told = (f"{trusted} of these rows were trusted by policy, not reviewed.",) if trusted else ()
    return DevRows(
        tuple(row.example for row in validation),
        tuple(row.example for row in train),
        tuple(row.id if row.role == "pool" else "" for row in validation),
        (note, *told),
    )


def mark_choosing(project: Project, settings: Settings, ids: Sequence[str]) -> None:
    """Pin the pool rows that chose to validation, where the next freeze will leave them."""
    wanted = [name for name in ids if name]
    if wanted:
        with open_store(project, settings) as store:
            unmarked = [row.id for row in store.rows(ids=wanted) if row.mark != "validation"]
            if unmarked:
                store.mark(unmarked, "validation")


def _parted(rows: Sequence[StoredRow], settings: Settings) -> tuple[list[StoredRow], list[StoredRow]]:
    """Validation and train as a freeze would part the pool; rows that came with a split, or a mark, keep it."""
    from curation.split.split import plan_split

    share = settings.dataset.validation
    fixed: dict[int, SplitName] = {
        i: "validation" if "validation" in (row.mark, row.role) else "train"
        for i, row in enumerate(rows)
        if row.mark or row.role != "pool"
    }
    shares: dict[SplitName, float] = {"train": 1 - share, "validation": share}
    plan = plan_split([row.example for row in rows], settings.dataset, shares, fixed)
    return [rows[i] for i in plan.rows("validation")], [rows[i] for i in plan.rows("train")]


def clusters_of(
    dataset: Path, group_by: str, lines: Sequence[int], split: SplitName = "test"
) -> tuple[str, ...] | None:
    """Return the group of each item, by the line of its row in the split, or None if no two items share one.

    The key that the dataset was frozen by counts; `group_by` only where it was frozen by none, so that a key which is
    taken out of rung.toml later narrows no interval. The items of a row without the key are a group of their own.
    """
    if (dataset / "manifest.json").is_file():
        group_by = read_manifest(dataset).policy.get("group_by") or group_by
    if not group_by and len(set(lines)) == len(lines):
        return None
    keys = [group_key(row, group_by) for row in load_split(dataset, split)]
    found = tuple(keys[line - 1] or f"item {line}" for line in lines)
    return found if len(set(found)) < len(found) else None


LABELS_FILE = "labels.txt"
Watch = Callable[[str], Progress | None]
"""Maps a description of the measurement to its progress line."""


@dataclass(frozen=True)
class Bench:
    """A project's test set and everything that is measured on it. `items` are opened only after choosing."""

    project: Project
    settings: Settings
    dataset: Path
    test_sha256: str
    rows: DevRows
    desk: Harness
    watch: Watch
    bigger: ChatModel | None = None
    """Another model, for the arm `bigger_model`."""
    judge: ChatModel | None = None
    """The model that scores where `[evaluation] metric = "judge"`."""
    meanings: Meanings | None = None
    """Searches rows and passages by embeddings, beside words."""
    encoder: Meanings | None = None
    """Embeds for the arm `encoder`."""
    own: Mapping[str, ChatModel] = field(default_factory=dict)
    """The user's own systems, by arm."""
    writer: ChatModel | None = None
    """Rewrites the instruction of the arm `optimised`."""
    label_scoring: bool = False
    """Score every possible answer of every item, for calibration: a forward pass an answer. It decides nothing."""

    @property
    def items(self) -> list[EvalItem]:
        """The test items that are asked, read from the frozen file."""
        return items_of(load_split(self.dataset, "test"), self.settings.evaluation.turns)

    @cached_property
    def groups(self) -> dict[int, str] | None:
        """The group of each test item that is asked, by its number, where some share one."""
        items = self.items
        found = clusters_of(self.dataset, self.settings.dataset.group_by, [item.line for item in items])
        return None if found is None else {item.number: name for item, name in zip(items, found, strict=True)}

    @property
    def choosing(self) -> list[EvalItem]:
        """The rows that arms choose on."""
        return choosing_items(self.rows.validation, self.settings.evaluation)

    @property
    def validating(self) -> list[EvalItem]:
        """All validation rows: what an arm that asks no model chooses its settings on."""
        return items_of(self.rows.validation, self.settings.evaluation.turns)

    @property
    def rows_notes(self) -> list[str]:
        """Return the sources of the rows, and how many of the validation rows were asked."""
        asked, there = len(self.choosing), len(self.validating)
        drawn = f"{asked} of these validation rows, drawn by their content ([evaluation] choose_on)"
        told = f"Arms were compared on {drawn}{'; a classifier sets itself by all of them' if self.closed else ''}."
        return [*self.rows.notes, *([told] if asked < there else [])]

    def where_sure(self, sure: SureSplits, arm: ArmResult) -> Abstention | None:
        """Return the result of an arm at the wanted precision, with the cost per item."""
        asked, own = self.settings.evaluation, None if arm.cost_usd is None else arm.cost_usd / arm.n
        return abstention(sure.held, sure.test, asked.precision, self.groups, own, asked.person_usd)

    @property
    def closed(self) -> bool:
        """True if the answers form a closed set."""
        return bool(self.desk.choices)

    @property
    def judge_notes(self) -> list[str]:
        """Return the judge's notes for the report so far."""
        return self.desk.judge.notes if self.desk.judge else []

    @property
    def model_notes(self) -> list[str]:
        """Return the models' notices (parameters left out, end of life), and calls perhaps charged without a reply."""
        models = [self.desk.model, self.bigger, self.judge, *self.own.values()]
        told = [note for model in models for note in notices(model)]
        return list(dict.fromkeys([*told, *self.desk.replies.unanswered(*models)]))

    def desk_of(self, arm: str) -> Harness:
        """Return the desk of an arm: the shared one, with the other model or system where the arm asks that."""
        other = self.bigger if arm == BIGGER_MODEL else self.own.get(arm)
        return replace(self.desk, model=other) if other is not None else self.desk

    def material(self) -> ArmMaterial:
        """Return the material of the arms."""
        base, prompts = read_prompts(self.project)
        return ArmMaterial(
            base=base,
            prompts=prompts,
            examples=self.rows.examples,
            documents=read_documents(self.project.documents),
            few_shot=self.settings.evaluation.few_shot,
            retrieved=self.settings.evaluation.retrieved,
            closed=self.closed,
            choosing=len(self.choosing),
            bigger=self.bigger.name if self.bigger else "",
            optimise=self.settings.evaluation,
            meanings=self.meanings,
            validation=self.rows.validation,
            encoder=self.encoder,
            tune_encoder=self.settings.evaluation.tune_encoder,
        )

    def with_encoder(self, opened: Callable[[], Embedder | None]) -> Bench:
        """Return the bench with the embedding model that `opened` gives, if there are labels to learn."""
        if not self.closed:
            return self
        embedder = None if self.meanings else opened()
        reading = Meanings(embedder, lambda: self.watch("encoder, reading texts")) if embedder else None
        return replace(self, encoder=self.meanings or reading)


def open_bench(
    project: Project,
    settings: Settings,
    model: ChatModel,
    *,
    dataset: str | None = None,
    rows_of: str | None = None,
    watch: Watch = lambda what: None,
    label_scoring: bool = False,
    bigger: ChatModel | None = None,
    judge: ChatModel | None = None,
    budget_usd: float | None = None,
    embedder: Embedder | None = None,
) -> Bench:
    """Find the frozen test set (of `dataset`, else the newest) and the rows that go with it, or those of `rows_of`.

    Raises Refusal if no test set is frozen or its bytes changed, InputError where it holds no answered row.
    """
    folder, test = frozen_test(project, dataset)
    metric = item_metric(settings.evaluation.metric, project.root)
    rows = frozen_rows(project.datasets / rows_of) if rows_of else rows_for(project, settings, folder, test)
    known, turns = [*rows.examples, *rows.validation], settings.evaluation.turns
    _demand_calls(sum(_calls(row, turns) for row in [*test, *known]), model, bigger)
    choices = closed_set(project, known, settings.evaluation)
    for each in (unguarded(model), unguarded(bigger)):
        if choices and isinstance(each, Hosted):
            each.probabilities = True
    replies = Replies(project.evaluations / ".partial" / "replies.jsonl", budget_usd)
    scores = project_judge(project, settings, judge, replies) if metric.judged else None
    shape = (
        None if choices else json_shape(metric.spec, project.root, [item.expected for item in items_of(known, turns)])
    )
    desk = Harness(
        model,
        metric,
        replies,
        settings.model.max_tokens,
        choices,
        scores,
        shape,
        settings.model.thinking_tokens,
    )
    return Bench(
        project,
        settings,
        folder,
        read_manifest(folder).splits["test"].sha256,
        rows,
        desk,
        watch,
        bigger=bigger,
        judge=judge,
        meanings=Meanings(embedder) if embedder is not None else None,
        label_scoring=label_scoring,
    )


def _calls(row: Example, turns: Literal["last", "all"]) -> bool:
    """True if a turn that the model answers calls tools."""
    return row.calls or (turns == "all" and any(message.get("tool_calls") for message in row.messages))


def _demand_calls(calling: int, *models: ChatModel | None) -> None:
    """Raise Refusal if answers are tool calls and a model cannot be asked for them."""
    for model in models if calling else ():
        if why := getattr(model, "calls_unread", ""):
            raise Refusal(
                f"{why} Of these rows {calling:,} {'is' if calling == 1 else 'are'} answered with a tool call.",
                "name another model, or ask it behind a server that reads its calls (vLLM, llama.cpp)",
            )


def frozen_test(project: Project, dataset: str | None = None) -> tuple[Path, list[Example]]:
    """Return the dataset's folder and test rows. Refusal if none is frozen or it changed, InputError if empty."""
    folder = newest_dataset(project, dataset)
    if folder is None or "test" not in read_manifest(folder).splits:
        raise Refusal(
            "No test set is frozen yet: the ladder is measured on frozen items.", "rung data freeze --test-only"
        )
    test = load_split(folder, "test")
    if not items_of(test):
        raise InputError([Problem("the test set holds no answered row.", str(folder / "test.jsonl"))])
    return folder, test


def closed_set(project: Project, known: Sequence[Example], settings: EvaluationSettings) -> tuple[str, ...]:
    """Return the possible answers, sorted, or none where they are not a closed set. Test answers take no part.

    `labels.txt` in the project folder (one answer a line) says it outright. Else the distinct answers of the rows
    that may be shown or chosen on: on `auto` only if there are at most `label_limit` of them and each occurs twice
    on average. Tool calls are no closed set: a model that is held to texts cannot call.
    """
    items = items_of(known, settings.turns)
    if settings.closed_set == "off" or any(_calls(row, settings.turns) for row in known):
        return ()
    file = project.root / LABELS_FILE
    if file.is_file():
        lines = read_utf8(file).splitlines()
        return tuple(sorted({line.strip() for line in lines if line.strip()}))
    counts = Counter(item.expected.strip() for item in items if item.expected.strip())
    small = len(counts) <= settings.label_limit and counts.total() >= 2 * len(counts)
    return tuple(sorted(counts)) if counts and (small or settings.closed_set == "on") else ()


def open_folder(project: Project) -> Path:
    """Return the folder of a new evaluation: the one that a killed measuring left without its report, else the next.

    A verdict that was written there, and whose report was not, is taken away: nothing rests on it.
    """
    unfinished = [p for p in project.evaluations.glob("E-*") if p.is_dir() and not (p / "report.json").exists()]
    folder = max(unfinished, key=by_number, default=None) or project.evaluations / next_id(project.evaluations, "E")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdict.json").unlink(missing_ok=True)
    return folder
