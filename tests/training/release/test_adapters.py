"""Two adapters on one base: switched, each answers as it does alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from released import judged, let

from training.record import RECORD, read_run, write_run
from training.release.adapters import switch
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings


def second(project: Project, settings: Settings, **changes: str) -> Path:
    """R-002, released: R-001's adapter with every second matrix turned round, so that it answers otherwise."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(project.runs / "R-001", project.runs / "R-002")
    folder = project.runs / "R-002"
    weights = folder / "adapter" / "adapter_model.safetensors"
    tensors = {name: -40 * t if "lora_B" in name else t for name, t in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    run = read_run(folder)
    files = {**run.files, weights.name: sha256_file(weights)}
    write_run(folder, run, id="R-002", adapter="R-002/adapter", files=files, **changes)
    judged(project, settings, right=30, run="R-002")
    return let(project, settings, "adapter", run="R-002", by="sam", reason="a second one")


def test_each_is_itself_among_others(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    folders = [let(project, settings, "adapter"), second(project, settings)]
    found = switch(project, folders)
    assert set(found.parity) == {"L-001", "L-002"}
    assert all(p.equal == p.prompts == 4 and p.top1 == 1.0 and p.largest < 1e-4 for p in found.parity.values())
    assert found.command.startswith(f"vllm serve {settings.model.base} --enable-lora --max-lora-rank 8 ")
    assert f"L-001={folders[0]}/adapter L-002={folders[1]}/adapter" in found.command
    embedded = replace(found, base="embedded").command.split()[2]
    assert (Path(embedded) / "config.json").is_file()
    first, other = found.adapters
    assert not replace(
        found, adapters=[first, replace(other, run=other.run.model_copy(update={"method": "dora"}))]
    ).command


def test_adapters_of_several_bases_are_refused(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    folders = [let(project, settings, "adapter"), second(project, settings, base_fingerprint="0" * 64)]
    with pytest.raises(Refusal, match=r"belong to several bases: L-001 of .*, L-002 of .*\(00000000\)"):
        switch(project, folders)


def test_one_release_alone_or_a_changed_one_is_refused(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    folder = let(project, settings, "adapter")
    with pytest.raises(Refusal, match="two releases or more"):
        switch(project, [folder])
    (folder / "chain" / "runs" / "R-001" / RECORD).write_text("{}")
    with pytest.raises(Refusal, match="is not what was released"):
        switch(project, [folder, folder])
