"""Tool calls: one form to compare, what a chat template is given of them and trains, what a model's answer calls."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hosted_replies import client, completion, message

from chat.local.embedded import embedded_folder
from chat.local.model import LocalModel
from chat.local.prompt import is_read, read_answer
from chat.protocols import Ask
from chat.thinking import marks_of
from chat.tool_calls import parted, with_calls
from curation.example import Example
from training.plan.planning import token_length
from training.run.base_model import PlanTokenizer
from training.run.tokens import IGNORED, tokenise
from workspace.errors import RungError

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"]}}}]  # fmt: skip
CALLS = [{"name": "get_weather", "arguments": {"city": "Dublin", "days": 3}}]
XML = "<tool_call>\n<function=get_weather>\n<parameter=city>\nDublin\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
HERMES = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Dublin", "days": 3}}\n</tool_call><|im_end|>\n'
TRAINED = {
    "qwen2_5": HERMES,
    "qwen3_instruct_2507": HERMES,
    "qwen3": "<think>\n\n</think>\n\n" + HERMES,
    "llama3_1": '{"name": "get_weather", "parameters": {"city": "Dublin", "days": 3}}<|eot_id|>',
    "qwen3_5_nothink": XML + "</function>\n</tool_call><|im_end|>\n",
    "gptoss": ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Dublin", "days": 3}<|call|>',
    "gemma4_v2": '<|tool_call>call:get_weather{city:<|"|>Dublin<|"|>,days:3}<tool_call|><turn|>\n',
}  # fmt: skip
DROPPED = ["own", "gemma3", "llama3", "qwen2_5_vl", "cohere2", "phi3"]
READ = [*TRAINED, "qwen3_5_think", "qwen3_6", "nemotron_3_nano", "gemma4", "glm4moe", "lfm2_v2"]
SPECIAL = {
    "gemma4": ["<|tool_call>", "<tool_call|>", '<|"|>', "<turn|>", "<|tool_response>"],
    "lfm2_v2": ["<|tool_call_start|>", "<|tool_call_end|>"],
    "gptoss": ["<|channel|>", "<|message|>", "<|call|>", "<|start|>", "<|end|>"],
    "glm4moe": ["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
}
"""Marks that are special tokens of the family, or may be."""


@pytest.fixture(scope="module")
def plan():
    return PlanTokenizer(str(embedded_folder()))


@pytest.fixture
def with_template(plan, monkeypatch):
    """The embedded model's tokenizer with this chat template, or with the one of a family, as trl has it."""

    def make(template):
        if template in {*READ, *DROPPED} - {"own"}:
            file = Path(pytest.importorskip("trl").__file__).parent / "chat_templates" / f"{template}.jinja"
            template = file.read_text(encoding="utf-8")
        if template != "own":
            monkeypatch.setattr(plan.tokenizer, "chat_template", template)
        return plan.tokenizer

    return make


def row(arguments, text=None, **more):
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    answer = {"role": "assistant", "content": text, "tool_calls": [call]}
    return Example({"messages": [{"role": "user", "content": "Weather?"}, answer], "tools": TOOLS, **more})


@pytest.mark.parametrize("family", TRAINED)
@pytest.mark.parametrize("arguments", ['{"city": "Dublin", "days": 3}', {"city": "Dublin", "days": 3}])
def test_the_trained_tokens_are_the_call_and_nothing_else_and_a_plan_counts_as_many(
    plan, with_template, family, arguments
):
    tokenizer = with_template(family)
    tokens = tokenise(tokenizer, 1, row(arguments), None)
    trained = [token for token, label in zip(tokens.ids, tokens.labels, strict=True) if label != IGNORED]
    assert token_length(plan, row(arguments), None) == len(tokens.ids)
    assert tokenizer.decode(trained).lstrip("\n") == TRAINED[family].lstrip("\n"), "some tokens join a line break"


@pytest.mark.parametrize("family", DROPPED)
def test_a_template_that_drops_the_call_is_refused_in_one_sentence(with_template, family):
    tokenizer = with_template(family)
    with pytest.raises(RungError) as told:
        tokenise(tokenizer, 1, row({"city": "Dublin"}), None)
    assert "get_weather" in told.value.message and told.value.hint
    assert is_read(tokenizer, tokenizer.decode)


def test_a_template_that_crashes_on_calls_is_refused_in_one_sentence(with_template):
    with pytest.raises(RungError) as told:
        tokenise(with_template("{{ messages[1].tool_calls[0].nothing.at_all }}"), 1, row({"city": "Dublin"}), None)
    assert "chat template" in told.value.message


