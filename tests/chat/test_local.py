"""The engine: every architecture answers as by transformers' own `generate`; held answers fit; thinking has room."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from families import QUICK, WINDOW, chain, table
from families import tiny as tiny_of
from later import torch
from llamas import make_llama

from chat.local.check import ROUNDED
from chat.local.decode import answer_alone, plain_generate
from chat.local.held import guide_of
from chat.local.load import Loaded, load
from chat.local.model import LocalModel
from chat.local.offline import quiet_transformers
from chat.local.prompt import encode_after, encode_ask, shared_prefix
from chat.protocols import Ask
from chat.thinking import spoken
from workspace.errors import RungError

SYSTEM = "Answer in one word. " * 6
QUESTIONS = (
    "PDR?",
    "Is this letter about a card that was lost, or about a transfer that came late, or about neither of them?",
    "DM2 with CKD",
    "PDR?",
    "The customer says that the app does not accept the code which was sent to her by text message last night.",
)
LABELS = ("card lost at home", "card", "transfer that came late", "transfer")
MORE = """qwen2 qwen3 qwen3_moe gemma3n_text gemma4_text olmo2 olmo3 mistral exaone4 cohere2 phi3 granite smollm3 glm4
glm4_moe ministral3 mistral3 qwen3_vl qwen3_next granitemoehybrid bamba jamba falcon_h1 nemotron_h mamba2 llama4_text
deepseek_v3"""
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE.split())]


@pytest.fixture(scope="module")
def words(embedded: Path) -> Any:
    return quiet_transformers().AutoTokenizer.from_pretrained(str(embedded))


def ask(question: str, **other: Any) -> Ask:
    return Ask(({"role": "system", "content": SYSTEM}, {"role": "user", "content": question}), 6, **other)


def logits(model: LocalModel, tokens: list[int]) -> Any:
    with torch.inference_mode():
        return model.loaded.model(torch.tensor([tokens])).logits[0].float()


def likeliest_label(model: LocalModel, one: Ask) -> str:
    """The closed set walked by whole forward passes, without tree, cache or batch."""
    start = encode_ask(model.loaded.tokenizer, one)
    found = encode_after(model.loaded.tokenizer, model.render(one.turns), one.choices)
    paths = {label: [*tokens, 2] for label, tokens in zip(one.choices, found, strict=True)}
    written: list[int] = []
    while len(paths) > 1:
        allowed = sorted({path[len(written)] for path in paths.values()})
        last = logits(model, start + written)[-1]
        written.append(allowed[int(last[allowed].argmax())])
        paths = {label: path for label, path in paths.items() if path[: len(written)] == written}
    return next(iter(paths))


def alone(model: LocalModel, one: Ask) -> str:
    job = model._job(one)
    answer_alone(model.loaded, job)
    return model._reply(one, job, 0.0).text


def likelihood(model: LocalModel, one: Ask, answer: str) -> float:
    start = encode_ask(model.loaded.tokenizer, one)
    tail = [*encode_after(model.loaded.tokenizer, model.render(one.turns), [answer])[0], 2]
    found = logits(model, start + tail).log_softmax(-1)
    return sum(float(found[len(start) + place - 1, token]) for place, token in enumerate(tail))


@pytest.mark.parametrize("family", EVERY)
def test_answers_and_scores_equal_those_of_one_at_a_time(family: str, words: Any, tmp_path: Path) -> None:
    model = LocalModel(tiny_of(family, words), batch=4, checks=tmp_path / "checks.json")
    free = [ask(question) for question in QUESTIONS]
    lengths = [len(encode_ask(words, one)) for one in free]
    assert min(lengths) > WINDOW and max(lengths) - min(lengths) > 10, "beyond the window, of unequal lengths"
    plain = [words.decode(plain_generate(model.loaded, one), skip_special_tokens=True) for one in free]
    assert [reply.text for reply in model.answer(free)] == plain
    assert [model.answer([one])[0].text for one in free[:2]] == plain[:2], "alone, behind what is kept"
    assert model._ways.fastest(max(lengths) + 6, [9, 8, 7]) == table()[family].split(" | ")[1]
    held = [ask(question, choices=LABELS) for question in QUESTIONS]
    mixed = model.answer([*held, *free])
    assert [reply.text for reply in mixed] == [*(likeliest_label(model, one) for one in held), *plain]
    shaped = ask(QUESTIONS[0], meta={"shape": {"type": "string"}})
    assert model.answer([shaped, free[1]])[0].text == alone(model, shaped)
    assert [alone(model, one) for one in held[:2]] == [reply.text for reply in mixed[:2]]
    asks = [*[held[1]] * len(LABELS), *free]
    answers = [*LABELS, *LABELS, LABELS[1]]
    scored = [score for score, _ in model.loglikelihoods(asks, answers)]
    assert scored == pytest.approx([likelihood(model, o, a) for o, a in zip(asks, answers, strict=True)], abs=2e-3)


def test_a_check_is_remembered_and_a_file_that_cannot_be_read_is_no_obstacle(words: Any, tmp_path: Path) -> None:
    file = tmp_path / "cache" / "checks.json"
    loaded = tiny_of("llama", words)
    assert LocalModel(loaded, checks=file)._ways.fastest(100, [5, 6, 7]) == "prefix"
    known = json.loads(file.read_bytes())
    assert list(known.values()) == [True] and next(iter(known)).endswith("prefix 128")
    file.write_text(json.dumps(dict.fromkeys(known, False)))
    assert LocalModel(loaded, checks=file)._ways.fastest(65, [5, 6, 7]) == "batch", "what was seen is not seen again"
    for broken in ("{", "[1]", json.dumps(dict.fromkeys(known, "yes"))):
        file.write_text(broken)
        assert LocalModel(loaded, checks=file)._ways.fastest(128, [5, 6, 7]) == "prefix"
    assert LocalModel(loaded, checks=Path("/proc/none/checks.json"))._ways.fastest(30, [5]) == "prefix"


def test_penalties_and_sampling_of_a_folder_change_nothing(words: Any, tmp_path: Path) -> None:
    asks = [ask(question) for question in QUESTIONS]
    loaded = tiny_of("llama", words)
    model = LocalModel(loaded, checks=tmp_path / "checks.json")
    before = [reply.text for reply in model.answer(asks)]
    loaded.model.generation_config.update(repetition_penalty=4.0, do_sample=True, temperature=9.0)
    assert [alone(model, one) for one in asks] == before == [reply.text for reply in model.answer(asks)]
    assert loaded.model.generation_config.repetition_penalty == 4.0


def test_an_encoder_is_refused_and_no_model_that_turns_places_by_the_length_of_the_text(
    words: Any, tmp_path: Path
) -> None:
    loaded = tiny_of("llama", words)
    config = loaded.model.config
    config.max_position_embeddings = 20
    config.rope_parameters = {"rope_type": "dynamic", "factor": 8.0, "rope_theta": 10000.0}
    loaded.model.model.rotary_emb = type(loaded.model.model.rotary_emb)(config)
    model = LocalModel(loaded, checks=tmp_path / "checks.json")
    assert [reply.text for reply in model.answer([ask("PDR?")])] == [alone(model, ask("PDR?"))]
    with pytest.raises(RungError) as refused:
        LocalModel(tiny_of("bert", words), checks=tmp_path / "bert.json").answer([ask("PDR?")])
    assert refused.value.where == "bert"


@pytest.mark.parametrize("family", [QUICK[0], *(pytest.param(name, marks=pytest.mark.slow) for name in QUICK[1:])])
def test_in_16_bit_scores_are_those_of_one_at_a_time_but_for_rounding(family: str, words: Any, tmp_path: Path) -> None:
    """Answers may part there where two tokens are as likely; what they are scored with may not."""
    loaded = tiny_of(family, words)
    loaded.model.to(torch.bfloat16)
    model = LocalModel(loaded, batch=4, checks=tmp_path / "checks.json")
    free = [ask(question) for question in QUESTIONS]
    plain = [words.decode(plain_generate(loaded, one), skip_special_tokens=True) for one in free]
    scored = model.loglikelihoods(free, plain)
    apart = [abs(score - likelihood(model, o, a)) / n for (score, n), o, a in zip(scored, free, plain, strict=True)]
    assert max(apart) < ROUNDED


CODES = ("E10 eye", "E10 eye both", "E10 eye left", "E11 kidney none", "E11 nerve none", "E09 none none")


def coded(text: str, **other: Any) -> Ask:
    system = {"role": "system", "content": "Give the coding line for the phrase. Write nothing else."}
    return Ask((system, {"role": "user", "content": text}), **other)


def test_it_knows_the_capital_of_france(local: LocalModel) -> None:
    (reply,) = local.answer([Ask(({"role": "user", "content": "What is the capital of France?"},), 16)])
    assert reply.text.endswith(" Paris.")
    assert reply.stopped == "end" and reply.cost_usd == 0.0 and reply.output_tokens == 7


def test_a_temperature_is_drawn_by_seed_whatever_else_is_in_the_batch(local: LocalModel) -> None:
    def draw(seed: int) -> Ask:
        return Ask(({"role": "user", "content": "Say a word."},), 6, meta={"temperature": 1.0, "seed": seed})

    alone = local.answer([draw(3)])[0].text
    together = [reply.text for reply in local.answer([draw(1), draw(2), draw(3)])]
    assert together[2] == alone and len(set(together)) > 1


def test_a_prompt_that_does_not_fit_is_not_cut(local: LocalModel) -> None:
    long, short = local.answer([coded("word " * 8200, max_tokens=4), coded("DM2", max_tokens=2)])
    assert (long.stopped, long.text) == ("too_long", "") and long.input_tokens > 8192
    assert short.output_tokens == 2


def test_shared_prefix_leaves_every_prompt_a_token() -> None:
    assert shared_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert shared_prefix([[1, 2], [1, 2, 4]]) == 1
    assert shared_prefix([[1], [1]]) == 0
    assert shared_prefix([]) == 0


@pytest.mark.parametrize("kind", ["lora", "prompt"])
def test_an_adapter_changes_the_answers_and_stays_identical(tiny: Path, tmp_path: Path, kind: str) -> None:
    """A random adapter of each family, saved as training saves it."""
    from peft import LoraConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    made = {
        "lora": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
        "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    }[kind]
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), made).save_pretrained(str(tmp_path))
    plain, tuned = (
        LocalModel(load(str(tiny), adapter=adapter, threads=1), checks=tmp_path / "checks.json")
        for adapter in (None, tmp_path)
    )
    asks = [coded("PDR OD in type 1 DM", max_tokens=5), coded("DM2", max_tokens=5)]
    one_at_a_time = [plain_generate(tuned.loaded, one) for one in asks]
    words = tuned.loaded.tokenizer
    assert [r.text for r in tuned.answer(asks)] == [words.decode(t, skip_special_tokens=True) for t in one_at_a_time]
    assert tuned.loglikelihoods(asks, ["E10", "E11"]) != plain.loglikelihoods(asks, ["E10", "E11"])
    assert tuned.name.startswith(plain.name) and "adapter" in tuned.name
    held = [coded("DM2", choices=CODES), coded("PDR OD in type 1 DM", choices=CODES[:3])]
    for one, reply in zip(held, tuned.answer(held), strict=True):
        assert reply.stopped == "choice" and reply.text in one.choices


def test_a_folder_that_is_not_there_is_never_taken_for_a_hub_id(tiny: Path) -> None:
    with pytest.raises(RungError) as refused:
        load("./models/mine")
    assert refused.value.where == "rung.toml"
    with pytest.raises(RungError, match=r"adapter_model\.safetensors"):
        load(str(tiny), adapter=Path("/nowhere"))


def test_two_trainings_of_one_shape_are_two_models(tmp_path: Path) -> None:
    """Answers are kept by the model's name: the second training must not be given those of the first."""

    def trained(place: str, seed: int) -> str:
        folder = tmp_path / place / "adapter"
        make_llama(folder, seed)
        return load(str(folder)).name

    first = trained("R-001", 1)
    assert trained("R-002", 2) != first == trained("R-003", 1)


