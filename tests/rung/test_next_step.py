"""The next command is decided once, and the proposed size of a test set is what shows the gain."""

import json
import random
from datetime import UTC, datetime

import pytest
from clinic import ANSWERS
from in_process import rung
from rows_in_files import lines, row, text

from curation.split.manifest import SHOWS_NOTHING
from rung.status.stages import after_run
from rung.text.power_text import SmallestGain
from training.runs import RunRecord


def named(done):
    """The command of the last "Next:" line that a command printed."""
    return [line for line in done.stdout.splitlines() if "Next: " in line][-1].split("Next: ")[1].split("      ")[0]


def stages(folder):
    """Name -> stage of the document of `rung status`; the next one is also under "next"."""
    status = json.loads(rung("status", "--json", cwd=folder, code=0).stdout)
    found = {stage["name"]: stage for stage in status["stages"]}
    return {**found, "next": found.get(status["next"], {"command": "rung watch import LOGS"})}


def wanted(folder):
    """The command of the stage that the document of `rung status` names as next."""
    return stages(folder)["next"]["command"]


def pool(folder, monkeypatch, rows):
    """A project in this folder that trusts its pool: these rows."""
    rung("init", ".", cwd=folder, code=0)
    monkeypatch.setenv("RUNG_REVIEW__POOL", "trust")
    lines(folder / "pool.jsonl", rows)
    rung("data", "import", "pool.jsonl", cwd=folder, code=0)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    chance = random.Random(3)
    return pool(tmp_path, monkeypatch, [row(text(chance), f"L{n % 2}") for n in range(80)])


@pytest.fixture
def contradicted(tmp_path, monkeypatch):
    rows = [row(f"How do I pay bill number {n} of the month?", f"L{n % 2}") for n in range(30)]
    return pool(tmp_path, monkeypatch, [*rows, row("How do I pay bill number 0 of the month?", "L1")])


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("options", [(), ("--test-only",)])
def test_a_freeze_names_what_status_names(folder, answered, options):
    if answered:
        (folder / "answers.toml").write_text(ANSWERS)
        assert named(rung("advise", cwd=folder, code=0)) == wanted(folder)
    for _ in range(2):  # the second one finds the version there
        assert named(rung("data", "freeze", *options, cwd=folder, code=0)) == wanted(folder)
    assert wanted(folder) == ("rung baseline" if answered else "rung advise")
    assert named(rung("review", "status", cwd=folder, code=0)) == wanted(folder)
    assert named(rung("status", cwd=folder, code=0)) == wanted(folder)


@pytest.mark.parametrize(
    ("state", "objective", "command"),
    [
        ("finished", "sft", "rung evaluate R-001"),
        ("finished", "reward", "rung runs list"),
        ("failed", "sft", "rung plan"),
        ("stopped", "sft", "rung runs resume R-001"),
        ("crashed", "sft", "rung runs resume R-001"),
        ("running", "sft", "rung runs watch R-001"),
    ],
)
def test_what_follows_a_run(state, objective, command):
    told = {"id": "R-001", "state": state, "objective": objective, "created_at": datetime.now(UTC)}
    run = RunRecord.model_construct(**told)
    assert after_run(run).command == command


def test_the_share_is_enough_and_is_told_where_it_may_be_chosen() -> None:
    size = SmallestGain(60, 2000, 0.05, 0.1)
    share = size.proposal()["share"]
    assert share * 2000 >= size.wanted and (share - 0.01) * 2000 < size.wanted
    assert f"--test {share:g}" in list(size.lines())[-1] and "Under 100" in list(size.lines())[1]
    assert "600" in list(SmallestGain(60, 600, 0.05, 0.1).lines())[-1]
    assert "--as test" in list(SmallestGain(60, 0, 0.05, 0.1).lines())[-1]
    assert SmallestGain(60, 2000, 0.05, 0.04).wanted is None
    assert SmallestGain(SHOWS_NOTHING - 1, 0, 0.05, 0.1).smallest_gain is None, "as the freeze works it out"
    assert SmallestGain(SHOWS_NOTHING, 0, 0.05, 0.1).smallest_gain is not None
    (line,) = SmallestGain(2000, 9000, 0.05, 0.1).lines()
    assert "20%" in line


def test_what_changed_is_to_be_checked_and_reviewed_again(contradicted, monkeypatch):
    assert stages(contradicted)["data"]["state"] == "open"
    for line, state in (
        ("check", "needs_you"),
        ("fix contradictions --keep r-000031", "open"),
        ("check", "done"),
        ("undo", "open"),
        ("dismiss contradictions --by ann --reason both", "open"),
        ("check", "done"),
    ):
        rung("data", *line.split(), cwd=contradicted)
        assert (line, stages(contradicted)["data"]["state"]) == (line, state)
    assert stages(contradicted)["review"]["state"] == "done"
    monkeypatch.setenv("RUNG_REVIEW__POOL", "all")
    assert stages(contradicted)["review"]["state"] == "needs_you", "a policy that asks for more is seen at once"


@pytest.mark.parametrize("gone", [False, True])
def test_a_dataset_whose_file_changed_is_to_be_frozen_again(folder, gone):
    rung("data", "freeze", cwd=folder, code=0)
    file = folder / "datasets/v001/train.jsonl"
    file.unlink() if gone else file.write_bytes(file.read_bytes()[1:])
    stage = stages(folder)["dataset"]
    assert stage["state"] == "needs_you" and "train.jsonl" in stage["reason"]
    checks = json.loads(rung("doctor", "--json", cwd=folder).stdout)["checks"]
    assert [(c["ok"], "train.jsonl" in c["fact"]) for c in checks if c["name"] == "v001"] == [(False, True)]
    rung("data", "freeze", cwd=folder, code=0)
    assert stages(folder)["dataset"]["state"] == "done"
    manifest = folder / "datasets/v002/manifest.json"
    manifest.write_text(manifest.read_text().replace('"v002"', '"v009"'))
    assert stages(folder)["dataset"]["state"] == "needs_you", "a folder that was renamed ends no status"


def test_a_contradiction_is_settled_by_naming_the_row_to_keep(contradicted):
    settle = ("data", "fix", "contradictions", "--keep", "r-000031")
    dry = rung(*settle, "--dry-run", cwd=contradicted, code=0)
    assert named(dry) == "rung data fix contradictions --keep r-000031"
    (done,) = json.loads(rung(*settle, "--json", cwd=contradicted, code=0).stdout)
    assert (done["action"], done["rows"]) == ("exclude", ["r-000001"])
    check = json.loads(rung("data", "check", "--json", cwd=contradicted).stdout)
    assert "contradictions" not in {finding["name"] for finding in check["findings"]}
    assert "r-000031" in rung("why", "r-000001", cwd=contradicted, code=0).stdout
    rung("data", "undo", cwd=contradicted, code=0)
    for wrong in (["r-000001", "r-000031"], ["r-000002"]):
        named_rows = [word for each in wrong for word in ("--keep", each)]
        assert wrong[0] in rung("data", "fix", "contradictions", *named_rows, cwd=contradicted, code=2).stderr
    assert "--keep" in rung("data", "fix", "leaks", "--keep", "r-000001", cwd=contradicted, code=2).stderr
