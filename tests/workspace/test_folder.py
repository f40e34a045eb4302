"""Numbered folders: the newest is the one with the highest number, whatever its digits."""

from pathlib import Path

import pytest

from curation.split.manifest import newest_dataset
from training.runs import RunRecord, find_run
from workspace.artefact import read_artefact, write_artefact
from workspace.errors import InputError
from workspace.folder import Project, newest, next_id, oldest_first


def test_the_newest_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    for name in ("v002", "v999", "v1000", "v010"):
        (tmp_path / "datasets" / name).mkdir(parents=True)
        (tmp_path / "datasets" / name / "manifest.json").write_text("{}")
    project = Project(tmp_path)
    assert next_id(project.datasets, "v") == "v1001"
    found = newest_dataset(project)
    assert found is not None and found.name == "v1000" and found == newest(project.datasets, "manifest.json")
    told = {"plan": "P-001", "plan_sha256": "", "clearance_sha256": "", "dataset": "v001", "base": "x", "steps": 1}
    for name in ("R-999", "R-1000"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        run = RunRecord(id=name, method="lora", state="finished", **told)
        write_artefact(tmp_path / "runs" / name / "run.json", run)
    assert find_run(project).id == "R-1000"


def test_the_oldest_comes_first_by_number(tmp_path: Path) -> None:
    for paths in (
        [tmp_path / "2" / f"E-{n}" / "report.json" for n in ("001", 998, 999, 1000, 1001, 10000)],
        [tmp_path / f"P-{n:03d}.toml" for n in (9, 10, 999, 1000)],
        [tmp_path / "1²2" / name for name in ("R-1", "R-2")],  # a project may lie in any folder
    ):
        assert oldest_first(reversed(paths)) == oldest_first(sorted(paths)) == paths


def test_a_file_that_is_no_artefact_is_told_without_a_place_in_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    missing = "a file of another kind: id, state, plan and 5 more are missing."
    for text, said in (("not json", "Invalid JSON"), ("[]", "Input should be an object"), ("{}", missing)):
        path.write_text(text)
        with pytest.raises(InputError) as told:
            read_artefact(path, RunRecord)
        assert told.value.problems[0].text.startswith(said)