def test_a_template_made_for_texts_of_json_gets_them(with_template):
    tokenizer = with_template(
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        "({{ c.function.arguments }}){% endfor %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    tokens = tokenise(tokenizer, 1, row({"city": "Dublin"}), None)
    assert tokenizer.decode(tokens.ids).endswith('<assistant>get_weather({"city": "Dublin"})')


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("family", READ)
def test_what_a_template_writes_is_read_back(with_template, family, special):
    tokenizer = with_template(family)
    if special:
        tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL.get(family, ["<tool_call>"])})
    loaded = SimpleNamespace(tokenizer=tokenizer)
    model = SimpleNamespace(loaded=loaded, _marks=marks_of(tokenizer.chat_template))
    model._plain = lambda *given: LocalModel._plain(model, *given)
    assert is_read(tokenizer, lambda written: LocalModel._may_call(model, written)) == ""


LINE = '[{"name": "get_weather", "arguments": {"city": "Dublin", "days": 3}}]'


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ('[TOOL_CALLS] [{"name": "get_weather", "arguments": {"days": 3, "city": "Dublin"}}]', LINE),
        ("I look.\n" + XML + "</function>\n</tool_call>", f"I look.\n{LINE}"),
        ('I look. {"name": "get_weather", "arguments": {"days": 3, "city": "Dublin"}}', f"I look.\n{LINE}"),
        ('<tool_call>\n{"name": "get_weather", "argum', '<tool_call>\n{"name": "get_weather", "argum'),
        ("I look.<|tool_call_start|>[get_weather(city='Dublin', days=3)]<|tool_call_end|>", f"I look.\n{LINE}"),
        ("<|tool_call_start|>[get_weather(open('/etc/passwd'))]<|tool_call_end|>",
         "<|tool_call_start|>[get_weather(open('/etc/passwd'))]<|tool_call_end|>"),
        ('<|tool_call>call:get_weather{city:<|"|>Dublin<|"|>,days:3}<tool_call|>I look.', f"I look.\n{LINE}"),
        ('<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.get_weather<|channel|>commentary json'
         '<|message|>{"city": "Dublin", "days": 3}<|call|>', LINE),
        ('<|channel|>commentary to=functions.get_weather json<|message|>{"days": 3, "city": "Dublin"}', LINE),
        ("It is {sunny}.", "It is {sunny}."),
        ("", ""),
    ],
)  # fmt: skip
def test_calls_in_what_a_model_wrote(written, answer):
    assert read_answer(written, TOOLS) == answer


TALK = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather in Dublin and Cork?"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Dublin"}'}},
        {"id": "c2", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Cork"}}}]},
    {"role": "tool", "content": "wet"},
    {"role": "tool", "content": "dry", "tool_call_id": "c2"},
)  # fmt: skip


def test_a_hosted_model_is_sent_tools_calls_and_results_and_its_calls_are_read(keys, loopback):
    ask = Ask(TALK, 16, meta={"tools": TOOLS})
    made = {
        "id": "c9",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"days":3,"city":"Dublin"}'},
    }
    loopback.say((200, completion(None, "tool_calls", tool_calls=[made])))
    (reply,) = client("openai", loopback.url).answer([ask])
    assert (reply.text, reply.stopped) == (LINE, "end")
    body = loopback.requests[-1][3]
    assert body["tools"] == TOOLS and body["messages"][:2] == list(TALK[:2])
    calling, *results = body["messages"][2:]
    assert [json.loads(each["function"]["arguments"]) for each in calling["tool_calls"]] == [
        {"city": "Dublin"}, {"city": "Cork"},
    ]  # fmt: skip
    ids = [each["id"] for each in calling["tool_calls"]]
    assert [(each["tool_call_id"], each["content"]) for each in results] == [*zip(ids, ("wet", "dry"), strict=True)]


def test_claude_is_sent_tools_calls_and_results_and_its_calls_are_read(keys, loopback):
    use = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"days": 3, "city": "Dublin"}}
    loopback.say((200, message("I look.", "tool_use") | {"content": [{"type": "text", "text": "I look."}, use]}))
    (reply,) = client("anthropic", loopback.url).answer([Ask(TALK, 16, meta={"tools": TOOLS})])
    assert (reply.text, reply.stopped) == (f"I look.\n{LINE}", "end")
    body = loopback.requests[-1][3]
    assert [tool["name"] for tool in body["tools"]] == ["get_weather"] and "city" in str(
        body["tools"][0]["input_schema"]
    )
    asked, calling, results = body["messages"]
    assert asked == dict(TALK[1]) and [part["input"]["city"] for part in calling["content"]] == ["Dublin", "Cork"]
    assert [part["tool_use_id"] for part in results["content"]] == [part["id"] for part in calling["content"]]
    assert {part["type"] for part in results["content"]} == {"tool_result"}


@pytest.mark.parametrize("text", ["", "I look.", "Two\nlines [1]"])
def test_an_answer_comes_apart_as_it_was_put_together(text):
    assert parted(with_calls(text, CALLS)) == (text, CALLS)
    assert parted(with_calls(text, [])) == (text, [])
    assert parted(f"{text}\n{json.dumps(CALLS, indent=2)}\n".lstrip("\n")) == (text, CALLS)
