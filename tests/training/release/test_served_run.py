"""`rung evaluate --served` on a real llama-server that has the run's base and the run under two names: slow."""

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
from in_shell import rung

from chat.open import open_local
from chat.protocols import Ask
from curation.split.manifest import load_split
from evaluation.measurement_report import read_outcomes
from evaluation.verdict.rule import newest_verdict
from training.release.gguf import _convert
from training.release.tools import SERVER, converter, llama_cpp
from training.run.tokens import with_system
from workspace.folder import Project
from workspace.settings import Settings

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
    made.settings_file.write_text(f'{toml}[model]\nbase = "{tiny}"\nmax_tokens = 16\n')
    done = rung("train", cwd=made.root)
    assert done.returncode == 0, done.stderr
    return made


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
