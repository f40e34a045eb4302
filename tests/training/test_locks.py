"""The door: each gate closes on its own finding, and nothing gets round the lock."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from vouched import gate, in_log, rewrite

from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all, undo
from curation.split.freeze import freeze
from curation.split.manifest import Manifest, load_split
from evaluation.measurement_report import Report
from training.gates.clearance import Clearance, Locked, admit, check_gates, grant
from training.gates.gate import ORDER, GateOverride
from training.plan.plans import read_plan
from training.runs import read_run, write_run
from workspace.artefact import now, read_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings, load_settings

Replan = Callable[[], Path]
Rung = Callable[..., subprocess.CompletedProcess[str]]


def refuses(folder: Path, *words: str) -> None:
    with pytest.raises(Refusal) as refused:
        admit(folder)
    text = f"{refused.value.message} {refused.value.hint}"
    assert all(word in text for word in words), text


def started(project: Project, settings: Settings, folder: Path) -> None:
    with open_desk(project, settings).store as store:
        store.event("started", "sam", folder.name, {})


def withdraw(project: Project, settings: Settings) -> None:
    """Take the approval of a train row back."""
    desk = open_desk(project, settings)
    undo(desk, desk.store.rows(role="train")[0].id, "dana")
    desk.store.close()


def test_all_gates_open_and_a_cleared_run_is_admitted(ready: Project, settings: Settings, planned: Path) -> None:
    assert [(each.name, each.symbol) for each in check_gates(ready, settings, read_plan(planned))] == [
        (name, "✓") for name in ORDER
    ]
    folder = grant(ready, settings, planned, by="sam")
    receipt = read_artefact(folder / "clearance.json", Clearance)
    assert receipt.run == folder.name and receipt.plan_sha256 == sha256_file(planned)
    assert read_run(folder).state == "cleared"
    assert admit(folder).plan == read_plan(planned)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("answers.toml", 'prompting = "insufficient"', 'prompting = "works"', ("decision", "rung advise")),
        # only the manifest's own claim: no split, no review and no leak changes
        ("datasets/v001/manifest.json", '"threshold": 0.8', '"threshold": 0.9', ("dataset", "another manifest")),
        ("datasets/v001/train.jsonl", "E1", "E2", ("dataset", "train.jsonl")),
        ("evaluations/E-001/outputs.jsonl", '"score":0.0', '"score":1.0', ("baseline", "E-001")),
        ("runs/R-001/clearance.json", '"P-001"', '"P-099"', ("not given by",)),
        ("runs/R-001/plan.toml", "rank = 4", "rank = 8", ("another plan",)),
    ],
)
def test_a_changed_file_closes_its_gate(
    ready: Project, cleared: Path, file: str, old: str, new: str, told: tuple[str, ...]
) -> None:
    """Each is red where its gate's call is taken out of clearance.check_gates."""
    text = (ready.root / file).read_text()
    assert old in text
    (ready.root / file).write_text(text.replace(old, new, 1))
    refuses(cleared, *told)


def test_leakage_gate_is_wired(ready: Project, settings: Settings, replan: Replan) -> None:
    """v002 is v001 with one train row that a reviewer turned into a test question; everything else is in order."""
    old, new = ready.datasets / "v001", ready.datasets / "v002"
    shutil.copytree(old, new)
    manifest = json.loads((old / "manifest.json").read_text())
    name = next(row["id"] for row in manifest["rows"] if row["split"] == "train" and row["line"] == 1)
    leaked = load_split(old, "test")[0]
    desk = open_desk(ready, settings)
    undo(desk, name, "dana")
    decide_all(desk, "dana", [(name, Ruling("edit", row=leaked.row))], kind="person")
    desk.store.close()
    lines = (old / "train.jsonl").read_text().split("\n")
    (new / "train.jsonl").write_text("\n".join([leaked.to_json(), *lines[1:]]))
    manifest["splits"]["train"]["sha256"] = sha256_file(new / "train.jsonl")
    rewrite(new / "manifest.json", Manifest, version="v002", splits=manifest["splits"])
    plan = replan()
    found = {item.name: item.passed for item in check_gates(ready, settings, read_plan(plan))}
    assert found.pop("leakage") is False
    assert set(found.values()) == {True}
    by_hand = GateOverride(gate="leakage", by="sam", reason="an event that nobody may write", at=now())
    with pytest.raises(Locked, match="leakage"):
        grant(ready, settings, plan, overrides=[by_hand])


