"""Several released adapters on one base: switched, and each found equal to itself alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.protocols import Progress
from curation.manifest import load_split
from training.record import RECORD, RunRecord
from training.release.loras import SERVABLE, rank_of, vllm_rank
from training.release.parity import Golden, Parity, compare, demand, golden
from training.release.record import CHAIN, RELEASE, Release
from training.release.verify import verify
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.folder import Project


@dataclass(frozen=True, slots=True)
class Adapter:
    """A released adapter: its folder, and the run that its release was made from."""

    release: str
    folder: Path
    run: RunRecord


@dataclass(frozen=True, slots=True)
class Switched:
    """`parity` of each adapter, by release: among the others on one base, beside itself alone."""

    base: str
    adapters: list[Adapter]
    parity: dict[str, Parity]

    @property
    def command(self) -> str:
        """VLLM with all of them; a request names the one it wants as its model. Empty where vLLM cannot load one."""
        from chat.local.load import find_model

        rank = vllm_rank(max(rank_of(each.folder) for each in self.adapters))
        if rank is None or any(each.run.method not in SERVABLE for each in self.adapters):
            return ""
        modules = " ".join(shlex.quote(f"{each.release}={each.folder}") for each in self.adapters)
        lora = f"--enable-lora --max-lora-rank {rank} --generation-config vllm"
        return f"vllm serve {shlex.quote(find_model(self.base)[0])} {lora} --lora-modules {modules}"


def switch(project: Project, folders: Sequence[Path], progress: Progress | None = None) -> Switched:
    """Load all adapters onto one base, ask each in turn, and compare it with itself alone on the same base.

    Raises Refusal where a release is changed or holds no adapter, where they belong to several bases, or where one
    answers otherwise among the others.
    """
    adapters = [_read(folder) for folder in folders]
    if len({each.release for each in adapters}) < 2:
        raise Refusal("Switching takes two releases or more.", "rung release switch L-001 L-002")
    _one_base(adapters)
    alone = [_ask(project, each, _load(adapters[0].run, [each])) for each in adapters]
    together = _load(adapters[0].run, adapters)
    found: dict[str, Parity] = {}
    for number, (each, before) in enumerate(zip(adapters, alone, strict=True), 1):
        together[0].set_adapter(each.release)
        found[each.release] = compare(before, _ask(project, each, together))
        demand(found[each.release], f"{each.release} among {len(adapters)} adapters")
        if progress:
            progress(number, len(adapters))
    return Switched(adapters[0].run.base, adapters, found)


def _read(folder: Path) -> Adapter:
    checked = verify(folder)
    if checked.faults:
        raise Refusal(f"{folder.name} is not what was released: {'; '.join(checked.faults[:3])}.", "rung status")
    made: Release = read_artefact(folder / RELEASE, Release)
    if made.run is None or not any(form.form == "adapter" for form in made.forms):
        raise Refusal(f"{made.id} holds no adapter.", f"rung release {made.run or 'RUN'} --to adapter")
    run = read_artefact(folder / CHAIN / "runs" / made.run / RECORD, RunRecord)
    return Adapter(made.id, folder / "adapter", run)


def _one_base(adapters: Sequence[Adapter]) -> None:
    prints = {each.release: f"{each.run.base} ({(each.run.base_fingerprint or 'unknown')[:8]})" for each in adapters}
    if len({(each.run.base, each.run.base_fingerprint) for each in adapters}) > 1:
        told = ", ".join(f"{name} of {base}" for name, base in prints.items())
        raise Refusal(f"These adapters belong to several bases: {told}.", "rung release RUN --to merged")


def _load(run: RunRecord, adapters: Sequence[Adapter]) -> tuple[Any, Any]:
    """The base in fp32 with these adapters on it, the first active, and the tokenizer."""
    from chat.local.load import find_model, fingerprint, quiet_transformers

    place, hub = find_model(run.base)
    if not hub and fingerprint(Path(place)) != run.base_fingerprint:
        raise Refusal(f"{run.base}: another model than {run.id} was trained on.", "rung status")
    transformers = quiet_transformers(hub=hub)
    from peft import PeftModel

    first, *others = adapters
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(first.folder), local_files_only=True)
    base = transformers.AutoModelForCausalLM.from_pretrained(
        place, dtype="float32", local_files_only=not hub, trust_remote_code=False, use_safetensors=True
    )
    model = PeftModel.from_pretrained(base, str(first.folder), adapter_name=first.release, local_files_only=True)
    for other in others:
        model.load_adapter(str(other.folder), adapter_name=other.release, local_files_only=True)
    return model, tokenizer


def _ask(project: Project, adapter: Adapter, loaded: tuple[Any, Any]) -> Golden:
    rows = load_split(project.datasets / adapter.run.dataset, "validation")
    return golden(*loaded, rows, adapter.run.system_prompt)
