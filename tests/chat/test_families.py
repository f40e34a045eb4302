"""Batched answers and log-likelihoods of every architecture against transformers' own `generate`, one at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from families import QUICK, WINDOW, table, tiny
from later import torch

from chat.local.check import ROUNDED
from chat.local.decode import answer_alone, plain_generate
from chat.local.model import LocalModel
from chat.local.offline import quiet_transformers
from chat.local.prompt import encode_after, encode_ask
from chat.protocols import Ask
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
    model = LocalModel(tiny(family, words), batch=4, checks=tmp_path / "checks.json")
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
    loaded = tiny("llama", words)
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
    loaded = tiny("llama", words)
    model = LocalModel(loaded, checks=tmp_path / "checks.json")
    before = [reply.text for reply in model.answer(asks)]
    loaded.model.generation_config.update(repetition_penalty=4.0, do_sample=True, temperature=9.0)
    assert [alone(model, one) for one in asks] == before == [reply.text for reply in model.answer(asks)]
    assert loaded.model.generation_config.repetition_penalty == 4.0


def test_an_encoder_is_refused_and_no_model_that_turns_places_by_the_length_of_the_text(
    words: Any, tmp_path: Path
) -> None:
    loaded = tiny("llama", words)
    config = loaded.model.config
    config.max_position_embeddings = 20
    config.rope_parameters = {"rope_type": "dynamic", "factor": 8.0, "rope_theta": 10000.0}
    loaded.model.model.rotary_emb = type(loaded.model.model.rotary_emb)(config)
    model = LocalModel(loaded, checks=tmp_path / "checks.json")
    assert [reply.text for reply in model.answer([ask("PDR?")])] == [alone(model, ask("PDR?"))]
    with pytest.raises(RungError) as refused:
        LocalModel(tiny("bert", words), checks=tmp_path / "bert.json").answer([ask("PDR?")])
    assert refused.value.where == "bert"


@pytest.mark.parametrize("family", [QUICK[0], *(pytest.param(name, marks=pytest.mark.slow) for name in QUICK[1:])])
def test_in_16_bit_scores_are_those_of_one_at_a_time_but_for_rounding(family: str, words: Any, tmp_path: Path) -> None:
    """Answers may part there where two tokens are as likely; what they are scored with may not."""
    loaded = tiny(family, words)
    loaded.model.to(torch.bfloat16)
    model = LocalModel(loaded, batch=4, checks=tmp_path / "checks.json")
    free = [ask(question) for question in QUESTIONS]
    plain = [words.decode(plain_generate(loaded, one), skip_special_tokens=True) for one in free]
    scored = model.loglikelihoods(free, plain)
    apart = [abs(score - likelihood(model, o, a)) / n for (score, n), o, a in zip(scored, free, plain, strict=True)]
    assert max(apart) < ROUNDED
