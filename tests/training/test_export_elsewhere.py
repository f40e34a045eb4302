"""Exports run as they are, and read by the parsers of the projects that they are for. Slow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path
from typing import Any

import pytest

from workspace.folder import Project

SLOW = pytest.mark.slow


@pytest.fixture
def exported(rung: Any, ready: Project) -> Callable[[str], Path]:
    """`exported("trl")`: the folder that `rung plan --export` wrote, for the tiny model and without dropout."""

    def make(kind: str) -> Path:
        done = rung("plan", "--export", kind, "--json")
        assert done.returncode == 0, done.stderr
        return Path(json.loads(done.stdout)["folder"])

    return make


def run(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **variables}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)


def tool(name: str) -> str:
    return str(Path(get_path("scripts")) / name)


@SLOW
def test_the_trl_script_runs_as_it_is_and_two_processes_make_the_steps_of_one(exported: Any, tmp_path: Path) -> None:
    folder = exported("trl")
    script = folder / "train.py"
    script.write_text(script.read_text().replace("'dropout': 0.05", "'dropout': 0.0"))
    one = run(sys.executable, "train.py", "--steps", "2", "--out", str(tmp_path / "one"), cwd=folder)
    assert one.returncode == 0, one.stderr[-2000:]
    words = ["--nproc_per_node", "2", "train.py", "--processes", "2", "--steps", "2", "--out", str(tmp_path / "two")]
    two = run(tool("torchrun"), *words, cwd=folder)
    assert two.returncode == 0, two.stderr[-2000:]
    alone, shared = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert (alone["processes"], shared["processes"]) == (1, 2)
    assert shared["losses"] == pytest.approx(alone["losses"], rel=1e-5) and len(alone["losses"]) == 2
    assert shared["validation"] == pytest.approx(alone["validation"], rel=1e-5)
    assert (tmp_path / "one" / "adapter" / "adapter_model.safetensors").is_file()


@SLOW
def test_rows_over_the_stated_size_are_read_as_a_stream(exported: Any, tmp_path: Path) -> None:
    folder = exported("trl")
    script = folder / "train.py"
    script.write_text(script.read_text().replace("'stream_over': 2000000000", "'stream_over': 0"))
    done = run(sys.executable, "train.py", "--steps", "2", "--out", str(tmp_path / "out"), cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads((tmp_path / "out" / "result.json").read_text())["losses"]) == 2


@SLOW
@pytest.mark.parametrize("over", ["2000000000", "0"], ids=["read", "streamed"])
def test_the_trl_script_reaches_for_no_network(exported: Any, refused: Any, tmp_path: Path, over: str) -> None:
    variables, reached = refused()
    told = run(sys.executable, "-c", "import socket; socket.getaddrinfo('example.com', 80)", cwd=tmp_path, **variables)
    assert told.returncode == 1 and reached.read_text() == "socket.getaddrinfo example.com\n", "the refusal works"
    reached.write_text("")
    folder = exported("trl")
    script = folder / "train.py"
    script.write_text(script.read_text().replace("'stream_over': 2000000000", f"'stream_over': {over}"))
    words = (sys.executable, "train.py", "--steps", "1", "--out", str(tmp_path / "out"))
    done = run(*words, cwd=folder, HF_DATASETS_CACHE=str(tmp_path / "cache"), **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    assert reached.read_text() == ""


@SLOW
def test_a_launcher_that_quietly_starts_one_process_is_stopped(exported: Any) -> None:
    folder = exported("trl")
    words = ["launch", "--cpu", "--num_processes", "2", "train.py", "--processes", "2", "--steps", "2"]
    done = run(tool("accelerate"), *words, cwd=folder)
    assert done.returncode != 0


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`beside("axolotl")`: a package in a folder of its own, without what it depends on; skips where pip fails."""

    def install(*packages: str, **variables: str) -> Path:
        folder = tmp_path_factory.mktemp("beside")
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
        done = run(*command, "--target", str(folder), *packages, cwd=folder, **variables)
        if done.returncode:
            pytest.skip(f"{packages[0]} does not install here: {done.stderr.strip()[-200:]}")
        return folder

    return install


def apart(folder: Path, packages: list[str], *options: str) -> str:
    """The Python of an environment with these packages; skips where pip fails."""
    made = run(sys.executable, "-m", "venv", *options, str(folder / "v"), cwd=folder)
    python = str(folder / "v" / "bin" / "python")
    done = run(python, "-m", "pip", "install", "-q", *packages, cwd=folder)
    if made.returncode or done.returncode:
        pytest.skip(f"{packages[0]} does not install here: {done.stderr.strip()[-200:]}")
    return python


AXOLOTL = """
import sys, yaml
from axolotl.utils.schemas.config import AxolotlInputConfig
table = yaml.safe_load(open("config.yaml"))
print(*(key for key in table if key not in AxolotlInputConfig.model_fields))
read = AxolotlInputConfig(**table)
print(read.lora_r, read.learning_rate, read.datasets[0].message_field_training)
"""


@SLOW
def test_axolotls_own_schema_takes_the_file(exported: Any, beside: Any) -> None:
    done = run(sys.executable, "-c", AXOLOTL, cwd=exported("axolotl"), PYTHONPATH=str(beside("axolotl==0.19.0")))
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line.split() for line in done.stdout.splitlines()[-2:]] == [[], ["4", "0.001", "train"]]


