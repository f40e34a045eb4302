"""A vetted plan for other trainers: what goes along, what stays, what stops it; their parsers take it, scripts run."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from counting import Words

from curation.example import Example, chat_row
from curation.split.manifest import load_split
from rung.cli import plan_commands as commands
from training.export.bundle import Bundle, faults, limits, may_leave, pack, row_of
from training.export.export_folder import KINDS, files_of, write_export
from training.gates.clearance import Locked, admit, override
from training.templates import yaml
from workspace.errors import InputError, Refusal
from workspace.folder import Project
from workspace.settings import Settings


def packed(project: Project, settings: Settings, plan: Path, kind: str = "trl", **more: Any) -> Bundle:
    return pack(project, settings, plan, Words(), kind=kind, **more)


def test_the_frozen_rows_the_plan_and_the_receipt_go_along_and_the_test_set_stays(
    ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    frozen = [row.answer for row in load_split(ready.datasets / "v001", "train")]
    for kind in KINDS:
        folder, bundle = tmp_path / kind, packed(ready, settings, planned, kind)
        names = {p.relative_to(folder).as_posix() for p in write_export(ready, settings, bundle, kind, folder)}
        assert {"README.md", "clearance.json", "plan.toml"} < names and not any("test" in name for name in names), kind
        assert (folder / "plan.toml").read_bytes() == planned.read_bytes()
        rows = [json.loads(line) for line in next(folder.rglob("train.jsonl")).read_text().splitlines()]
        answers = [(row["completion"] if "completion" in row else row["messages"])[-1]["content"] for row in rows]
        assert answers == frozen, kind
        assert all((row.get("prompt") or row["messages"])[0]["content"] == "House line." for row in rows), kind
        receipt = json.loads((folder / "clearance.json").read_text())
        assert receipt["gates"][0]["name"] == "decision" and receipt["run"] == f"export-{kind}"


def test_a_closed_gate_stops_the_export_and_an_override_goes_along_with_its_name(
    ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    ready.decision_file.write_text(ready.decision_file.read_text().replace('"fine_tune"', '"few_shot"'))
    with pytest.raises(Locked, match="decision"):
        packed(ready, settings, planned)
    bundle = packed(ready, settings, planned, overrides=[override("decision", "priya", "contract")])
    assert [o.by for o in bundle.clearance.overrides] == ["priya"]
    plan = planned.read_text()
    planned.write_text(plan.replace("max_length = ", "max_length = 8000000 # "))
    machine = packed(ready, settings, planned, overrides=bundle.clearance.overrides).clearance.gates[-1]
    assert (machine.name, machine.passed) == ("machine", False), "written down and not asked"
    planned.write_text(plan.replace("max_length = ", "max_length = 14 # "))
    short = packed(ready, settings, planned, overrides=bundle.clearance.overrides)
    left = short.left_out["train"]
    assert left and len(short.rows["train"]) == 16 - len(left), "left out and listed, not cut"
    write_export(ready, settings, short, "trl", tmp_path / "out")
    assert ", ".join(map(str, left)) in (tmp_path / "out" / "README.md").read_text()


def test_an_export_takes_no_other_folder_starts_no_run_and_is_not_uploaded_against_the_privacy_answer(
    ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    bundle, out = packed(ready, settings, planned), tmp_path / "out"
    with pytest.raises(InputError, match="mine"):
        write_export(ready, settings, bundle, "trl", tmp_path / "mine")
    write_export(ready, settings, bundle, "trl", out)
    with pytest.raises(Refusal):
        admit(Path(shutil.copytree(out, ready.runs / "export-trl")))
    write_export(ready, settings, bundle, "axolotl", out)
    assert not (out / "train.py").exists()
    said = ready.answers_file.read_text().replace('privacy = "none"', 'privacy = "no_external_api"')
    ready.answers_file.write_text(said)
    with pytest.raises(Refusal) as refused:
        write_export(ready, settings, bundle, "openai", tmp_path / "sent")
    assert refused.value.where == "privacy" and not (tmp_path / "sent").exists()
    write_export(ready, settings, bundle, "trl", out)


def test_the_command_says_how_an_export_is_run(rung: Any, ready: Project) -> None:
    done = rung("plan", "export", "openai")
    assert done.returncode == 0 and KINDS["openai"].run in done.stdout, done.stderr


def test_what_is_wrong_with_an_option_is_said_before_a_plan_is_written() -> None:
    with pytest.raises(InputError, match='"axolotl"') as refused:
        commands.export("axolotel")
    assert set(KINDS) <= set(refused.value.hint.replace(",", " ").split())
    for each in (lambda: commands.sweep(["lr=1", "rnk=8,16"]), lambda: commands.todays(["rank=8"])):
        with pytest.raises(InputError):
            each()


@pytest.mark.parametrize(
    ("before", "today"),
    [
        ("--preflight --set rank=4", "check --set rank=4"),
        ("--sweep lr=1e-4,2e-4 rank=8,16 --set epochs=4", "sweep lr=1e-4,2e-4 rank=8,16 --set epochs=4"),
        ("--set epochs=4 --sweep=lr=1,2", "sweep --set epochs=4 lr=1,2"),
        ("--export trl -o there", "export trl -o there"),
        ("--managed", "managed"),
        ("--set rank=8 --explain", "--set rank=8 --explain"),
    ],
)
def test_an_option_of_before_is_read_as_its_word_and_says_so(
    before: str, today: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.todays(before.split()) == today.split()
    told = capsys.readouterr()
    assert told.out == "" and (today.split()[0] in told.err) == (before != today)


def test_every_limit_that_openai_sets_is_held_against_the_rows_at_once() -> None:
    good = json.dumps(row_of(Example(chat_row("q", "a")), None))
    long = json.dumps(row_of(Example(chat_row("q" * 70_000, "a")), None))
    foreign = json.dumps({"messages": [{"role": "function", "content": "x"}]})
    found = [str(p) for p in faults("train.jsonl", "\n".join([good, long, foreign]), limits())]
    assert any(" 10 " in text for text in found)
    assert any("train.jsonl:2" in text and "16,385" in text for text in found)
    assert sum("train.jsonl:3" in text for text in found) == 2
    assert not faults("train.jsonl", "\n".join([good] * 10), limits())
    assert faults("train.jsonl", "\n".join([good] * 10), {**limits(), "max_bytes": 100})


def test_rows_that_must_not_train_others_go_where_the_terms_were_read_lately(ready: Project) -> None:
    said = ready.answers_file.read_text().replace('privacy = "none"', 'privacy = "no_training"')
    ready.answers_file.write_text(said)
    may_leave(ready, date(2026, 11, 27))
    with pytest.raises(Refusal):
        may_leave(ready, date(2100, 1, 1))


def test_yaml_readers_take_numbers_for_numbers() -> None:
    import yaml as reader

    values = [1e-5, 2e-4, "on: [x", True, 1.5e-7]
    assert [reader.safe_load(yaml(value)) for value in values] == values


def test_launch_files_are_taken_by_accelerates_own_parser_and_share_the_plans_step(
    ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    bundle = packed(ready, settings, planned, cards=2)
    write_export(ready, settings, bundle, "trl", tmp_path / "out")
    for name, kind in (("ddp", "MULTI_GPU"), ("fsdp", "FSDP"), ("deepspeed", "DEEPSPEED")):
        found = load_config_from_file(str(tmp_path / "out" / "launch" / f"accelerate-{name}.yaml"))
        assert found.num_processes == 2 and str(found.distributed_type).endswith(kind)
    shell = tmp_path / "out" / "launch" / "slurm.sh"
    assert subprocess.run(["bash", "-n", str(shell)], check=False).returncode == 0
    words = shlex.split(shell.read_text(), comments=True)
    assert words[words.index("--nproc_per_node") + 1] == words[words.index("--processes") + 1] == "2"
    sizes = json.loads((shell.parent / "deepspeed.json").read_text())
    assert sizes["train_micro_batch_size_per_gpu"] * sizes["gradient_accumulation_steps"] * 2 == 4
    with pytest.raises(Refusal, match=r"4 .* 3 "):
        files_of(replace(bundle, cards=3), "trl")


@pytest.fixture
def exported(rung: Any, ready: Project) -> Callable[[str], Path]:
    """`exported("trl")`: the folder that `rung plan --export` wrote, for the tiny model and without dropout."""

    def make(kind: str) -> Path:
        done = rung("plan", "--export", kind, "--json")
        assert done.returncode == 0, done.stderr
        return Path(json.loads(done.stdout)["folder"])

    return make


def python(*words: str, cwd: Path, code: int = 0, **variables: str) -> str:
    """The output of Python with these words, and that it ended with this code."""
    command, environment = [sys.executable, *words], {**os.environ, **variables}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_trl_script_runs_as_it_is_and_two_processes_make_the_steps_of_one(exported: Any, tmp_path: Path) -> None:
    folder = exported("trl")
    script = folder / "train.py"
    script.write_text(script.read_text().replace("'dropout': 0.05", "'dropout': 0.0"))
    python("train.py", "--steps", "2", "--out", str(tmp_path / "one"), cwd=folder)
    words = ["--nproc_per_node", "2", "train.py", "--processes", "2", "--steps", "2", "--out", str(tmp_path / "two")]
    python("-m", "torch.distributed.run", *words, cwd=folder)
    alone, shared = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert (alone["processes"], shared["processes"]) == (1, 2)
    assert shared["losses"] == pytest.approx(alone["losses"], rel=1e-5) and len(alone["losses"]) == 2
    assert shared["validation"] == pytest.approx(alone["validation"], rel=1e-5)
    assert (tmp_path / "one" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("over", ["2000000000", "0"], ids=["read", "streamed"])
def test_the_trl_script_reaches_for_no_network(exported: Any, refused: Any, tmp_path: Path, over: str) -> None:
    variables, reached = refused
    python("-c", "import socket; socket.getaddrinfo('example.com', 80)", cwd=tmp_path, code=1, **variables)
    assert reached.read_text() == "socket.getaddrinfo example.com\n", "the refusal works"
    reached.write_text("")
    folder = exported("trl")
    script = folder / "train.py"
    script.write_text(script.read_text().replace("'stream_over': 2000000000", f"'stream_over': {over}"))
    words = ("train.py", "--steps", "1", "--out", str(tmp_path / "out"))
    python(*words, cwd=folder, HF_DATASETS_CACHE=str(tmp_path / "cache"), **variables)
    assert reached.read_text() == "" and len(json.loads((tmp_path / "out" / "result.json").read_text())["losses"]) == 1


@pytest.mark.slow
def test_a_launcher_that_quietly_starts_one_process_is_stopped(exported: Any) -> None:
    words = ["--cpu", "--num_processes", "2", "train.py", "--processes", "2", "--steps", "2"]
    python("-m", "accelerate.commands.launch", *words, cwd=exported("trl"), code=1)


ALONE = ("--no-deps", "--no-build-isolation")
"""Options of pip for packages whose dependencies are here."""


def installed(folder: Path, packages: list[str], *options: str) -> str:
    """A folder to which pip installed these packages and what they depend on, as these options allow, or a skip."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder / "packages"), *options, *packages]
    done = subprocess.run(command, env={**os.environ, "DS_BUILD_OPS": "0"}, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{packages[0]} does not install here: {done.stderr.strip()[-200:]}")
    return str(folder / "packages")


AXOLOTL = """
import sys, yaml
from axolotl.utils.schemas.config import AxolotlInputConfig
table = yaml.safe_load(open("config.yaml"))
assert not table.keys() - AxolotlInputConfig.model_fields.keys()
read = AxolotlInputConfig(**table)
print(read.lora_r, read.learning_rate, read.datasets[0].message_field_training)
"""
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
DEEPSPEED = """
import json
from deepspeed.runtime.config import DeepSpeedConfig
table = json.load(open("launch/deepspeed.json"))
table["train_batch_size"] //= 2  # its parser multiplies by the processes that run, which is one here
print("stage", DeepSpeedConfig(table).zero_optimization_stage)
"""
SKYPILOT = """
import sky
task = sky.Task.from_yaml("sky.yaml")
down = list(task.resources)[0].autostop_config
places, mounted = len(task.resources) >= 5, "tiny-llama" in sorted(task.file_mounts)[-1]
print(task.run.strip(), places, down.down, down.idle_minutes, mounted)
"""
DSTACK = """
import yaml
from dstack._internal.core.models.configurations import parse_run_configuration
task = parse_run_configuration(yaml.safe_load(open("tuning.dstack.yml")))
print(task.type, task.resources.gpu.count.min, len(task.files), task.commands[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "program", "said", "options", "packages"),
    [
        ("axolotl", AXOLOTL, "4 0.001 train", ALONE, ["axolotl==0.19.0"]),
        ("llama-factory", LLAMA_FACTORY, "4 0.001 True messages messages", ALONE,
         ["llamafactory==0.9.5", "omegaconf==2.3.0", "antlr4-python3-runtime==4.9.3"]),
        ("trl", DEEPSPEED, "stage 3", ALONE,
         ["deepspeed==0.19.8", "hjson", "py-cpuinfo", "ninja", "msgpack", "einops"]),
        ("skypilot", SKYPILOT, "python train.py True True 10 True", (), ["skypilot==0.14.1"]),
        ("dstack", DSTACK, "task 1 2 python train.py", (), ["dstack==0.22.5"]),
    ],
    ids=["axolotl", "llama-factory", "deepspeed", "skypilot", "dstack"],
)  # fmt: skip
def test_a_trainers_or_clouds_own_parser_takes_the_files(
    exported: Any, tmp_path: Path, kind: str, program: str, said: str, options: tuple[str, ...], packages: list[str]
) -> None:
    told = {"DISABLE_VERSION_CHECK": "1", "DS_ACCELERATOR": "cpu", "HOME": str(tmp_path)}
    path = installed(tmp_path, packages, *options)
    assert python("-c", program, cwd=exported(kind), PYTHONPATH=path, **told).splitlines()[-1] == said


@pytest.mark.slow
def test_the_unsloth_script_runs_on_its_cpu_way(exported: Any, tmp_path: Path) -> None:
    path = installed(tmp_path, ["unsloth==2026.10.9", "unsloth_zoo"], *ALONE)
    words = ["train.py", "--steps", "2", "--out", str(tmp_path / "out")]
    python(*words, cwd=exported("unsloth"), PYTHONPATH=path)
    assert len(json.loads((tmp_path / "out" / "result.json").read_text())["losses"]) == 2


@pytest.mark.slow
def test_the_notebook_is_one_and_its_cells_train(exported: Any, tmp_path: Path) -> None:
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
    python("-c", play, cwd=folder, PYTHONPATH=installed(tmp_path, ["nbclient", "ipykernel"]))
    assert (folder / "output" / "adapter" / "adapter_model.safetensors").is_file()
