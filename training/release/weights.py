"""The forms that are weights: the adapter as it is, merged in full precision, and 4-bit weights by GPTQ and AWQ."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from chat.local.load import writer_class
from chat.local.offline import quiet_transformers
from chat.local.prompt import encode_ask
from chat.open import open_local
from chat.protocols import Ask, Progress, Reply
from curation.split.manifest import load_split
from training.plan.recipe import QUANTISED, VIRTUAL
from training.release.goldens import (
    GOLDEN,
    NEW_TOKENS,
    Goldens,
    add_answers,
    compare,
    demand_equal,
    golden,
    read_goldens,
)
from training.release.making import Making, Scoring, as_facts, demand
from training.release.releases import FormName, ReleasedForm, folder_bytes
from training.release.tools import COMPRESSOR, compressor, run_tool
from training.run.base_model import load_tokenizer
from training.run.tokens import tokenise
from workspace.artefact import revised, write_artefact
from workspace.errors import Refusal
from workspace.extras import require
from workspace.files import write_text


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
    from torch import cuda

    if making.run.method in VIRTUAL:
        raise Refusal(
            f"{making.run.id} is {making.run.method} tuning: virtual tokens cannot be merged into weights.",
            "rung release --to adapter",
        )
    model, tokenizer = making.load()
    before = golden(model, tokenizer, making.rows, making.run.system_prompt)
    merged = model.merge_and_unload() if making.run.method != "full" else model
    parity = compare(before, golden(merged, tokenizer, making.rows, making.run.system_prompt))
    demand_equal(parity, "merged")
    merged.save_pretrained(str(folder), safe_serialization=True)
    tokenizer.save_pretrained(str(folder))
    safe = {"local_files_only": True, "trust_remote_code": False}
    kind = writer_class(quiet_transformers(), str(folder), **safe)
    again = kind.from_pretrained(str(folder), **safe, dtype="float32", use_safetensors=True)
    reloaded = compare(before, golden(again, tokenizer, making.rows, making.run.system_prompt))
    demand_equal(reloaded, "merged, reloaded")
    ends = merged.generation_config.eos_token_id
    goldens = Goldens(
        max_tokens=NEW_TOKENS,
        tokenizer="merged",
        starts=tokenizer.bos_token_id,
        ends=[ends] if isinstance(ends, int) else list(ends or []),
        items=before.items,
    )
    write_artefact(making.work / GOLDEN, goldens)
    facts: dict[str, object] = {"precision": "fp32", "merged": asdict(parity), "reloaded": asdict(reloaded)}
    against = f"{reloaded.equal} of {reloaded.prompts} equal"
    del model, merged, again
    model_settings = making.settings.model
    if making.run.method in QUANTISED or model_settings.precision == "bf16" or cuda.is_available():
        # another precision than in training or measurement: scored as a user loads it, from its folder in fp32
        named = revised(model_settings, base=str(folder), provider="local")
        answering = open_local(named, batch=making.settings.evaluation.batch, precision="float32")
        losses = demand(making, [Scoring(making).score("merged", answering)])
        facts["validation"] = as_facts(losses)
        against += f", {losses[0].short}"
    return ReleasedForm(form="merged", folder="merged", bytes=folder_bytes(folder), against=against, facts=facts)


CHILD = Path(__file__).with_name("programs") / "compress_child.py"
ROWS = 128
"""Training rows that the quantiser is calibrated on, at most; validation and test rows take no part."""
GROUP = "group.json"


def refuse_without_gpu(forms: Sequence[FormName]) -> None:
    """Raise Refusal before anything is made where AWQ is asked for and no GPU is there."""
    if "awq" not in forms:
        return
    if not require("train", "torch").cuda.is_available():
        raise Refusal(
            "awq is not made here: llmcompressor pins memory for a GPU, and this machine has none. gptq needs none.",
            "rung release --to gptq",
        )


def make_compressed(name: FormName, making: Making, folder: Path) -> ReleasedForm:
    """Make 4-bit weights by GPTQ or AWQ, calibrated on training rows, scored on validation.

    Raises Refusal where the environment cannot be made, the quantiser fails, or the form loses too much.
    """
    python = compressor()
    making.ways.told(f"{name}: calibrating")
    tokenizer, trained = making.tokenizer(), load_split(making.project.datasets / making.run.dataset, "train")[:ROWS]
    rows = making.work / ".calibration.json"
    write_text(rows, json.dumps([tokenise(tokenizer, 1, row, making.run.system_prompt).ids for row in trained]))
    command = [str(python), str(CHILD), "compress", name, str(making.work / "merged"), str(folder), str(rows)]
    run_tool(name, command, {"HF_HUB_OFFLINE": "1"}, folder / GROUP)
    rows.unlink()
    group = json.loads((folder / GROUP).read_text())
    (folder / GROUP).unlink()
    apart = Apart(python, folder, making.work)
    losses = demand(making, [Scoring(making).score(name, apart)])
    goldens = read_goldens(making.work)
    asks = [Ask(tuple(item.turns), goldens.max_tokens) for item in goldens.items]
    add_answers(making.work / GOLDEN, {name: [reply.text for reply in apart.answer(asks)]})
    facts: dict[str, object] = {"by": COMPRESSOR, "scheme": "4-bit weights", "group": group["group"]}
    facts |= {"calibrated_on": group["rows"], "validation": as_facts(losses)}
    return ReleasedForm(form=name, folder=name, bytes=folder_bytes(folder), against=losses[0].short, facts=facts)


class Apart:
    """A model that only another environment can load, as a ChatModel: it answers in a process there."""

    is_local = True
    can_choose = False

    def __init__(self, python: Path, model: Path, work: Path) -> None:
        self.python = python
        self.model = model
        self.work = work
        self.name = model.name
        self.tokenizer = load_tokenizer(str(work / "merged"))

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return all replies; they come together, when the process ends."""
        pad = self.tokenizer.pad_token_id or 0
        ids = [encode_ask(self.tokenizer, ask) for ask in asks]
        asked = [{"ids": i, "max_tokens": a.max_tokens, "pad": pad} for i, a in zip(ids, asks, strict=True)]
        given, taken = self.work / ".asks.json", self.work / ".answers.json"
        write_text(given, json.dumps(asked))
        command = [str(self.python), str(CHILD), "answer", str(self.model), str(given), str(taken)]
        run_tool(f"{self.name}: answering", command, {"HF_HUB_OFFLINE": "1"}, taken)
        found = json.loads(taken.read_text())
        given.unlink()
        taken.unlink()
        if progress:
            progress(len(asks), len(asks))
        texts = [str(self.tokenizer.decode(one["ids"], skip_special_tokens=True)) for one in found]
        return [
            Reply(text, len(prompt), len(one["ids"]), 0.0, "end" if one["ended"] else "length")
            for text, prompt, one in zip(texts, ids, found, strict=True)
        ]