def test_machine_gate_is_wired(ready: Project, settings: Settings, planned: Path) -> None:
    text = planned.read_text().replace("batch = 4", "batch = 400000")
    planned.write_text(text)
    assert gate(ready, "machine", planned).passed is False
    with pytest.raises(Locked, match="machine"):
        grant(ready, settings, planned)


def test_the_next_freeze_is_another_version_whatever_was_made_of_the_last_one(
    ready: Project, settings: Settings, replan: Replan
) -> None:
    manifest = ready.datasets / "v001" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"threshold": 1.0}))
    again = freeze(ready, settings, actor="sam")
    assert again.folder.name == "v002" and gate(ready, "dataset", replan()).passed
    shutil.rmtree(again.folder)
    assert freeze(ready, settings, actor="kim").folder.name == "v002" and gate(ready, "dataset", replan()).passed


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM decisions WHERE row_id = 20",
        "UPDATE decisions SET verdict = 'reject' WHERE row_id = 20",
        "UPDATE decisions SET row_id = 21 WHERE row_id = 20",
    ],
)
def test_a_row_counts_as_decided_by_the_log_alone(ready: Project, planned: Path, statement: str) -> None:
    """The state that the store keeps of a row is a copy: where the log says less, that counts."""
    in_log(ready, statement)
    found = gate(ready, "review", planned)
    assert found.passed is False and "r-000020 " in found.why


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_elsewhere_with_the_same_bytes_closes_the_gate(
    ready: Project, planned: Path, tmp_path: Path, split: str
) -> None:
    path = ready.datasets / "v001" / f"{split}.jsonl"
    shutil.move(path, tmp_path / "elsewhere.jsonl")
    path.symlink_to(tmp_path / "elsewhere.jsonl")
    found = gate(ready, "dataset", planned)
    assert found.symbol != "✓" and f"{split}.jsonl" in found.model_dump_json()


def test_the_manifest_of_another_dataset_is_refused(ready: Project, settings: Settings, replan: Replan) -> None:
    shutil.copytree(ready.datasets / "v001", ready.datasets / "v002")
    plan = replan()
    assert read_plan(plan).dataset == "v002"
    with pytest.raises(Locked, match="v001"):
        grant(ready, settings, plan)


def test_a_used_clearance_is_refused_whatever_its_record_says(
    ready: Project, settings: Settings, cleared: Path
) -> None:
    write_run(cleared, read_run(cleared), state="finished")
    refuses(cleared, "was used")
    started(ready, settings, cleared)
    for state in ("finished", "failed", "cleared"):
        write_run(cleared, read_run(cleared), state=state)
        refuses(cleared, f"was used ({state})")
    (cleared / "run.json").unlink()
    refuses(cleared, "twice")


def test_a_run_killed_before_the_log_knew_of_its_start_is_admitted_again(cleared: Path) -> None:
    write_run(cleared, read_run(cleared), state="starting")
    assert read_run(cleared).state == "crashed" and admit(cleared)


def test_an_interrupted_run_is_admitted_again_unless_an_approval_was_withdrawn(
    ready: Project, settings: Settings, cleared: Path
) -> None:
    started(ready, settings, cleared)
    write_run(cleared, read_run(cleared), state="stopped")
    assert admit(cleared).folder == cleared
    withdraw(ready, settings)
    refuses(cleared, "review", "no decision")