SHAPE = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "enum": ["E10", 'E1"1', "Ü"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "parts": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
        "note": {"type": ["string", "null"], "maxLength": 4},
    },
    "required": ["code", "count"],
    "additionalProperties": False,
}
ASKED = ({"role": "user", "content": "Give the code and the count for: two eyes, type 1."},)


@pytest.fixture(scope="module")
def model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(load(str(tiny), threads=1), batch=4, checks=tmp_path_factory.mktemp("held") / "checks.json")


def held(shape: object, tokens: int = 48) -> Ask:
    return Ask(ASKED, tokens, meta={"shape": shape})


def test_a_small_model_answers_what_fits_beside_a_free_answer_and_one_that_is_cut(model: LocalModel) -> None:
    array = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3}
    shapes: list[Any] = [SHAPE, {"enum": ["Ü", [1.5]]}, array]
    free = Ask(ASKED, 12)
    alone = model.answer([free])[0].text
    *fitting, beside, cut = model.answer([*map(held, shapes), free, held(SHAPE, 6)])
    for shape, reply in zip(shapes, fitting, strict=True):
        assert reply.stopped == "end", shape
        jsonschema.validate(json.loads(reply.text), shape)
    assert beside.text == alone and cut.stopped == "length"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(cut.text)


def test_a_schema_that_cannot_be_followed_leaves_any_json(model: LocalModel) -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"items": deep}
    odd: list[Any] = [
        {"type": "string", "pattern": "^(?=a)b"},
        {"enum": []},
        {"type": "number", "maximum": float("1e999")},
        {"enum": ["a", "\ud83d"]},
        {"const": 10**400},
        {"$ref": "#"},
        deep,
    ]
    for reply in model.answer([held(shape, 8) for shape in odd]):
        assert reply.text[0] in '{["-0123456789tfn' and reply.stopped in ("end", "length")


