"""GGUF by llama.cpp's own converter and server, GPTQ and AWQ by llmcompressor: slow, for pip installs them first."""

from __future__ import annotations

import json

import pytest
from later import torch
from released import judged, let

from training.release.gguf import serving
from training.release.goldens import check_server, read_goldens
from training.release.releases import FormName, current_release, verify
from workspace.folder import Project
from workspace.settings import Settings

pytestmark = pytest.mark.slow


def test_a_run_goes_out_as_gguf_scored_and_served(project: Project, settings: Settings) -> None:
    """The merged weights, unchanged, then in two types; each is served and answers as when it was released."""
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    judged(project, settings, right=30)
    types = settings.release.model_copy(update={"gguf": ("f32", "q8_0", "q4_k_m")})
    settings = settings.model_copy(update={"release": types})
    folder = let(project, settings, "gguf")
    found = current_release(project)
    assert found is not None and found[0] == folder
    facts = {form.form: form for form in found[1].forms}["gguf"].facts
    assert facts["f32"]["equal"] == facts["f32"]["prompts"] == 4
    assert set(facts["validation"]) == {"gguf q8_0", "gguf q4_k_m"} and set(facts["bytes"]) == {"f32", "q8_0", "q4_k_m"}
    assert all(loss["n"] == 4 and loss["low"] <= loss["loss"] <= loss["high"] for loss in facts["validation"].values())
    assert len((folder / "validation" / "gguf-q4_k_m.jsonl").read_text().splitlines()) == 4
    assert facts["bytes"]["q4_k_m"] < facts["bytes"]["q8_0"] < facts["bytes"]["f32"] / 2
    tensors = {t.name: t for t in GGUFReader(folder / "gguf" / "model-f32.gguf").tensors}
    weights = load_file(folder / "merged" / "model.safetensors")["model.embed_tokens.weight"]
    assert (tensors["token_embd.weight"].data.reshape(weights.shape) == weights).all()
    assert verify(folder).faults == []
    with serving(settings, folder / "gguf" / "model-q4_k_m.gguf", 256) as endpoint:
        checked = check_server(endpoint, read_goldens(folder), folder)
    assert checked.passed and checked.warnings


def test_a_server_with_a_template_of_its_own_is_found_out(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    folder = let(project, settings, "gguf")
    model = folder / "gguf" / "model-q8_0.gguf"
    with serving(settings, model, 256, "--chat-template", "zephyr") as endpoint:
        found = check_server(endpoint, read_goldens(folder), folder)
    assert not found.passed and {d.cause for d in found.differences} == {"template"}


@pytest.mark.parametrize("form", ["gptq", "awq"])
def test_a_run_goes_out_compressed_and_scored(form: FormName, project: Project, settings: Settings) -> None:
    if form == "awq" and not torch.cuda.is_available():
        pytest.skip("AWQ is made on a GPU")
    judged(project, settings, right=30)
    folder = let(project, settings, form)
    found = current_release(project)
    assert found is not None
    facts = {each.form: each for each in found[1].forms}[form].facts
    assert facts["validation"][form]["n"] == 4 and facts["calibrated_on"] == 16
    config = json.loads((folder / form / "config.json").read_text())
    assert config["quantization_config"]["config_groups"]["group_0"]["weights"]["num_bits"] == 4
    assert len(read_goldens(folder).forms[form]) == 4
    assert verify(folder).faults == []
