"""`[training] loss = "all"`: every assistant turn trains, by the exact tokens of five families' chat templates."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chat.local.embedded import embedded_folder
from curation.example import Example
from training.export.bundle import row_of, trained
from training.plan.recipe import Recipe
from training.run.base_model import load_tokenizer
from training.run.inputs import answers
from training.run.tokens import show, tokenise
from workspace.errors import RungError

CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "pay", "arguments": {"to": "Ann"}}}
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who is it?"},
    {"role": "assistant", "content": "Ann."},
    {"role": "user", "content": "Who is it?"},
    {"role": "assistant", "content": "Still Ann."},
    {"role": "user", "content": "Ann."},
    {"role": "assistant", "content": "Right."},
]
EXACT = {
    "qwen2_5": ["Ann.<|im_end|>\n", "Still Ann.<|im_end|>\n", "Right.<|im_end|>\n"],
    "qwen3": ["Ann.<|im_end|>\n", "Still Ann.<|im_end|>\n", "<think>\n\n</think>\n\nRight.<|im_end|>\n"],
    "lfm2_v2": ["Ann.<|im_end|>\n", "Still Ann.<|im_end|>\n", "Right.<|im_end|>\n"],
    "gemma3": ["Ann.<end_of_turn>\n", "Still Ann.<end_of_turn>\n", "Right.<end_of_turn>\n"],
    "phi3_5": ["Ann.<|end|>\n", "Still Ann.<|end|>\n", "Right.<|end|>\n<|im_end|>"],
    "qwen3_8": [f"\n</think>\n\n{text}<|im_end|>\n" for text in ("Ann.", "Still Ann.", "Right.")],
}
REFUSED = ["deepseekv3", "qwen3_6", "nemotron_3_nano"]
"""They ask for a turn with an opened or closed thinking that they leave out of what came before."""


@pytest.fixture
def with_template():
    trl = pytest.importorskip("trl")
    made = load_tokenizer(str(embedded_folder()))

    def make(name):
        made.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text("utf-8")
        return made

    return make


def pieces(tokenizer, row, loss="all"):
    """Return the trained pieces, as the preview of `rung plan --tokens` shows them."""
    shown = show(tokenizer, tokenise(tokenizer, 1, Example(row), None, loss))
    return [text for text, is_trained in shown.pieces if is_trained]


@pytest.mark.parametrize("family", EXACT)
def test_every_turn_and_nothing_else_is_trained(with_template, family):
    tokenizer = with_template(family)
    assert pieces(tokenizer, {"messages": TALK}) == EXACT[family]
    assert pieces(tokenizer, {"messages": TALK}, "last") == EXACT[family][-1:]
    one = tokenise(tokenizer, 1, Example({"messages": TALK[:3]}), None, "all")
    assert one == tokenise(tokenizer, 1, Example({"messages": TALK[:3]}), None)


@pytest.mark.parametrize("family", REFUSED)
def test_a_template_that_writes_history_in_another_way_is_refused(with_template, family):
    tokenizer = with_template(family)
    with pytest.raises(RungError) as told:
        tokenise(tokenizer, 1, Example({"messages": TALK}), None, "all")
    assert 'loss = "last"' in told.value.hint
    assert tokenise(tokenizer, 1, Example({"messages": TALK}), None).trained


def test_a_call_in_the_middle_is_trained_and_its_result_is_not(with_template):
    result = {"role": "tool", "content": "42 sent", "tool_call_id": "abcdefghi"}
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    first, last = pieces(with_template("qwen2_5"), {"messages": [*TALK[:2], call, result, TALK[-1]]})
    assert json.dumps(CALL["function"]) in first and "42 sent" not in first
    assert last == "Right.<|im_end|>\n"


def test_a_turn_that_is_marked_as_untrained_stays_so(with_template):
    row = {"messages": [*TALK[:2], {**TALK[2], "weight": 0}, *TALK[3:]]}
    assert pieces(with_template("qwen2_5"), row) == EXACT["qwen2_5"][1:]
    assert trained(row_of(Example(row), None), "all") == [False, False, False, False, True, False, True]
    assert trained(row_of(Example(row), None), "last") == [False] * 6 + [True]


def test_what_a_run_is_given_holds_the_turns(with_template, tmp_path):
    items = answers(with_template("qwen2_5"), [Example({"messages": TALK})], None, 256, tmp_path, "all")
    assert (
        items.columns[0]["labels"]
        == tokenise(with_template("qwen2_5"), 1, Example({"messages": TALK}), None, "all").labels
    )


def test_only_supervised_tuning_trains_every_turn():
    values = {"base": "b", "method": "lora", "rank": 4, "alpha": 8, "learning_rate": 1e-2, "batch": 4, "epochs": 1,
              "steps": 4, "max_length": 64, "loss": "all"}  # fmt: skip
    assert Recipe(**values).loss == "all" and json.loads(Recipe(**values).model_dump_json())["loss"] == "all"
    with pytest.raises(ValidationError, match="sft"):
        Recipe(**values, objective="dpo")