LLAMA_FACTORY = """
import sys, types, yaml, llamafactory
data = types.ModuleType("llamafactory.data")      # its own __init__ wants torchaudio, which nothing here reads
data.__path__ = [llamafactory.__path__[0] + "/data"]
sys.modules["llamafactory.data"] = data
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams.parser import _parse_train_args
table = {**yaml.safe_load(open("train.yaml")), "use_cpu": True, "bf16": False}   # no card here
model, rows, training, tuning, _ = _parse_train_args(table)
found = get_dataset_list(rows.dataset + rows.eval_dataset, rows.dataset_dir)
print(tuning.lora_rank, training.learning_rate, rows.mask_history, *(a.messages for a in found))
"""


@SLOW
def test_llama_factorys_own_parser_takes_the_files(exported: Any, beside: Any) -> None:
    packages = ("llamafactory==0.9.5", "omegaconf==2.3.0", "antlr4-python3-runtime==4.9.3")
    path = str(beside(*packages))
    done = run(
        sys.executable, "-c", LLAMA_FACTORY, cwd=exported("llama-factory"), PYTHONPATH=path, DISABLE_VERSION_CHECK="1"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].split() == ["4", "0.001", "True", "messages", "messages"]


@SLOW
def test_the_unsloth_script_runs_on_its_cpu_way(exported: Any, beside: Any, tmp_path: Path) -> None:
    path = str(beside("unsloth==2026.10.9", "unsloth_zoo"))
    words = [sys.executable, "train.py", "--steps", "2", "--out", str(tmp_path / "out")]
    done = run(*words, cwd=exported("unsloth"), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(json.loads((tmp_path / "out" / "result.json").read_text())["losses"]) == 2


DEEPSPEED = """
import json
from deepspeed.runtime.config import DeepSpeedConfig
table = json.load(open("launch/deepspeed.json"))
found = DeepSpeedConfig(table)
print("stage", found.zero_optimization_stage, found.train_micro_batch_size_per_gpu)
"""


@SLOW
def test_deepspeeds_own_parser_takes_the_file(exported: Any, beside: Any) -> None:
    folder = exported("trl")
    table = json.loads((folder / "launch" / "deepspeed.json").read_text())
    table["train_batch_size"] //= 2  # its parser multiplies by the processes that run, which is one here
    (folder / "launch" / "deepspeed.json").write_text(json.dumps(table))
    path = str(beside("deepspeed==0.19.8", "hjson", "py-cpuinfo", "ninja", "msgpack", "einops", DS_BUILD_OPS="0"))
    done = run(sys.executable, "-c", DEEPSPEED, cwd=folder, PYTHONPATH=path, DS_ACCELERATOR="cpu")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "stage 3" in done.stdout
    shutil.rmtree(folder)


@SLOW
def test_skypilots_own_reader_takes_the_file(exported: Any, tmp_path: Path) -> None:
    python = apart(tmp_path, ["skypilot==0.14.1"])
    read = (
        "import sky; t = sky.Task.from_yaml('sky.yaml'); r = list(t.resources)[0]; "
        "print(t.run, len(t.resources), r.autostop_config.down, r.autostop_config.idle_minutes, sorted(t.file_mounts))"
    )
    folder = exported("skypilot")
    done = run(python, "-c", read, cwd=folder, HOME=str(tmp_path))
    run_line = done.stdout.split()
    assert done.returncode == 0 and run_line[:2] == ["python", "train.py"], done.stderr[-2000:]
    assert run_line[3:5] == ["True", "10"] and int(run_line[2]) >= 5 and "tiny-llama" in run_line[-1]


@SLOW
def test_dstacks_own_reader_takes_the_file(exported: Any, tmp_path: Path) -> None:
    python = apart(tmp_path, ["dstack==0.22.5"])
    read = (
        "import yaml; from dstack._internal.core.models.configurations import parse_run_configuration as parse; "
        "t = parse(yaml.safe_load(open('tuning.dstack.yml'))); "
        "print(t.type, t.resources.gpu.count.min, t.max_duration, len(t.files), t.commands[1])"
    )
    done = run(python, "-c", read, cwd=exported("dstack"), HOME=str(tmp_path))
    assert done.stdout.split()[:2] == ["task", "1"], done.stderr[-2000:]
    assert done.stdout.split()[3:] == ["2", "python", "train.py"]


@SLOW
def test_the_notebook_is_one_and_its_cells_train(exported: Any, tmp_path: Path) -> None:
    python = apart(tmp_path, ["nbclient", "ipykernel"], "--system-site-packages")
    folder = exported("notebook")
    book = folder / "train.ipynb"
    cells = json.loads(book.read_text())
    for cell in cells["cells"]:
        if cell["source"].startswith("%pip"):
            cell["source"] = ""  # what it installs is there
    book.write_text(json.dumps(cells))
    play = (
        "import nbformat, nbclient; book = nbformat.read('train.ipynb', 4); nbformat.validate(book); "
        "nbclient.NotebookClient(book, timeout=300).execute()"
    )
    site = [path for path in sys.path if path.endswith("site-packages")]
    done = run(python, "-c", play, cwd=folder, PYTHONPATH=os.pathsep.join(site))
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "output" / "adapter" / "adapter_model.safetensors").is_file()
