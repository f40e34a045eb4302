"""One file changed by hand: another one shows it, whatever it gains its author."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vouched import edit, in_log

from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.measurement_report import read_report
from evaluation.outcomes import check_arms, unmeasured
from rung.doctor import examine
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.why.explain import chain
from training.gates.clearance import Locked, check_gates, grant
from training.plan.plans import read_plan
from training.release.permission import refuse_unvouched
from workspace.artefact import write_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings

REPORT, MANIFEST = "evaluations/E-001/report.json", "datasets/v001/manifest.json"


@pytest.mark.parametrize(
    ("gate", "changed"),
    [
        ("baseline", (REPORT, {"arms": "prompt"})),
        ("baseline", (REPORT, {"log": ""})),
        ("baseline", "DELETE FROM events WHERE kind = 'measured'"),
        ("dataset", (MANIFEST, {"log": "", "threshold": 1.0})),
        ("dataset", "DELETE FROM events WHERE kind = 'freeze'"),
        ("dataset", "UPDATE decisions SET remark = 'read twice' WHERE id = 20"),
        ("dataset", "DELETE FROM decisions WHERE id = (SELECT MAX(id) FROM decisions)"),
    ],
)
def test_one_changed_file_closes_the_gate_that_rests_on_it(
    ready: Project, settings: Settings, replan: Callable[[], Path], gate: str, changed: Any
) -> None:
    if isinstance(changed, str):
        in_log(ready, changed)
    else:
        edit(ready.root / changed[0], **changed[1])
    assert gates(ready, replan())[gate] is False
    with pytest.raises(Locked):
        grant(ready, settings, replan())


@pytest.mark.parametrize("log", [{}, {"log": ""}])
@pytest.mark.parametrize(
    ("file", "copy", "name", "gate"), [(MANIFEST, "v002", "version", "dataset"), (REPORT, "E-002", "id", "baseline")]
)
def test_a_copy_under_another_name_is_noticed(
    ready: Project, replan: Callable[[], Path], file: str, copy: str, name: str, gate: str, log: dict[str, str]
) -> None:
    """One that says nothing of the log is no file of an older Rung where the log names others before it."""
    other = Path(shutil.copytree((ready.root / file).parent, (ready.root / file).parent.with_name(copy)))
    edit(other / Path(file).name, **{name: copy, **log})
    assert gates(ready, replan())[gate] is False


def gates(project: Project, plan: Path) -> dict[str, bool | None]:
    found = check_gates(project, load_settings(project.settings_file), read_plan(plan))
    return {each.name: each.passed for each in found}


def test_an_older_log_in_place_of_todays_is_noticed(ready: Project, planned: Path) -> None:
    """Somebody restores the database alone, of a day before the baseline; and then none is there at all."""
    in_log(ready, "DELETE FROM events WHERE kind = 'measured'")
    in_log(ready, "UPDATE sqlite_sequence SET seq = (SELECT MAX(id) FROM events) WHERE name = 'events'")
    assert gates(ready, planned)["baseline"] is False
    ready.database_file.unlink()
    assert gates(ready, planned)["dataset"] is False


def test_a_clone_without_the_database_goes_on_with_a_log_of_its_own(
    ready: Project, rebuild: Callable[[], Project], replan: Callable[[], Path]
) -> None:
    """Two people with one repository: rows in, reviewed, frozen and measured again beside what the other one made."""
    ready.database_file.unlink()
    rebuild()
    assert all(gates(ready, replan()).values())
    settings = load_settings(ready.settings_file)
    with pytest.raises(Refusal):
        refuse_unvouched(ready, settings, ready.root / REPORT)
    for path in (ready.root / REPORT, ready.root / MANIFEST):
        shutil.rmtree(path.parent)
    assert all(gates(ready, replan()).values())
    assert [check.ok for check in examine(ready.root) if check.name == "log"] == [True]


def test_what_was_written_before_the_log_named_files_goes_on(ready: Project, replan: Callable[[], Path]) -> None:
    in_log(ready, "DELETE FROM events WHERE kind IN ('freeze', 'measured')")
    in_log(ready, "UPDATE sqlite_sequence SET seq = (SELECT MAX(id) FROM events) WHERE name = 'events'")
    for path in (ready.datasets / "v001" / "manifest.json", ready.evaluations / "E-001" / "report.json"):
        path.write_text(
            json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "log"})
        )
    assert all(gates(ready, replan()).values())


@pytest.mark.parametrize("file", [MANIFEST, REPORT])
def test_doctor_and_status_name_a_file_that_is_not_the_one_of_the_log(ready: Project, file: str) -> None:
    edit(ready.root / file, created_at="2020-01-01T00:00:00Z")
    (check,) = (check for check in examine(ready.root) if check.name == "log")
    assert check.ok is False and Path(file).parent.name in check.fact
    stages = status_of(read_facts(ready))
    assert stages.stage("Dataset" if "manifest" in file else "Baselines").state == "needs_you"
    changed = [link for link in chain(ready, Path(file).parent.name) if link.ref == file]
    assert [link.whole for link in changed] == [False]


def test_an_arm_whose_report_was_deleted_was_measured_all_the_same(ready: Project, planned: Path) -> None:
    """A strong arm cannot be lost with the folder of its baseline; a new baseline without it is none."""
    report = read_report(ready, "E-001")[1]
    with open_store(ready, load_settings(ready.settings_file)) as store:
        detail = {"arms": ["classical"], "test": report.test_sha256, "metric": report.metric, "sha256": "0" * 64}
        store.event("measured", "sam", "E-000", detail)
    other = report.model_copy(update={"id": "E-000", "arms": [report.arms[0].model_copy(update={"arm": "combined"})]})
    write_artefact(ready.evaluations / "E-000" / "report.json", other)
    assert {"classical", "combined"} <= set(unmeasured(ready, read_manifest(ready.datasets / "v001"), report))
    with pytest.raises(Refusal) as refused:
        check_arms(ready, report)
    assert "classifier" in refused.value.hint or "classical" in refused.value.hint
