"""The forms that are weights: the adapter as it is, and the model with the adapter merged in full precision."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chat.local.load import writer_class
from chat.local.offline import quiet_transformers
from chat.open import open_local
from chat.protocols import ChatModel
from training.plan.recipe import VIRTUAL
from training.release.form_loss import Scoring, as_facts
from training.release.form_loss import demand as demand_loss
from training.release.goldens import GOLDEN, Golden, compare, demand, golden, write_goldens
from training.release.making import QUANTISED, Making
from training.release.releases import ReleasedForm, folder_bytes
from workspace.artefact import revised
from workspace.errors import Refusal


def make_adapter(making: Making, folder: Path) -> ReleasedForm:
    """Return the run's adapter, byte for byte."""
    if making.run.method == "full":
        raise Refusal(f"{making.run.id} is full fine-tuning: it has no adapter.", "rung release --to merged")
    shutil.copytree(making.adapter, folder)
    return ReleasedForm(form="adapter", folder="adapter", bytes=folder_bytes(folder), against="the run itself")


def make_merged(making: Making, folder: Path) -> ReleasedForm:
    """Merge the adapter into the base in fp32, never in 4 bit; compare, save, reload and compare again.

    Raises Refusal if there is nothing to merge, and where it does not answer as the adapter does.
    """
    if making.run.method in VIRTUAL:
        raise Refusal(
            f"{making.run.id} is {making.run.method} tuning: virtual tokens cannot be merged into weights.",
            "rung release --to adapter",
        )
    model, tokenizer = making.load()
    before = golden(model, tokenizer, making.rows, making.run.system_prompt)
    merged = model.merge_and_unload() if making.run.method != "full" else model
    parity = compare(before, golden(merged, tokenizer, making.rows, making.run.system_prompt))
    demand(parity, "merged")
    merged.save_pretrained(str(folder), safe_serialization=True)
    tokenizer.save_pretrained(str(folder))
    reloaded = compare(before, golden(_reload(folder), tokenizer, making.rows, making.run.system_prompt))
    demand(reloaded, "merged, reloaded")
    _keep_goldens(making, before, merged, tokenizer)
    facts: dict[str, object] = {"precision": "fp32", "merged": asdict(parity), "reloaded": asdict(reloaded)}
    against = f"{reloaded.equal} of {reloaded.prompts} equal"
    del model, merged
    if is_changed(making):
        losses = demand_loss(making, [Scoring(making).score("merged", _answering(making, folder))])
        facts["validation"] = as_facts(losses)
        against += f", {losses[0].short}"
    return ReleasedForm(form="merged", folder="merged", bytes=folder_bytes(folder), against=against, facts=facts)


def is_changed(making: Making) -> bool:
    """True if the merged model has another precision than in training or measurement."""
    from torch import cuda

    return making.run.method in QUANTISED or making.settings.model.precision == "bf16" or bool(cuda.is_available())


def _answering(making: Making, folder: Path) -> ChatModel:
    """Return the merged model as a user loads it: from its folder, in fp32."""
    model = revised(making.settings.model, base=str(folder), provider="local")
    return open_local(model, batch=making.settings.evaluation.batch, precision="float32")


def _keep_goldens(making: Making, found: Golden, model: Any, tokenizer: Any) -> None:
    ends = model.generation_config.eos_token_id
    marks = tokenizer.bos_token_id, [ends] if isinstance(ends, int) else list(ends or [])
    write_goldens(making.work / GOLDEN, found, making.rows, making.run.system_prompt, marks)


def _reload(folder: Path) -> Any:
    safe = {"local_files_only": True, "trust_remote_code": False}
    kind = writer_class(quiet_transformers(), str(folder), **safe)
    return kind.from_pretrained(str(folder), **safe, dtype="float32", use_safetensors=True)
