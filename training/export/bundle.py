"""Content of a bundle: training rows, plan, base model, the finding of every gate; and who may be given it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from chat.local.load import find_model
from chat.privacy import SEALED, UNTRAINED, privacy_answers, trains
from chat.protocols import Tokenizer
from chat.tool_calls import for_template
from curation.example import Example, is_trained
from curation.split.manifest import SplitName, load_split
from training.gates.clearance import Clearance, Locked, check_gates, receipt_of
from training.gates.gate import GateOverride
from training.plan.objective import GB
from training.plan.planning import token_length
from training.plan.plans import Plan, read_plan
from training.plan.recipe import Loss, Recipe
from training.run.tokens import with_system
from workspace.errors import Problem, Refusal
from workspace.folder import Project
from workspace.settings import Settings
from workspace.shipped_rules import rule_file

Row = dict[str, Any]


def row_of(example: Example, system_prompt: str | None) -> Row:
    """Return messages as they are trained on (arguments of calls as objects), and the tools where the row has some."""
    messages = for_template([*with_system(example.asked, system_prompt), dict(example.messages[-1])])
    tools = example.row.get("tools")
    return {"messages": messages, **({"tools": tools} if tools else {})}


def trained(row: Row, loss: Loss) -> list[bool]:
    """Return which messages train: the last, or each of the assistant's that does not opt out."""
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
    """LLaMA-Factory's. Raises Refusal if a message calls tools: there, such calls have a role of their own."""
    if any("tool_calls" in message for message in row["messages"]):
        raise Refusal("Rows with tool calls do not fit LLaMA-Factory's format as they are.", "rung plan export trl")
    return {**row, "tools": json.dumps(row["tools"], ensure_ascii=False)} if "tools" in row else row


def weighted(row: Row, loss: Loss, *, every: bool = False) -> Row:
    """Return a chat row as providers take it: assistant turns that do not train have weight 0.

    With `every`, each message has a weight: Together trains the questions, too, of a row that weighs only some.
    Source: https://docs.together.ai/docs/fine-tuning/data-preparation (read 2026-11-29).
    """
    messages = []
    for message, learns in zip(for_template(row["messages"], as_text=True), trained(row, loss), strict=True):
        named = every or (message["role"] == "assistant" and not learns)
        messages.append({**message, "weight": int(learns)} if named else message)
    return {**row, "messages": messages}


def jsonl(rows: Iterable[Row]) -> str:
    """Return one JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


SPLITS: tuple[SplitName, ...] = ("train", "validation")
"""The test set stays at home: the adapter comes back through `rung runs adopt`."""
LAST_ONLY = ("trl", "unsloth", "skypilot", "dstack", "notebook")
"""Exports whose script trains the last turn of a row."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One plan, ready to leave. `rows` are messages with the plan's system prompt, the last one the answer to train.

    `left_out` lists the lines of each split that are over the plan's length; no trainer may cut an answer.
    `base` is a hub id, or where `local` an absolute folder.
    """

    plan: Plan
    base: str
    local: bool
    clearance: Clearance
    rows: Mapping[SplitName, Sequence[Row]]
    left_out: Mapping[SplitName, Sequence[int]] = field(default_factory=dict)
    cards: int = 1
    stream_over: int = 2 * GB
    """Bytes of rows over which a script reads them as a stream instead of into a table on disk."""

    @property
    def recipe(self) -> Recipe:
        """The plan's values, for one process: each trainer shares the rows of a step in its own way."""
        return self.plan.recipe.alone()


