"""One causal family of transformers, tiny: asked, counted, trained, merged, converted; its line in docs/models.md."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from families import config_of, tiny

from advisor.sizing.architecture import read_architecture
from advisor.sizing.config import UnknownArchitecture
from advisor.sizing.setup import Setup, adapter_of
from chat.local.decode import plain_generate
from chat.local.embedded import embedded_model
from chat.local.load import load, writer_class
from chat.local.model import LocalModel
from chat.local.prompt import encode_ask
from chat.protocols import Ask
from curation.example import Example, chat_row
from training.plan.recipe import Recipe
from training.release.gguf import _convert
from training.release.tools import converter
from training.run.counted_model import find_architecture
from workspace.errors import Refusal, RungError

ROWS = [Example(chat_row(f"question {n} of {n * 7}", f"E1{n % 4} eye both")) for n in range(8)]
QUESTIONS = (
    "Is this letter about a card that was lost at home, or about a transfer that came late, or about neither of them?",
    "Answer in one word: which of the seven colours of the rainbow did the customer name in her first letter to us?",
)


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
        moved = float((after - before).abs().max())
        rounding = max(1e-3, 3e-4 * moved)  # a state adds up what every token before was rounded by
        assert torch.allclose(tuned.merge_and_unload()(ids).logits, after, atol=rounding), "merged is not the adapter"
    return moved


def line(family: str, folder: Path, *, convert: bool) -> str:
    """The family's line as this machine sees it; without `convert` it ends before the last column."""
    from training.run.base_model import load_tokenizer

    base, words = folder / "base", load_tokenizer(str(embedded_model()))
    words.save_pretrained(str(base))
    try:
        asked = _asked(family, base, folder, words)
    except Exception as error:
        return f"| {family} | {_why(error)} | | | |"
    counted = _counted(base)
    try:
        learned = _trained(base, folder)
    except Exception as error:
        learned = _why(error)
    seen = f"| {family} | {asked} | {counted} | {learned} | "
    return f"{seen}{_gguf(base, folder)} |" if convert else seen


def _why(error: Exception) -> str:
    """Rung's own refusal, or a promise that it broke; else why there is no such tiny model, or none that learns."""
    if isinstance(error, AssertionError) and str(error):
        return "fails: " + str(error).splitlines()[0]
    if not isinstance(error, RungError):
        last = (str(error).strip().splitlines() or [""])[-1].strip()
        return f"not here: {last.removeprefix('ValueError: ')[:90] or type(error).__name__}"
    told = error.message.split(": ", 1)[-1]
    return "refused: " + told.split(" (", 1)[0].split(";")[0].split(". ")[0].removesuffix(".")


def _asked(family: str, base: Path, folder: Path, words: Any) -> str:
    """The way that was chosen, once every answer equals `generate`'s."""
    config = config_of(family, len(words))
    config.save_pretrained(str(base))
    with contextlib.suppress(ImportError):
        if not config.is_encoder_decoder:
            tiny(family, words).model.save_pretrained(str(base))
    if not list(base.glob("*.safetensors")):
        with (base / "model.safetensors").open("wb") as weights:
            weights.truncate(1 << 30)
    model = LocalModel(load(str(base)), batch=4, checks=folder / "checks.json")
    asks = [Ask(({"role": "user", "content": text[: 90 - 50 * n]},), 6) for n, text in enumerate(QUESTIONS)]
    answers = [reply.text for reply in model.answer(asks)]
    plain = [words.decode(plain_generate(model.loaded, ask), skip_special_tokens=True) for ask in asks]
    assert answers == plain, "answers are not those of generate"
    return str(model._ways.fastest(100, encode_ask(words, asks[0])))


def _counted(base: Path) -> str:
    """How the parameters were counted, once their number is exact."""
    import transformers

    model = writer_class(transformers, str(base)).from_pretrained(str(base), dtype="float32")
    whole = model.config.get_text_config() is model.config
    parts = [model] if whole else [model.base_model.get_decoder(), model.get_output_embeddings()]
    text = {id(weight): weight.numel() for part in parts for weight in part.parameters()}
    assert find_architecture(base).parameters == sum(text.values()), "the count is not exact"
    try:
        read_architecture(base)
    except UnknownArchitecture:
        return "built by transformers"
    return "by formula"


def _trained(base: Path, folder: Path) -> str:
    trainer = trained(recipe_of(base, dropout=0.05), folder)
    assert change(base, folder / "adapter") > 1e-3, "training changed nothing"
    adapted = sum(weight.numel() for name, weight in trainer.model.named_parameters() if ".lora_" in name)
    assert adapter_of(find_architecture(base), Setup(rank=4)).parameters >= adapted
    return "LoRA"


def _gguf(base: Path, folder: Path) -> str:
    """Convert the folder with llama.cpp's converter, as a release does; its list if that fails."""
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