def test_a_run_folder_that_is_a_copy_a_symlink_or_elsewhere_is_refused(
    ready: Project, cleared: Path, tmp_path: Path
) -> None:
    shutil.copytree(cleared, ready.runs / "R-002")
    refuses(ready.runs / "R-002", "R-001")
    (ready.runs / "R-009").symlink_to(cleared)
    refuses(ready.runs / "R-009", "R-009")
    shutil.copytree(cleared, tmp_path / "R-001")
    refuses(tmp_path / "R-001", "R-001")


def test_the_function_called_from_python_asks_as_well(ready: Project, cleared: Path) -> None:
    from training.run.lifecycle import train

    (ready.datasets / "v001" / "train.jsonl").write_bytes(b"{}\n")
    with pytest.raises(Locked, match="dataset"):
        train(cleared)
    assert read_run(cleared).state == "cleared"
    bare = ready.runs / "R-005"
    bare.mkdir()
    with pytest.raises(Refusal, match="no clearance"):
        train(bare)


def test_a_softer_policy_in_the_environment_is_no_way_round(
    ready: Project, settings: Settings, cleared: Path, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy of the freeze holds: neither the process that trains nor `rung train` itself takes a softer one."""
    withdraw(ready, settings)
    refuses(cleared, "review", "no decision")
    monkeypatch.setenv("RUNG_REVIEW__POOL", "trust")
    refuses(cleared, "review", "no decision")
    with pytest.raises(Locked, match="review"):
        grant(ready, load_settings(ready.settings_file), planned)


def test_gates_that_are_open_but_differ_from_the_receipt_are_refused(ready: Project, cleared: Path) -> None:
    """The report says something else than when the run was cleared; every gate is open on what it says now."""
    path = ready.evaluations / "E-001" / "report.json"
    rewrite(path, Report, created_at=now())
    plan = read_plan(cleared / "plan.toml")
    assert all(item.opens for item in check_gates(ready, load_settings(ready.settings_file), plan))
    refuses(cleared, "baseline", "rung train")


def test_a_clearance_expires_while_a_new_guideline_is_being_gone_through(
    ready: Project, settings: Settings, cleared: Path
) -> None:
    desk = open_desk(ready, settings)
    row = desk.store.rows(role="train")[0].id
    change = desk.store.queue([row], "guideline v2", "guideline", actor="dana")
    refuses(cleared, "review", f"{row} has no decision")
    desk.store.undo(change, actor="dana")
    desk.store.close()
    assert admit(cleared).folder == cleared


def test_the_plan_made_last_is_named_where_rung_toml_asks_for_another(rung: Rung, ready: Project) -> None:
    made = rung("plan", "--set", "epochs=3", "--json")
    document = json.loads(made.stdout)
    assert (made.returncode, document["id"], document["gates"][0]["name"]) == (0, "P-001", "decision")
    assert document["recipe"]["rank"] == 4 and document["because"]["targets"]["source"]
    shutil.rmtree(ready.evaluations)  # a gate is closed: nothing trains
    told = rung("train")
    assert told.returncode == 1 and "P-002" in told.stderr and "P-001" in told.stderr
    assert "P-002" not in rung("train", "P-001").stderr
    assert [path.stem for path in ready.plans.glob("P-*.toml")] == ["P-001"], "a plan that nobody asked for is not kept"
    ready.answers_file.write_text("task = \n")
    assert rung("plan").returncode == 2 and len(list(ready.plans.glob("*.toml"))) == 1


def test_it_is_said_before_training_that_the_baseline_was_asked_otherwise(rung: Rung) -> None:
    told = rung("train", "--detach", RUNG_MODEL__MAX_TOKENS="7")
    rung("runs", "stop", "R-001")
    assert told.returncode == 0
    assert "limit 64, now 7" in told.stderr and "rung baseline" in told.stderr