def test_a_tokenizer_without_a_fast_form_is_refused_in_words() -> None:
    with pytest.raises(RungError) as refused:
        guide_of(object(), frozenset({2}))
    assert "tokenizer.json" in refused.value.hint


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


def briefly(question: str, **other: Any) -> Ask:
    return Ask(({"role": "user", "content": question},), 3, **other)


def models(both: list[Loaded], tmp_path) -> list[LocalModel]:
    return [LocalModel(loaded, checks=tmp_path / f"{n}") for n, loaded in enumerate(both)]


def test_the_answer_is_what_follows_the_thinking(both: list[Loaded], tmp_path):
    short, endless = models(both, tmp_path)
    meta = {"thinking_tokens": 18}
    replies = short.answer([briefly("one", meta=meta), briefly("two, longer")])
    assert [(reply.text, reply.stopped) for reply in replies] == [("<alpha>", "end")] * 2 and short.thinks
    assert replies[0].output_tokens > 3, "thinking is counted"
    (cut,) = endless.answer([briefly("one", meta=meta)])
    assert (cut.text, cut.stopped, cut.output_tokens) == ("", "length", 21), "cut while it thought: no answer"


def test_a_held_answer_is_thought_about_first(both: list[Loaded], tmp_path):
    meta = {"thinking_tokens": 18}
    for model, least in zip(models(both, tmp_path), (3, 18), strict=True):
        (reply,) = model.answer([briefly("one", choices=("<beta>", "<alpha>"), meta=meta)])
        assert (reply.text, reply.stopped) == ("<alpha>", "choice"), "thinking without end is closed for it"
        assert least <= reply.output_tokens <= least + 8
        assert reply.input_tokens == model.answer([briefly("one", meta=meta)])[0].input_tokens


def test_thinking_is_switched_by_a_setting(both: list[Loaded], tmp_path):
    folder = tmp_path / "m"
    both[1].model.save_pretrained(str(folder))
    both[1].tokenizer.save_pretrained(str(folder))
    off = LocalModel(load(str(folder), enable_thinking=False), checks=tmp_path / "checks")
    assert off.answer([briefly("one")])[0].text == "<alpha>"
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
