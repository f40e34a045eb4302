"""Each kind of row in each stage, as a table of docs/curation.md: `RUNG_WRITE_DOCS=1` writes what was seen into it."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import in_shell
import pytest
from rows_in_files import rows_of, write

from chat.local.embedded import embedded_folder
from chat.tool_calls import claude_turns, openai_turns
from curation.example import Example, edited_text
from curation.review.ruling import with_text
from evaluation.measure import items_of
from evaluation.metrics.text import exact_match
from training.run.base_model import load_tokenizer
from training.run.tokens import IGNORED, tokenise

PAGE = Path(__file__).parents[2] / "docs" / "curation.md"
BEGIN, END = "<!-- kinds of rows by stages -->", "<!-- end -->"
TOOLS = [{"type": "function", "function": {"name": "pay", "description": "Pay.", "parameters": {
    "type": "object", "properties": {"to": {"type": "string"}}}}}]  # fmt: skip
STAGES = ("read", "duplicate found", "contradiction found", "leak found", "edited in review", "scored", "trained",
          "every turn trained", "sent to hosted models")  # fmt: skip


def words(seed: str, count: int = 12) -> str:
    return " ".join(f"{seed}{n}" for n in range(count))


def user(seed: str) -> dict[str, object]:
    return {"role": "user", "content": words(seed)}


def says(text: str, **more: object) -> dict[str, object]:
    return {"role": "assistant", "content": text, **more}


def calls(to: str, text: str | None = None, number: str = "1") -> dict[str, object]:
    made = {
        "id": f"callnum{number}",
        "type": "function",
        "function": {"name": "pay", "arguments": json.dumps({"to": to})},
    }
    return {"role": "assistant", "content": text, "tool_calls": [made]}


def kinds(answer: str, number: str) -> dict[str, dict[str, object]]:
    """A row of every kind, with this answer; the number is in what tells no two rows apart."""
    result = {"role": "tool", "content": "done", "tool_call_id": f"callnum{number}"}
    return {
        "one turn": {"messages": [user("one"), says(answer)]},
        "system message": {"messages": [{"role": "system", "content": "Be brief."}, user("sys"), says(answer)]},
        "several turns": {"messages": [user("several"), says("and then?"), user("turns"), says(answer)]},
        "reasoning": {"messages": [user("reason"), says(answer, reasoning_content=f"thought {number}")]},
        "answer is a call": {"messages": [user("call"), calls(answer, None, number)], "tools": TOOLS},
        "text and a call": {"messages": [user("textcall"), calls(answer, "I pay.", number)], "tools": TOOLS},
        "calls in the middle": {
            "messages": [user("middle"), calls("Ann", None, number), result, says(answer)], "tools": TOOLS,
        },
        "preference": {"prompt": words("prefer"), "chosen": answer, "rejected": "worse"},
        "Label Studio task": {"data": {"text": words("task")}, "annotations": [{"result": [
            {"type": "choices", "value": {"choices": [answer]}}]}]},
        "unanswered": {"messages": [user("open")]},
        "text": {"text": words("plain", 30)},
    }  # fmt: skip


def lines_of(rows: dict[str, dict[str, object]]) -> list[str]:
    return [json.dumps(row) for row in rows.values()]


def of_kinds(lines: set[int], names: list[str]) -> set[str]:
    """The kinds of these lines of a file that holds every kind several times, in order."""
    return {names[(line - 1) % len(names)] for line in lines}


@pytest.fixture(scope="module")
def tokenizer():
    trl = pytest.importorskip("trl")
    made = load_tokenizer(str(embedded_folder()))
    made.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja").read_text(encoding="utf-8")
    return made


def does(stage: str, example: Example, tokenizer) -> bool:
    """True if a stage succeeds with a row."""
    if stage.startswith("edited"):
        text = (edited_text(example.row) or "blue").replace("blue", "green").replace("plain0", "green")
        made = Example.from_json(with_text(example, text))
        return "green" in (made.answer or made.question) and made.calls == example.calls
    if stage == "scored":
        items = items_of([example])
        return bool(items) and exact_match(items[0].expected, items[0].expected) == 1 and bool(items[0].expected)
    if stage == "trained":
        return example.is_answered and tokenise(tokenizer, 1, example, None).trained > 0
    if stage.startswith("every"):
        labels = tokenise(tokenizer, 1, example, None, "all").labels if example.is_answered else []
        runs = sum(now != IGNORED and before == IGNORED for before, now in pairwise(labels))
        return runs > 0 and runs == sum(message["role"] == "assistant" for message in example.messages)
    sent = [openai_turns(example.asked), claude_turns(example.asked)]
    return bool(example.asked) and all(turns[-1]["role"] in ("user", "tool") for turns in sent)


def test_the_table_of_kinds_and_stages_is_what_was_seen(tmp_path, tokenizer):
    first, again, other = kinds("blue", "1"), kinds("blue", "2"), kinds("quite red", "3")
    names = list(first)
    as_pool = {name: row for name, row in first.items() if name == "unanswered"}
    plain = [name for name in names if name not in as_pool]
    both = write(tmp_path / "both.jsonl", *(line for each in (first, again, other) for line in lines_of(
        {name: row for name, row in each.items() if name in plain})))  # fmt: skip
    run = ("data", "dedup", both, "-o", "kept.jsonl", "--removed", "gone.jsonl", "--pairs", "pairs.jsonl", "--json")
    done = in_shell.rung(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    gone = [json.loads(line) for line in (tmp_path / "gone.jsonl").open()]
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").open()]
    train, test = (write(tmp_path / f"{name}.jsonl", *lines_of({n: rows[n] for n in plain}))
                   for name, rows in (("train", first), ("test", again)))  # fmt: skip
    leaks = json.loads(
        in_shell.rung("data", "leakage", "--train", train, "--test", test, "--json", cwd=tmp_path).stdout
    )
    pool = rows_of(write(tmp_path / "pool.jsonl", *lines_of(first)), unanswered=True)
    examples = {name: item.example for name, item in zip(names, pool, strict=True)}
    seen = {
        "read": set(examples),
        "duplicate found": of_kinds({each["line"] for each in gone}, plain),
        "contradiction found": of_kinds({each["line"] for each in pairs if each["kind"] == "contradiction"}, plain),
        "leak found": of_kinds({each["test_line"] for each in leaks["leaks"]}, plain),
        **{stage: {name for name in names if does(stage, examples[name], tokenizer)} for stage in STAGES[4:]},
    }
    lines = [f"| kind of row | {' | '.join(STAGES)} |", f"|{'---|' * (len(STAGES) + 1)}"]
    lines += [f"| {name} | {' | '.join('yes' if name in seen[stage] else '-' for stage in STAGES)} |" for name in names]
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    made = f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}"
    if os.environ.get("RUNG_WRITE_DOCS"):
        PAGE.write_text(made, encoding="utf-8")
    assert page == made