def pack(
    project: Project,
    settings: Settings,
    plan_file: Path,
    tokenizer: Tokenizer,
    *,
    kind: str,
    cards: int = 1,
    overrides: Sequence[GateOverride] = (),
) -> Bundle:
    """Read the frozen rows and ask every gate.

    The machine gate is written down but not asked: the run happens elsewhere. Raises Locked if another is closed,
    Refusal where the plan's objective is none that other trainers are given.
    """
    plan = read_plan(plan_file)
    gates = check_gates(project, settings, plan, overrides=overrides)
    if not all(gate.opens for gate in gates if gate.name != "machine"):
        raise Locked(gates)
    if plan.recipe.objective != "sft":
        raise Refusal(
            f"{plan.id} trains by {plan.recipe.objective}: exports are for supervised tuning (sft).",
            "rung train   (trains it here)",
        )
    if plan.recipe.replay:
        raise Refusal(
            f"{plan.id} has replay: its general rows are written by the base model as rung train begins.",
            "rung train, or rung plan --set replay=0",
        )
    if plan.recipe.loss == "all" and kind in LAST_ONLY:
        raise Refusal(f'{plan.id} trains every assistant turn (loss = "all"), which this script cannot: {kind}.',
                      "rung plan export axolotl")  # fmt: skip
    clearance = receipt_of(project, plan_file, plan, gates, f"export-{kind}")
    place, hub = find_model(plan.recipe.base)
    base = place if hub else str(Path(place).resolve())
    rows, left_out = _rows(project.datasets / plan.dataset, plan.recipe, tokenizer)
    stream_over = round(settings.training.stream_over * GB)
    return Bundle(plan, base, not hub, clearance, rows, left_out, cards, stream_over)


def _rows(
    folder: Path, recipe: Recipe, tokenizer: Tokenizer
) -> tuple[dict[SplitName, list[Row]], dict[SplitName, list[int]]]:
    rows: dict[SplitName, list[Row]] = {}
    left_out: dict[SplitName, list[int]] = {}
    for split in SPLITS:
        examples = load_split(folder, split)
        fits = [token_length(tokenizer, row, recipe.system_prompt) <= recipe.max_length for row in examples]
        rows[split] = [row_of(row, recipe.system_prompt) for row, fit in zip(examples, fits, strict=True) if fit]
        left_out[split] = [number for number, fit in enumerate(fits, 1) if not fit]
    return rows, left_out


ROLES = ("system", "user", "assistant", "tool")


def may_leave(
    project: Project, today: date | None = None, provider: str = "openai", host: str = "api.openai.com"
) -> None:
    """Raises Refusal if the privacy answer keeps rows from this provider: the files are made to be uploaded.

    `today`: the day that what is known of the provider is held against; the present one where none is given.
    """
    answers = privacy_answers(project.answers_file)
    why = "it keeps rows on this machine" if SEALED in answers else ""
    if not why and UNTRAINED in answers:
        why = trains(provider, host, today or date.today())
    if why:
        said = ", ".join(sorted(answers))
        raise Refusal(
            f"No rows for {host}: your answer privacy = {said}; {why}.", "rung plan export trl", where="privacy"
        )


def limits() -> dict[str, int]:
    """Return the provider's dated limits."""
    entry = next(e for e in rule_file("managed.toml")["provider"] if e["id"] == "openai")
    return dict(entry["limits"])


def faults(name: str, text: str, allowed: Mapping[str, int]) -> list[Problem]:
    """Return the limits that one file exceeds. Tokens are counted from above: no token is shorter than a byte."""
    found = []
    lines = text.splitlines()
    if name.startswith("train") and len(lines) < allowed["min_rows"]:
        found.append(Problem(f"{len(lines)} rows; at least {allowed['min_rows']} are asked for.", name))
    size = len(text.encode())
    if size > allowed["max_bytes"]:
        found.append(Problem(f"{size:,} bytes; at most {allowed['max_bytes']:,} are taken.", name))
    for number, line in enumerate(lines, 1):
        found += _row_faults(f"{name}:{number}", line, allowed)
    return found


def _row_faults(where: str, line: str, allowed: Mapping[str, int]) -> list[Problem]:
    row = json.loads(line)
    roles = [message["role"] for message in row["messages"]]
    found = [Problem(f'role "{role}" is not taken.', where) for role in roles if role not in ROLES]
    if not roles or roles[-1] != "assistant":
        found.append(Problem("the last message is not the assistant's.", where))
    if len(line.encode()) > allowed["max_tokens"] * 4:
        found.append(Problem(f"may be over {allowed['max_tokens']:,} tokens ({len(line.encode()):,} bytes).", where))
    return found
