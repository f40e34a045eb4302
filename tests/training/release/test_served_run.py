"""GGUF by llama.cpp, `rung evaluate --served` on its server, GPTQ and AWQ by llmcompressor: slow, real programs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bank import changed
from in_shell import rung
from later import torch
from released import judged, let

from chat.open import open_local
from chat.protocols import Ask
from curation.split.manifest import load_split
from evaluation.measurement_report import read_outcomes
from evaluation.verdict.rule import newest_verdict
from training.release.gguf import _convert, serving
from training.release.goldens import check_server, read_goldens
from training.release.releases import FormName, current_release, verify
from training.release.tools import SERVER, converter, llama_cpp
from training.run.tokens import with_system
from workspace.folder import Project
from workspace.settings import Settings, load_settings

pytestmark = pytest.mark.slow


def merged(base: Path, adapter: Path, into: Path) -> Path:
    """The run's weights as a server without adapters takes them."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(str(base)), str(adapter))
    model.merge_and_unload().save_pretrained(str(into))
    AutoTokenizer.from_pretrained(str(base)).save_pretrained(str(into))
    return into


@pytest.fixture
def project(built: Path, tiny: Path, tmp_path: Path) -> Project:
    """The small project with a run that was trained until it answers in its form, which its base does not."""
    made = Project(tmp_path / "clinic")
    shutil.copytree(built, made.root)
    toml = made.settings_file.read_text().replace("epochs = 2", "epochs = 40").replace("1e-3", "1e-2")
    made.settings_file.write_text(f'{toml}[model]\nbase = "{tiny}"\n')
    done = rung("train", cwd=made.root)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def settings(project: Project) -> Settings:
    return load_settings(project.settings_file)


@pytest.fixture
def address(project: Project, settings: Settings, tiny: Path, tmp_path: Path) -> Iterator[str]:
    """One llama-server that lists `tiny` and `clinic`, and starts each when it is asked for it."""
    models = tmp_path / "models"
    models.mkdir()
    _convert(converter(), tiny, models / "tiny.gguf")
    whole = merged(tiny, project.runs / "R-001" / "adapter", tmp_path / "merged")
    _convert(converter(), whole, models / "clinic.gguf")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = llama_cpp(settings)
    command = [folder / SERVER, "--models-dir", models, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ctx-size", "256", "--parallel", "1", "--threads", "1", "--gpu-layers", "0", "--jinja"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=log,
            stderr=log,
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up")


def test_the_run_is_asked_by_name_and_answers_as_its_weights_do(
    project: Project, settings: Settings, address: str, tiny: Path
) -> None:
    there = f'provider = "openai"\nbase = "tiny"\nbase_url = "{address}"\n'
    toml = project.settings_file
    toml.write_text(toml.read_text().replace(f'base = "{tiny}"\n', there))
    measured = rung("baseline", "--arms", "base,prompt", cwd=project.root)
    assert measured.returncode == 0, measured.stderr
    done = rung("evaluate", "R-001", "--served", "clinic", "--json", cwd=project.root)
    assert done.returncode == 0, done.stderr
    found = newest_verdict(project, "R-001")
    assert found is not None
    folder, verdict = found
    assert json.loads(done.stdout)["served"] == verdict.served and address.split("/")[2] in verdict.served
    model = open_local(settings.model, adapter=project.runs / "R-001" / "adapter")
    rows = load_split(project.datasets / "v001", "test")
    asks = [Ask(tuple(with_system(row.asked, "House line.")), settings.model.max_tokens) for row in rows]
    answered = [o.output for o in read_outcomes(folder / "outputs.jsonl") if o.split == "test"]
    assert answered == [reply.text for reply in model.answer(asks)]
    base = [o.output for o in read_outcomes(project.evaluations / "E-002" / "outputs.jsonl") if o.arm == "base"]
    assert all(output.startswith("E1") for output in answered) and not any(o.startswith("E1") for o in base)
    refused = rung("evaluate", "R-001", "--served", "clinik", cwd=project.root)
    assert refused.returncode == 1 and '"clinic"' in refused.stderr


def test_a_run_goes_out_as_gguf_scored_and_served(project: Project, settings: Settings) -> None:
    """The merged weights, unchanged, then in two types; each is served and answers as when it was released."""
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    judged(project, settings, right=30)
    settings = changed(settings, "release", gguf=("f32", "q8_0", "q4_k_m"))
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
    with serving(settings, folder / "gguf" / "model-q8_0.gguf", 256, "--chat-template", "zephyr") as endpoint:
        found_out = check_server(endpoint, read_goldens(folder), folder)
    assert not found_out.passed and {d.cause for d in found_out.differences} == {"template"}


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
