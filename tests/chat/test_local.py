"""The engine against transformers' own generate and forward pass, on the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest
from later import torch
from llamas import make_llama

from chat.local.decode import plain_generate
from chat.local.load import load
from chat.local.model import LocalModel
from chat.local.prompt import shared_prefix
from chat.protocols import Ask
from workspace.errors import RungError

CODES = ("E10 eye", "E10 eye both", "E10 eye left", "E11 kidney none", "E11 nerve none", "E09 none none")
SYSTEM = {"role": "system", "content": "Give the coding line for the phrase. Write nothing else."}


def ask(text: str, **other: object) -> Ask:
    return Ask((SYSTEM, {"role": "user", "content": text}), **other)  # type: ignore[arg-type]


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
    long, short = local.answer([ask("word " * 8200, max_tokens=4), ask("DM2", max_tokens=2)])
    assert (long.stopped, long.text) == ("too_long", "") and long.input_tokens > 8192
    assert short.output_tokens == 2


def test_shared_prefix_leaves_every_prompt_a_token() -> None:
    assert shared_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert shared_prefix([[1, 2], [1, 2, 4]]) == 1
    assert shared_prefix([[1], [1]]) == 0
    assert shared_prefix([]) == 0


@pytest.mark.parametrize("kind", ["lora", "prompt"])
def test_an_adapter_changes_the_answers_and_stays_identical(small: Path, tmp_path: Path, kind: str) -> None:
    """A random adapter of each family, saved as training saves it."""
    from peft import LoraConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    made = {
        "lora": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
        "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    }[kind]
    get_peft_model(AutoModelForCausalLM.from_pretrained(small), made).save_pretrained(str(tmp_path))
    plain, tuned = (
        LocalModel(load(str(small), adapter=adapter, threads=1), checks=tmp_path / "checks.json")
        for adapter in (None, tmp_path)
    )
    asks = [ask("PDR OD in type 1 DM", max_tokens=5), ask("DM2", max_tokens=5)]
    one_at_a_time = [plain_generate(tuned.loaded, one) for one in asks]
    words = tuned.loaded.tokenizer
    assert [r.text for r in tuned.answer(asks)] == [words.decode(t, skip_special_tokens=True) for t in one_at_a_time]
    assert tuned.loglikelihoods(asks, ["E10", "E11"]) != plain.loglikelihoods(asks, ["E10", "E11"])
    assert tuned.name.startswith(plain.name) and "adapter" in tuned.name
    held = [ask("DM2", choices=CODES), ask("PDR OD in type 1 DM", choices=CODES[:3])]
    for one, reply in zip(held, tuned.answer(held), strict=True):
        assert reply.stopped == "choice" and reply.text in one.choices


def test_a_folder_that_is_not_there_is_never_taken_for_a_hub_id(small: Path) -> None:
    with pytest.raises(RungError) as refused:
        load("./models/mine")
    assert refused.value.where == "rung.toml"
    with pytest.raises(RungError, match=r"adapter_model\.safetensors"):
        load(str(small), adapter=Path("/nowhere"))


def test_two_trainings_of_one_shape_are_two_models(tmp_path: Path) -> None:
    """Answers are kept by the model's name: the second training must not be given those of the first."""

    def trained(place: str, seed: int) -> str:
        folder = tmp_path / place / "adapter"
        make_llama(folder, seed=seed, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        return load(str(folder)).name

    first = trained("R-001", 1)
    assert trained("R-002", 2) != first == trained("R-003", 1)
