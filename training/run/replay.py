"""Replay: general questions that the base model answers before it is trained, as rows beside the task's rows.

After Huang et al. 2024 (self-synthesized rehearsal) and Sun et al. 2026 (SA-SFT). The questions are in
rules/general.toml; none is in the general or the safety suite that measures forgetting.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chat.local.load import load
from chat.local.model import LocalModel
from chat.protocols import Ask
from curation.example import Example
from training.plan.objective import REPLAY_ROOM, replay_questions
from training.plan.recipe import Recipe
from training.run.inputs import Items, answers
from training.run.processes import agreed, world
from workspace.files import write_text

FILE = "replay.jsonl"


def replayed(recipe: Recipe, folder: Path) -> list[Example]:
    """Return the base model's full answers to the recipe's general questions.

    Asked once; the run's folder keeps the rows for when it is resumed. The first process asks for all.
    """
    lines = agreed(_lines(recipe, folder) if world().leads else None)
    return [Example.from_json(line) for line in lines or []]


def _lines(recipe: Recipe, folder: Path) -> list[bytes]:
    path = folder / FILE
    if not path.is_file():
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
