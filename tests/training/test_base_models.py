"""Base models of every family, tiny and with random weights: asked, counted, trained, merged, converted.

Each is trained for four steps, answers samples, is saved, and changes the logits when it is loaded again. The table of
docs/models.md holds what was seen; `RUNG_WRITE_DOCS=1` with `-m ""` writes it there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import families
import pytest

from advisor.sizing.adapters import adapter_of
from advisor.sizing.config import UnknownArchitecture, read_config
from chat.local.embedded import embedded_model
from chat.local.load import writer_class
from chat.local.model import LocalModel
from curation.example import Example, chat_row
from training.plan.recipe import Recipe
from training.release.gguf import _convert
from training.release.tools import converter
from training.run.counted_model import find_architecture
from workspace.errors import Refusal

ROWS = [Example(chat_row(f"question {n} of {n * 7}", f"E1{n % 4} eye both")) for n in range(8)]


def recipe_of(base: Path, **more: Any) -> Recipe:
    given = {"method": "lora", "rank": 4, "alpha": 8, "learning_rate": 1e-2, "batch": 4, "epochs": 2, "steps": 4}
    return Recipe.model_validate({"base": str(base), "max_length": 256, "attention": "eager", **given, **more})


def trained(recipe: Recipe, folder: Path) -> Any:
    """The trainer, after its four steps and a check with answers."""
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
    import transformers
    from peft import PeftModel

    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        model = writer_class(transformers, str(base)).from_pretrained(str(base), dtype="float32").eval()
        before = model(ids).logits
        tuned = PeftModel.from_pretrained(model, str(adapter)).eval()
        after = tuned(input_ids=ids).logits
        assert torch.allclose(tuned.merge_and_unload()(ids).logits, after, atol=1e-3)
    return float((after - before).abs().max())


PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- families -->\n", "<!-- end -->"
HEAD = "| family | asked | parameters | GGUF |\n|---|---|---|---|\n"
QUICK = ("qwen3_moe",)
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in families.FAMILIES if name not in QUICK)]


def table() -> dict[str, str]:
    """Family -> its line in docs/models.md."""
    lines = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].splitlines()[2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def holds(family: str, seen: str) -> None:
    """The line of the page begins with what was seen here; written there first, where that is asked for."""
    if os.environ.get("RUNG_WRITE_DOCS"):
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        lines = {**table(), family: seen}
        text = HEAD + "".join(f"{lines[name]}\n" for name in families.FAMILIES if name in lines)
        PAGE.write_text(before + BEGIN + text + END + rest.split(END, 1)[1], encoding="utf-8")
    assert table()[family].startswith(seen)


def how_counted(base: Path) -> str:
    try:
        read_config(base)
    except UnknownArchitecture:
        return "built by transformers"
    return "by formula"


def gguf(base: Path, folder: Path) -> str:
    """What llama.cpp's converter, as a release runs it, makes of the folder; its list where that fails."""
    script = converter()
    try:
        _convert(script, base, folder / "f32.gguf")
    except Refusal:
        environment = {**os.environ, "PYTHONPATH": str(script.parent)}
        command = [sys.executable, str(script), "--print-supported-models"]
        listed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        known = json.loads((base / "config.json").read_bytes())["architectures"][0] in listed.stdout + listed.stderr
        return "listed" if known else "no"
    return "converted"


def reads_images(weight: str) -> bool:
    return any(part in weight for part in (".visual.", ".vision_tower.", ".multi_modal_projector."))


def test_the_table_holds_every_family() -> None:
    assert list(table()) == list(families.FAMILIES)


@pytest.mark.parametrize("family", EVERY)
def test_a_family_is_asked_counted_trained_and_merged(family: str, tmp_path: Path) -> None:
    from training.run.base_model import load_tokenizer

    words = load_tokenizer(str(embedded_model()))
    base, loaded = tmp_path / "base", families.tiny(family, words)
    loaded.model.save_pretrained(str(base))
    words.save_pretrained(str(base))
    way = LocalModel(loaded, checks=tmp_path / "checks.json")._ways.fastest(100, [5, 6, 7])
    weights = {name: weight.numel() for name, weight in loaded.model.named_parameters() if not reads_images(name)}
    counted = find_architecture(base)
    assert counted.parameters == sum(weights.values())
    trainer = trained(recipe_of(base, dropout=0.05), tmp_path)
    assert change(base, tmp_path / "adapter") > 1e-3
    adapted = {name: weight.numel() for name, weight in trainer.model.named_parameters() if ".lora_" in name}
    assert not [name for name in adapted if ".router." in name or reads_images(name)]
    if "text" in families.FAMILIES[family]:
        assert adapter_of(counted, "lora", rank=4).parameters == sum(adapted.values())
    seen = f"| {family} | {way} | {how_counted(base)} | "
    tool_too = family not in QUICK or os.environ.get("RUNG_WRITE_DOCS")
    holds(family, f"{seen}{gguf(base, tmp_path)} |" if tool_too else seen)


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
