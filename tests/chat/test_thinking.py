"""Models that think before they answer: the thinking has room of its own and is no part of the answer."""

import json

import pytest
from families import chain

from chat.local.load import Loaded, load
from chat.local.model import LocalModel
from chat.local.offline import quiet_transformers
from chat.protocols import Ask
from chat.thinking import spoken

TEMPLATE = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% if OPEN %}<think>\n{% endif %}"
    "{%- if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""As Qwen's: with `OPEN` the prompt opens the thinking (Qwen 3.5), without it the model does (Qwen 3)."""
WAYS = {"prompt": "(enable_thinking is not defined or enable_thinking)", "model": "false"}


@pytest.fixture(scope="module", params=WAYS)
def both(request, embedded) -> list[Loaded]:
    """A model that thinks one word, and one that thinks without end; both answer `alpha` behind closed thinking."""
    words = quiet_transformers().AutoTokenizer.from_pretrained(str(embedded))
    words.add_tokens(["<think>", "</think>", "<hm>", "<alpha>", "<beta>"])
    words.chat_template = TEMPLATE.replace("OPEN", WAYS[request.param])
    newline, blank = (words.convert_ids_to_tokens(words.encode(text))[-1] for text in ("\n", "\n\n"))
    begun = [(newline, "<hm>")] if request.param == "prompt" else [(newline, "<think>"), ("<think>", "<hm>")]
    ending = [("</think>", blank), (blank, "<alpha>"), ("<alpha>", "<|im_end|>")]
    return [chain(words, [*begun, ("<hm>", more), *ending]) for more in ("</think>", "<hm>")]


def ask(question, **other):
    return Ask(({"role": "user", "content": question},), 3, **other)


def models(both: list[Loaded], tmp_path) -> list[LocalModel]:
    return [LocalModel(loaded, checks=tmp_path / f"{n}") for n, loaded in enumerate(both)]


def test_the_answer_is_what_follows_the_thinking(both: list[Loaded], tmp_path):
    short, endless = models(both, tmp_path)
    meta = {"thinking_tokens": 18}
    replies = short.answer([ask("one", meta=meta), ask("two, longer")])
    assert [(reply.text, reply.stopped) for reply in replies] == [("<alpha>", "end")] * 2 and short.thinks
    assert replies[0].output_tokens > 3, "thinking is counted"
    (cut,) = endless.answer([ask("one", meta=meta)])
    assert (cut.text, cut.stopped, cut.output_tokens) == ("", "length", 21), "cut while it thought: no answer"


def test_a_held_answer_is_thought_about_first(both: list[Loaded], tmp_path):
    meta = {"thinking_tokens": 18}
    for model, least in zip(models(both, tmp_path), (3, 18), strict=True):
        (reply,) = model.answer([ask("one", choices=("<beta>", "<alpha>"), meta=meta)])
        assert (reply.text, reply.stopped) == ("<alpha>", "choice"), "thinking without end is closed for it"
        assert least <= reply.output_tokens <= least + 8
        assert reply.input_tokens == model.answer([ask("one", meta=meta)])[0].input_tokens


def test_thinking_is_switched_by_a_setting(both: list[Loaded], tmp_path):
    folder = tmp_path / "m"
    both[1].model.save_pretrained(str(folder))
    both[1].tokenizer.save_pretrained(str(folder))
    off = LocalModel(load(str(folder), enable_thinking=False), checks=tmp_path / "checks")
    assert off.answer([ask("one")])[0].text == "<alpha>"
    names = {load(str(folder), enable_thinking=way).name for way in (None, True, False)}
    assert len(names) == 3, "kept answers of one are none of another"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("pay_bill", "pay_bill"),
        ("<think>\nIs it?\n</think>\n\npay_bill", "pay_bill"),
        ("Is it?\n</think>\n\npay_bill", "pay_bill"),
        ("<think>\nIs it", ""),
        ("<think></think>", ""),
        ("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>pay_bill", "pay_bill"),
        ("1 < 2 and <thinking> is a word", "1 < 2 and <thinking> is a word"),
        (json.dumps({"a": "<b>"}), '{"a": "<b>"}'),
    ],
)
def test_what_is_thought_is_no_part_of_the_answer(reply, answer):
    assert spoken(reply) == answer
