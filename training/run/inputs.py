"""Input of the trainers: columns of token ids, from frozen rows, pairs or replay, in memory or on disk."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from chat.local.prompt import render
from chat.protocols import Ask
from curation.example import Example
from training.plan.objective import REPLAY_ROOM, AnswerPair, StreamedRows, preferences_of, replay_questions, rows_of
from training.plan.recipe import PAIRED, Loss, Recipe
from training.run.processes import agreed, world
from training.run.tokens import EncodedRows, Tokens, tokenise, training_rows, trains_end, with_system
from workspace.files import write_text
from workspace.folder import Project
from workspace.settings import Settings

Column = dict[str, Any]
"""One item under the names of trl: token ids, labels, or a prompt with what the reward compares."""


@dataclass(frozen=True, slots=True)
class Items:
    """`columns` as the trainer wants them, one entry an item; `encoded` the rows behind them, for the pre-flight.

    Of a split that is streamed both look into a file: the columns are a `datasets.Dataset` then.
    """

    columns: Sequence[Column]
    encoded: EncodedRows = field(default_factory=EncodedRows)


def items_of(
    project: Project, settings: Settings, folder: Path, recipe: Recipe, tokenizer: Any, *, tests: bool = False
) -> tuple[Items, Items]:
    """Return the training and validation items of this recipe, from the frozen dataset in `folder`.

    `tests`: the metric runs the row's own tests. Raises Refusal if the reviews hold too few pairs.
    """
    prompt, limit, disk = recipe.system_prompt, recipe.max_length, project.runs
    if recipe.objective in PAIRED:
        found, whole = preferences_of(project, settings, folder), recipe.objective == "reward"
        learnt, held = (pairs(tokenizer, found.of(s), prompt, limit, whole=whole) for s in ("train", "validation"))
        return learnt, held
    train, validation = rows_of(folder, "train", settings), rows_of(folder, "validation", settings)
    if recipe.objective == "sft":
        learnt, held = (answers(tokenizer, rows, prompt, limit, disk, recipe.loss) for rows in (train, validation))
    else:
        learnt, held = (questions(tokenizer, rows, prompt, limit, disk, tests=tests) for rows in (train, validation))
    return learnt, held


def answers(
    tokenizer: Any,
    rows: Sequence[Example],
    system_prompt: str | None,
    limit: int,
    disk: Path,
    loss: Loss = "last",
) -> Items:
    """Supervised rows: ids, and labels at what trains. Where `rows` are streamed, both go onto `disk`."""
    found = EncodedRows()
    tokens = training_rows(tokenizer, rows, system_prompt, limit, found, loss)
    if isinstance(rows, StreamedRows):
        return Items(stored(tokens, found, disk), found)
    found.rows = list(tokens)
    return Items([{"input_ids": t.ids, "labels": t.labels} for t in found.rows], found)


def pairs(tokenizer: Any, found: Sequence[AnswerPair], system_prompt: str | None, limit: int, *, whole: bool) -> Items:
    """Pairs for dpo: the prompt's ids and both answers'; `whole` for a reward model: both rows from their beginning."""
    columns, shown, too_long = [], [], []
    for number, pair in enumerate(found, 1):
        better, worse = (tokenise(tokenizer, number, text, system_prompt) for text in pair.texts())
        if max(len(better.ids), len(worse.ids)) > limit:
            too_long.append(number)
            continue
        shown.append(better)
        start = 0 if whole else min(len(each.ids) - each.trained for each in (better, worse))
        row = {"chosen_ids": better.ids[start:], "rejected_ids": worse.ids[start:]}
        columns.append(row if whole else {"prompt_ids": better.ids[:start], **row})
    return Items(columns, EncodedRows(shown, too_long, [], sum(trains_end(tokenizer, tokens) for tokens in shown)))


def questions(
    tokenizer: Any, rows: Sequence[Example], system_prompt: str | None, limit: int, disk: Path, *, tests: bool
) -> Items:
    """Rendered questions for reinforcement, each with the answer (or the `tests`) that the reward looks at."""

    def column(tokens: Tokens) -> dict[str, str]:
        row = rows[tokens.row - 1]
        text = render(tokenizer, with_system(row.asked, system_prompt), row.row.get("tools"))
        expected = row.tests if tests else row.answer or ""  # what a metric compares an answer with
        return {"prompt": text, "expected": expected, "question": question_of(row)}

    found = EncodedRows()
    tokens = training_rows(tokenizer, rows, system_prompt, limit, found)
    if isinstance(rows, StreamedRows):
        return Items(stored(tokens, found, disk, column), found)
    found.rows = list(tokens)
    return Items([column(each) for each in found.rows], found)


def question_of(row: Example) -> str:
    """JSON of the turns before the answer, with the tools: what a reward model is shown."""
    return json.dumps({"turns": [dict(turn) for turn in row.asked], "tools": row.row.get("tools")})


def picked(columns: Sequence[Column], places: Sequence[int]) -> Sequence[Column]:
    """Return some of the columns, in this order; columns of a table in a file are not read yet."""
    table: Any = columns
    found: Sequence[Column] = table.select(places) if hasattr(table, "select") else [columns[n] for n in places]
    return found


IDS = ("input_ids", "labels")
AT_ONCE = 500
"""Rows that are held before they are written."""


def stored(
    rows: Iterable[Tokens],
    found: EncodedRows,
    folder: Path,
    more: Callable[[Tokens], Mapping[str, str]] | None = None,
) -> Any:
    """Return the rows, put into `found` as they are on the disk of `folder`, and their columns as a `datasets.Dataset`.

    The columns are ids and labels, or what `more` makes of a row in their place.
    """
    columns = (
        {"row": tokens.row, "input_ids": tokens.ids, "labels": tokens.labels, **(more(tokens) if more else {})}
        for tokens in rows
    )
    table = _store(columns, folder)
    found.rows = StoredTokens(table)
    return table.select_columns([n for n in table.column_names if n not in ("row", *IDS)] if more else list(IDS))


class StoredTokens(Sequence[Tokens]):
    """The tokens of a table, row by row."""

    def __init__(self, table: Any) -> None:
        self.table = table.select_columns(["row", *IDS])

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Tokens]:
        return (_tokens(column) for column in self.table)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        return _tokens(self.table[place])


def _tokens(column: Mapping[str, Any]) -> Tokens:
    return Tokens(column["row"], column["input_ids"], column["labels"])


def _store(columns: Iterator[Mapping[str, Any]], folder: Path) -> Any:
    """Return the columns as a `datasets.Dataset` mapped from an Arrow file; a token takes 8 bytes with its label.

    The file's name is gone once it is open: nothing of it outlives the process, however that ends.
    """
    import pyarrow as pa
    from datasets import Dataset

    ids = pa.list_(pa.int32())
    schema = pa.schema({"row": pa.int32(), "input_ids": ids, "labels": ids})
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rows-", dir=folder) as place:
        path = str(Path(place) / "rows.arrow")
        writer = None
        while some := list(islice(columns, AT_ONCE)):
            if writer is None:
                for name in some[0].keys() - set(schema.names):
                    schema = schema.append(pa.field(name, pa.large_string()))
                writer = pa.RecordBatchStreamWriter(path, schema)
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
        (writer or pa.RecordBatchStreamWriter(path, schema)).close()
        return Dataset.from_file(path)


FILE = "replay.jsonl"


def replayed(recipe: Recipe, folder: Path) -> list[Example]:
    """Return the base model's full answers to the recipe's general questions, which train beside the task's rows.

    After Huang et al. 2024 (self-synthesized rehearsal) and Sun et al. 2026 (SA-SFT). No question is in the suites that
    measure forgetting. Asked once; the run's folder keeps the rows for when it is resumed. The first process asks.
    """
    lines = agreed(_lines(recipe, folder) if world().leads else None)
    return [Example.from_json(line) for line in lines or []]


def _lines(recipe: Recipe, folder: Path) -> list[bytes]:
    path = folder / FILE
    if not path.is_file():
        from chat.local.load import load
        from chat.local.model import LocalModel

        model = LocalModel(load(recipe.base, threads=recipe.threads, enable_thinking=recipe.enable_thinking))
        asked = replay_questions()[: recipe.replay]
        replies = model.answer([Ask(({"role": "user", "content": question},), REPLAY_ROOM) for question in asked])
        rows = [
            {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply.text.strip()}]}
            for question, reply in zip(asked, replies, strict=True)
            if reply.stopped == "end" and reply.text.strip()
        ]
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    return path.read_bytes().splitlines()


def with_replay(items: Items, rows: Sequence[Example], tokenizer: Any, recipe: Recipe, folder: Path) -> Items:
    """Return the items with these rows behind them. A table in a file stays one."""
    more = list(answers(tokenizer, rows, None, recipe.max_length, folder).columns)
    if not more:
        return items
    columns: Any = items.columns
    if not hasattr(columns, "features"):
        return replace(items, columns=[*columns, *more])
    from datasets import Dataset, concatenate_datasets

    return replace(items, columns=concatenate_datasets([columns, Dataset.from_list(more, features=columns.features)]))
