"""A vetted plan for other trainers: what goes along, what stays, what stops it, and that their own parsers take it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from counting import Words

from curation.example import Example, chat_row
from curation.split.manifest import load_split
from training.export.bundle import Bundle, faults, limits, may_leave, pack, row_of
from training.export.export_folder import KINDS, check_kind, files_of, write_export
from training.gates.clearance import Locked, admit, override
from training.plan.memory_fit import setup_of
from training.templates import yaml
from workspace.errors import InputError, Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def packed(project: Project, settings: Settings, plan: Path, kind: str = "trl", **more: Any) -> Bundle:
    return pack(project, settings, plan, Words(), kind=kind, **more)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_frozen_rows_the_plan_and_the_receipt_go_along_and_the_test_set_stays(
    kind: str, ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    bundle = packed(ready, settings, planned, kind)
    names = {p.relative_to(folder).as_posix() for p in write_export(ready, settings, bundle, kind, folder)}
    assert {"README.md", "clearance.json", "plan.toml"} < names and not any("test" in name for name in names)
    assert (folder / "plan.toml").read_bytes() == planned.read_bytes()
    rows = lines(next(folder.rglob("train.jsonl")))
    frozen = load_split(ready.datasets / "v001", "train")
    answers = [(row["completion"] if "completion" in row else row["messages"])[-1]["content"] for row in rows]
    assert answers == [row.answer for row in frozen]
    assert all((row.get("prompt") or row["messages"])[0]["content"] == "House line." for row in rows)
    receipt = json.loads((folder / "clearance.json").read_text())
    assert receipt["gates"][0]["name"] == "decision" and receipt["run"] == f"export-{kind}"


def test_a_closed_gate_stops_the_export(ready: Project, settings: Settings, planned: Path) -> None:
    train = ready.datasets / "v001" / "train.jsonl"
    train.write_text(train.read_text() + train.read_text().splitlines()[0] + "\n")
    with pytest.raises(Locked, match=r"train\.jsonl changed"):
        packed(ready, settings, planned)


def test_the_machine_gate_is_written_down_and_not_asked(
    ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    large = planned.read_text().replace("max_length = ", "max_length = 8000000 # ").replace("[recipe]", "[recipe]")
    planned.write_text(large)
    bundle = packed(ready, settings, planned)
    machine = bundle.clearance.gates[-1]
    assert machine.name == "machine" and machine.passed is False
    assert "machine" in (write_export(ready, settings, bundle, "trl", tmp_path / "x")[0].read_text())


def test_an_override_goes_along_with_its_name(ready: Project, settings: Settings, planned: Path) -> None:
    ready.decision_file.write_text(ready.decision_file.read_text().replace('"fine_tune"', '"few_shot"'))
    with pytest.raises(Locked):
        packed(ready, settings, planned)
    bundle = packed(ready, settings, planned, overrides=[override("decision", "priya", "contract")])
    assert [o.by for o in bundle.clearance.overrides] == ["priya"]


def test_an_exported_receipt_starts_no_run(ready: Project, settings: Settings, planned: Path, tmp_path: Path) -> None:
    write_export(ready, settings, packed(ready, settings, planned), "trl", tmp_path / "out")
    with pytest.raises(Refusal):
        admit(Path(shutil.copytree(tmp_path / "out", ready.runs / "export-trl")))


def test_a_folder_that_is_no_export_is_left_alone(
    ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    bundle = packed(ready, settings, planned)
    with pytest.raises(InputError, match="mine"):
        write_export(ready, settings, bundle, "trl", tmp_path / "mine")
    write_export(ready, settings, bundle, "trl", tmp_path / "out")
    write_export(ready, settings, bundle, "axolotl", tmp_path / "out")
    assert not (tmp_path / "out" / "train.py").exists()


def test_rows_over_the_length_are_left_out_and_listed_not_cut(
    ready: Project, replan: Callable[[], Path], tmp_path: Path
) -> None:
    ready.settings_file.write_text(ready.settings_file.read_text() + "max_length = 14\n")
    settings = load_settings(ready.settings_file)
    bundle = packed(ready, settings, replan())
    left = bundle.left_out["train"]
    assert left and len(bundle.rows["train"]) == 16 - len(left)
    write_export(ready, settings, bundle, "trl", tmp_path / "out")
    assert ", ".join(map(str, left)) in (tmp_path / "out" / "README.md").read_text()


def test_the_command_says_how_an_export_is_run(rung: Any, ready: Project) -> None:
    done = rung("plan", "export", "openai")
    assert done.returncode == 0 and KINDS["openai"].run in done.stdout, done.stderr


def test_a_misspelt_kind_is_named() -> None:
    with pytest.raises(InputError, match='"axolotl"') as refused:
        check_kind("axolotel")
    assert set(KINDS) <= set(refused.value.hint.replace(",", " ").split())


def test_what_is_wrong_with_an_option_is_said_before_a_plan_is_written() -> None:
    from rung.cli.plan import plan_commands as commands

    asked = [
        lambda: commands.export("trll"),
        lambda: commands.sweep(["lr=1", "rnk=8,16"]),
        lambda: commands.todays(["rank=8"]),
    ]
    for each in asked:
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
    from rung.cli.plan.plan_commands import todays

    assert todays(before.split()) == today.split()
    told = capsys.readouterr()
    assert told.out == "" and (today.split()[0] in told.err) == (before != today)


def test_earlier_answers_weigh_nothing_for_openai(ready: Project, settings: Settings, planned: Path) -> None:
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    row = row_of(Example({"messages": [{"role": r, "content": c} for r, c in turns]}), None)
    bundle = packed(ready, settings, planned)
    many = Bundle(bundle.plan, bundle.base, True, bundle.clearance, {"train": [row] * 10, "validation": []})
    first = json.loads(files_of(many, "openai")["train.jsonl"].splitlines()[0])["messages"]
    assert [m.get("weight") for m in first] == [None, 0, None, None]


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


@pytest.mark.parametrize(("answer", "stops"), [("no_external_api", True), ("none", False)])
def test_the_privacy_answer_keeps_rows_from_a_file_that_is_made_to_be_uploaded(
    answer: str, stops: bool, ready: Project, settings: Settings, planned: Path, tmp_path: Path
) -> None:
    bundle = packed(ready, settings, planned, "openai")
    said = ready.answers_file.read_text().replace('privacy = "none"', f'privacy = "{answer}"')
    ready.answers_file.write_text(said)
    if not stops:
        write_export(ready, settings, bundle, "openai", tmp_path / "out")
        return
    with pytest.raises(Refusal) as refused:
        write_export(ready, settings, bundle, "openai", tmp_path / "out")
    assert refused.value.where == "privacy"
    assert not (tmp_path / "out").exists()
    write_export(ready, settings, bundle, "trl", tmp_path / "out")


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


def test_launch_files_are_taken_by_accelerates_own_parser(
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


def test_a_step_that_cannot_be_shared_is_refused(ready: Project, settings: Settings, planned: Path) -> None:
    with pytest.raises(Refusal, match=r"4 .* 3 "):
        files_of(packed(ready, settings, planned, cards=3), "trl")


def test_the_sizes_of_deepspeed_multiply_to_the_plans_step(ready: Project, settings: Settings, planned: Path) -> None:
    found = json.loads(files_of(packed(ready, settings, planned), "trl")["launch/deepspeed.json"])
    assert found["train_micro_batch_size_per_gpu"] * found["gradient_accumulation_steps"] * 2 == 4
    assert setup_of(packed(ready, settings, planned).recipe, on_card=False).batch == 4
