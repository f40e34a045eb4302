"""Input of the trainers: columns of token ids, from frozen rows or pairs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat.local.prompt import render
from curation.example import Example
from training.plan.objective import AnswerPair, StreamedRows, preferences_of, rows_of
from training.plan.recipe import PAIRED, Loss, Recipe
from training.run.token_store import stored
from training.run.tokens import EncodedRows, Tokens, encode, tokenise, training_rows, trains_end, with_system
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
    if isinstance(rows, StreamedRows):
        found = EncodedRows()
        return Items(stored(training_rows(tokenizer, rows, system_prompt, limit, found, loss), found, disk), found)
    encoded = encode(tokenizer, rows, system_prompt, limit, loss)
    return Items([{"input_ids": t.ids, "labels": t.labels} for t in encoded.rows], encoded)


def pairs(tokenizer: Any, found: Sequence[AnswerPair], system_prompt: str | None, limit: int, *, whole: bool) -> Items:
    """Pairs for dpo: the prompt's ids and both answers'; `whole` for a reward model: both rows from their beginning."""
    columns, shown, too_long = [], [], []
    for number, pair in enumerate(found, 1):
        better, worse = (tokenise(tokenizer, number, text, system_prompt) for text in pair.texts())
        if max(len(better.ids), len(worse.ids)) > limit:
            too_long.append(number)
            continue
        shown.append(better)
        start = 0 if whole else min(_prompt(better), _prompt(worse))
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
        expected = str(row.row.get("tests", "")) if tests else row.answer or ""  # what a metric compares an answer with
        return {"prompt": text, "expected": expected, "question": question_of(row)}

    if isinstance(rows, StreamedRows):
        found = EncodedRows()
        return Items(stored(training_rows(tokenizer, rows, system_prompt, limit, found), found, disk, column), found)
    encoded = encode(tokenizer, rows, system_prompt, limit)
    return Items([column(tokens) for tokens in encoded.rows], encoded)


def question_of(row: Example) -> str:
    """JSON of the turns before the answer, with the tools: what a reward model is shown."""
    return json.dumps({"turns": [dict(turn) for turn in row.asked], "tools": row.row.get("tools")})


def picked(columns: Sequence[Column], places: Sequence[int]) -> Sequence[Column]:
    """Return some of the columns, in this order; columns of a table in a file are not read yet."""
    table: Any = columns
    found: Sequence[Column] = table.select(places) if hasattr(table, "select") else [columns[n] for n in places]
    return found


def _prompt(tokens: Tokens) -> int:
    """Return the number of tokens before the first trained one."""
    return len(tokens.ids) - tokens.trained
