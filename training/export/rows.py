"""The rows of an export, in the form of each trainer."""

import json
from collections.abc import Iterable
from typing import Any

from chat.tool_calls import for_template
from curation.example import Example, is_trained
from training.plan.methods import Loss
from training.run.tokens import with_system
from workspace.errors import Refusal

Row = dict[str, Any]
"""A row, or a message of one, as JSON."""


def row_of(example: Example, system_prompt: str | None) -> Row:
    """Messages as they are trained on (arguments of calls as objects), and the tools where the row has some."""
    messages = for_template([*with_system(example.asked, system_prompt), dict(example.messages[-1])])
    tools = example.row.get("tools")
    return {"messages": messages, **({"tools": tools} if tools else {})}


def trained(row: Row, loss: Loss) -> list[bool]:
    """Which messages train: the last, or each of the assistant's that does not say that it is not to."""
    last = len(row["messages"]) - 1
    return [
        at == last or (loss == "all" and turn["role"] == "assistant" and is_trained(turn))
        for at, turn in enumerate(row["messages"])
    ]


def pair(row: Row, _: Loss) -> Row:
    """Trl's form: loss on the completion alone, whatever the template."""
    *asked, answer = row["messages"]
    rest = {key: value for key, value in row.items() if key != "messages"}
    return {"prompt": asked, "completion": [answer], **rest}


def marked(row: Row, loss: Loss) -> Row:
    """axolotl's: each message says whether it trains."""
    trains = trained(row, loss)
    return {**row, "messages": [{**m, "train": each} for m, each in zip(row["messages"], trains, strict=True)]}


def with_tools_as_text(row: Row, _: Loss) -> Row:
    """LLaMA-Factory's. Raises Refusal where a message calls tools: there, such calls have a role of their own."""
    if any("tool_calls" in message for message in row["messages"]):
        raise Refusal("Rows with tool calls do not fit LLaMA-Factory's format as they are.", "rung plan export trl")
    return {**row, "tools": json.dumps(row["tools"], ensure_ascii=False)} if "tools" in row else row


def weighted(row: Row, loss: Loss, *, every: bool = False) -> Row:
    """A chat row as providers take it: assistant turns that do not train have weight 0.

    With `every`, each message has a weight: Together trains the questions, too, of a row that weighs only some.
    Source: https://docs.together.ai/docs/fine-tuning/data-preparation (read 2026-11-29).
    """
    messages = []
    for message, learns in zip(for_template(row["messages"], as_text=True), trained(row, loss), strict=True):
        named = every or (message["role"] == "assistant" and not learns)
        messages.append({**message, "weight": int(learns)} if named else message)
    return {**row, "messages": messages}


def jsonl(rows: Iterable[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
