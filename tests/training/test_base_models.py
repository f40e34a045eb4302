"""Base models of other shapes than Llama's: experts, Mamba, and those that end a turn by an id of their own.

Each is trained for two steps with a tiny random model, answers samples, is saved, and changes the logits when it is
loaded again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import families
import pytest

from chat.local.embedded import embedded_model
from curation.example import Example, chat_row
from training.plan.recipe import Recipe

ROWS = [Example(chat_row(f"question {n} of {n * 7}", f"E1{n % 4} eye both")) for n in range(8)]


def recipe_of(base: Path, **more: Any) -> Recipe:
    given = {"method": "lora", "rank": 4, "alpha": 8, "learning_rate": 1e-2, "batch": 4, "epochs": 1, "steps": 2}
    return Recipe.model_validate({"base": str(base), "max_length": 256, "attention": "eager", **given, **more})


def trained(recipe: Recipe, folder: Path) -> Any:
    """The trainer, after its two steps and a check with answers."""
    from evaluation.metrics.item_metrics import item_metric
    from training.run.base_model import load_base, load_tokenizer, prepare, save
    from training.run.building import build
    from training.run.inputs import answers
    from training.run.validation_answers import ValidationAnswers

    tokenizer = load_tokenizer(recipe.base)
    items = answers(tokenizer, ROWS, None, recipe.max_length, folder)
    assert items.encoded.eos_trained == len(ROWS)
    sampler = ValidationAnswers(tokenizer, ROWS, recipe, item_metric("exact_match", folder))
    model = prepare(load_base(recipe), recipe)
    trainer = build(model, sampler, (items, items), precision="fp32", folder=folder / "checkpoints")
    trainer.train()
    assert len(sampler.shown()) == 2
    save(trainer, tokenizer, folder / "adapter")
    return trainer


def change(base: Path, adapter: Path) -> float:
    """How far the saved adapter, loaded here for the first time, moves the base's logits; merged it does the same."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype="float32").eval()
        before = model(ids).logits
        tuned = PeftModel.from_pretrained(model, str(adapter)).eval()
        after = tuned(input_ids=ids).logits
        assert torch.allclose(tuned.merge_and_unload()(ids).logits, after, atol=1e-3)
    return float((after - before).abs().max())


RARER = ("llama4_text", "deepseek_v3", "qwen3_next", "falcon_h1", "nemotron_h", "gemma4_text", "qwen3_5_text", "lfm2")


@pytest.mark.parametrize(
    "family", ["qwen3_moe", "gpt_oss", *(pytest.param(name, marks=pytest.mark.slow) for name in RARER)]
)
def test_a_family_trains_and_answers(family: str, tmp_path: Path) -> None:
    from training.run.base_model import load_tokenizer

    words = load_tokenizer(str(embedded_model()))
    base = tmp_path / "base"
    families.tiny(family, words).model.save_pretrained(str(base))
    words.save_pretrained(str(base))
    trainer = trained(recipe_of(base, dropout=0.05), tmp_path)
    assert change(base, tmp_path / "adapter") > 1e-3
    assert not [name for name, _ in trainer.model.named_parameters() if ".router.lora_" in name]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_turn_that_ends_by_another_id_than_the_end_token_is_trained_and_stops(method: str, tmp_path: Path) -> None:
    """As Gemma: the tokenizer's end token is in no chat, generation_config.json names the id that ends a turn."""
    from training.run.base_model import load_tokenizer

    words, base = load_tokenizer(str(embedded_model())), tmp_path / "base"
    model = families.tiny("llama", words).model
    model.generation_config.eos_token_id = [0, 2]
    model.save_pretrained(str(base))
    words.eos_token = words.convert_ids_to_tokens(0)
    words.save_pretrained(str(base))
    assert load_tokenizer(str(base)).answer_ends == {0, 2}
    trainer = trained(recipe_of(base, method=method, **({} if method == "lora" else {"rank": 0, "alpha": 0})), tmp_path)
    assert 2 in trainer.model.generation_config.eos_token_id
    if method == "full":
        saved = json.loads((tmp_path / "adapter" / "generation_config.json").read_text())
        assert 2 in saved["eos_token_id"]
