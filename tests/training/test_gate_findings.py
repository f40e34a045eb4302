"""Each gate with one thing wrong and all else in order; the policy: which may be set aside, by whom, what memory.

And files changed by hand, which others show.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vouched import edit, gate, in_log, rewrite

from advisor.decide import advise_project
from curation.split.manifest import read_manifest
from curation.store import open_store
from evaluation.measurement_report import Report, read_outcomes, read_report, write_outcomes
from evaluation.outcomes import check_arms, unmeasured
from rung.doctor import examine
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.text.training_text import explain_lines
from rung.why.explain import chain
from training.gates.clearance import Locked, admit, check_gates, grant, override
from training.gates.gate import policy_of
from training.plan.memory_fit import Machine, methods_instead
from training.plan.plans import Plan, read_plan
from training.release.permission import refuse_unvouched
from training.runs import read_run
from workspace.artefact import read_artefact, revised, write_artefact
from workspace.errors import InputError, Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings, load_settings

REPORT, MANIFEST = "evaluations/E-001/report.json", "datasets/v001/manifest.json"


def replanned(plan: Path, **recipe: Any) -> Plan:
    read = read_plan(plan)
    return read.model_copy(update={"recipe": read.recipe.model_copy(update=recipe)})


def gates(project: Project, plan: Path) -> dict[str, bool | None]:
    found = check_gates(project, load_settings(project.settings_file), read_plan(plan))
    return {each.name: each.passed for each in found}


def rewritten(project: Project, **fields: Any) -> Report:
    """E-001's report with other fields."""
    return rewrite(project.root / REPORT, Report, **fields)


def test_open_gates_show_their_file_and_eight_characters_of_its_hash(ready: Project, planned: Path) -> None:
    for name, file, named in (
        ("decision", ready.decision_file, "decision.json"),
        ("dataset", ready.root / MANIFEST, "manifest.json"),
        ("baseline", ready.root / REPORT, "E-001"),
    ):
        assert gate(ready, name, planned).shown == f"{named} {sha256_file(file)[:8]}"
    report = read_artefact(ready.root / REPORT, Report)
    prompt = next(arm for arm in report.arms if arm.arm == "prompt")
    better = prompt.model_copy(update={"arm": "few_shot", "score": 0.625})
    for chosen, fact in ((None, f"prompt {prompt.score:.1%}"), ("few_shot", "few-shot 62.5%")):
        rewritten(ready, arms=[*report.arms, better], chosen=chosen)
        assert gate(ready, "baseline", planned).fact.startswith(f"{fact} ")


# --- decision and dataset -----------------------------------------------------------------------------------------


def test_without_advice_and_with_other_advice(ready: Project, planned: Path) -> None:
    unwanted(ready)
    stale = gate(ready, "decision", planned)
    assert stale.passed is False and stale.opener == "rung advise"
    advise_project(ready)
    other = gate(ready, "decision", planned)
    assert other.passed is False and other.opener.endswith("goal_score=0.9")  # it was measured, not judged
    ready.answers_file.write_text("goal_score = 0.9\n" + ready.answers_file.read_text())
    assert gate(ready, "decision", planned).opener.split()[-1] == "prompt"
    ready.decision_file.unlink()
    assert gate(ready, "decision", planned).passed is None


def test_what_a_frozen_dataset_lacks_is_named(ready: Project, planned: Path) -> None:
    gone = read_plan(planned).model_copy(update={"dataset": "v009"})
    assert gate(ready, "dataset", gone).fact.startswith("v009 ")
    (ready.datasets / "v001" / "validation.jsonl").unlink()
    assert gate(ready, "dataset", planned).fact.startswith("validation.jsonl ")
    (ready.root / MANIFEST).unlink()
    assert {gate(ready, name, None).passed for name in ("dataset", "review", "leakage", "baseline")} == {None}


# --- baseline -----------------------------------------------------------------------------------------------------


def test_nothing_measured_and_measured_on_other_items(ready: Project, planned: Path) -> None:
    rewritten(ready, test_sha256="0" * 64, dataset="v000")
    other = gate(ready, "baseline", planned)
    assert "v000" in other.fact and other.evidence == {"report": "E-001"} and other.passed is False
    assert "v000" in gate(ready, "baseline", planned, "E-001").fact
    absent = gate(ready, "baseline", planned, "E-009")
    assert "E-009" in absent.fact and absent.passed is None
    (ready.root / REPORT).unlink()
    none = gate(ready, "baseline", planned)
    assert (none.passed, none.opener) == (None, "rung baseline")


def test_a_score_is_of_the_metric_and_of_its_outputs_one_for_each_test_item(
    ready: Project, planned: Path, tmp_path: Path
) -> None:
    outputs = ready.evaluations / "E-001" / "outputs.jsonl"
    outputs.rename(tmp_path / "outputs.jsonl")
    assert gate(ready, "baseline", planned).passed is False
    outputs.symlink_to(tmp_path / "outputs.jsonl")
    assert gate(ready, "baseline", planned).passed is False
    (tmp_path / "outputs.jsonl").rename(outputs)
    arms = read_artefact(ready.root / REPORT, Report).arms
    higher = [arm.model_copy(update={"score": arm.score + 1e-5 * (arm.arm == "prompt")}) for arm in arms]
    rewritten(ready, arms=higher)
    assert "prompt" in gate(ready, "baseline", planned).fact
    rewritten(ready, arms=[arm for arm in arms if arm.arm != "prompt"])
    assert gate(ready, "baseline", planned).passed is False
    rewritten(ready, arms=[arm for arm in arms if arm.arm == "prompt"], chosen=None)
    assert gate(ready, "baseline", planned).passed is True
    write_outcomes(outputs, [o for o in read_outcomes(outputs) if (o.arm, o.split, o.item) != ("prompt", "test", 30)])
    rewritten(ready, outputs_sha256=sha256_file(outputs))
    assert "29 of 30" in gate(ready, "baseline", planned).fact
    rewritten(ready, metric="token_f1")
    other = gate(ready, "baseline", planned)
    assert "token_f1" in other.fact and "exact_match" in other.fact and other.passed is False
    rewritten(ready, kind="run", run="R-001", metric="exact_match")
    assert "tuned model" in gate(ready, "baseline", planned, "E-001").fact


# --- machine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [1, 2])
def test_each_process_needs_a_card(
    ready: Project, planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cards: int
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n" + "echo 'NVIDIA A10, 24576'\n" * cards)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = gate(ready, "machine", replanned(planned, processes=cards + 1))
    assert found.passed is False and found.opener.split()[-1] == f"processes={cards}"
    fits = gate(ready, "machine", replanned(planned, processes=cards))
    assert fits.passed is True and fits.evidence["has"] == 24.0


def test_a_plan_that_is_not_there_and_a_model_whose_memory_is_known_by_measuring_alone(
    ready: Project, planned: Path
) -> None:
    assert gate(ready, "machine", None).passed is None
    plan = replanned(planned, base="nobody/no-such-model")
    unknown = gate(ready, "machine", plan)
    assert (unknown.passed, unknown.opener) == (None, "rung plan check")
    for gib, opens in ((0.12, True), (90_000.0, False)):
        found = gate(ready, "machine", revised(plan, forecast=revised(plan.forecast, measured_gib=gib)))
        assert found.passed is opens and found.evidence["gib"] == round(gib, 1)


def test_arms_that_could_be_measured_and_were_not_are_named(ready: Project, planned: Path) -> None:
    """The baseline has base and prompt alone: rows allow few-shot arms, a document rag; status says the same."""
    found = gate(ready, "baseline", planned)
    assert found.passed and "few-shot" in found.fact and "rag" not in found.fact
    ready.documents.mkdir(exist_ok=True)
    (ready.documents / "codes.md").write_text("E10 is type 1.\n")
    assert "rag" in gate(ready, "baseline", planned).fact
    ready.answers_file.write_text("goal_score = 0.9\n" + ready.answers_file.read_text())
    assert "few-shot" in status_of(read_facts(ready)).stage("Baselines").reason


def test_where_a_model_can_rewrite_the_prompt_that_arm_is_wanted_or_a_name(
    ready: Project, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gate(ready, "baseline", planned).passed
    with ready.settings_file.open("a") as file:
        file.write('\n[bigger_model]\nbase = "another"\n')
    found = gate(ready, "baseline", planned)
    assert found.passed is False and found.opener.split()[-1] == "optimised"
    text = ready.settings_file.read_text()
    ready.settings_file.write_text(text.replace("[evaluation]\n", "[evaluation]\nproposals = 0\n"))
    assert gate(ready, "baseline", planned).passed is False, "who asks for no rewrite confirms the prompts by name"
    ready.settings_file.write_text(text)
    with monkeypatch.context() as softer:
        softer.setenv("RUNG_EVALUATION__PROPOSALS", "0")
        softer.setenv("RUNG_BIGGER_MODEL__BASE", "")
        assert gate(ready, "baseline", planned).passed is False
    rewritten(ready, vouched_by="sam")
    assert gate(ready, "baseline", planned).passed
    _, report = read_report(ready, "E-001")
    measured = [*report.arms, report.arms[0].model_copy(update={"arm": "optimised"})]
    rewritten(ready, vouched_by="", arms=measured)
    assert gate(ready, "baseline", planned).passed


def unwanted(project: Project) -> None:
    """The advice no longer says to fine-tune."""
    text = project.answers_file.read_text()
    project.answers_file.write_text(text.replace('prompting = "insufficient"', 'prompting = "works"'))


def policy(project: Project, text: str) -> None:
    with project.settings_file.open("a") as file:
        file.write(f"\n[gates]\n{text}\n")


def test_a_plan_is_no_stage_done_where_the_advice_is_not_to_train(
    ready: Project, replan: Callable[[], Path], rung: Any
) -> None:
    text = ready.answers_file.read_text()
    text = "goal_score = 0.9\n" + text.replace('few_shot = "insufficient"', 'few_shot = "untried"')
    ready.answers_file.write_text(text)
    assert advise_project(ready).next_step == "few_shot"

    def found() -> tuple[str, str, str | None]:
        status = status_of(read_facts(ready))
        return status.stage("Plan").state, status.stage("Train").state, status.next and status.next.name

    assert found()[:2] == ("locked", "locked")
    plan = replan()
    assert found() == ("locked", "locked", "Advice")
    after = rung("advise").stdout.split("Next: ")[1]
    assert after.startswith("rung baseline"), "not back to the status, which leads to the advice"
    grant(ready, load_settings(ready.settings_file), plan, overrides=[override("decision", "priya", "contract")])
    assert found()[0] == "done"


def test_a_gate_that_can_only_be_met_and_all_that_an_override_lacks_is_said_at_once(
    ready: Project, planned: Path
) -> None:
    only_met = [(name, "priya", "x") for name in ("dataset", "leakage", "baseline", "machines")]
    for words, faults in ((("leakage", " ", ""), 3), *((words, 1) for words in only_met)):
        with pytest.raises(InputError) as refused:
            override(*words)
        assert len(refused.value.problems) == faults, words
    unwanted(ready)
    policy(ready, 'may_override = ["machine"]')
    with pytest.raises(InputError, match="machine"):
        override("decision", "priya", "because", policy_of(ready))
    with pytest.raises(Locked, match="decision"):
        grant(ready, load_settings(ready.settings_file), planned, overrides=[override("decision", "priya", "x")])


def test_only_who_is_named_overrides_a_stricter_policy_ends_a_clearance_and_the_environment_softens_none(
    ready: Project, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwanted(ready)
    folder = grant(ready, load_settings(ready.settings_file), planned, overrides=[override("decision", "sam", "x")])
    assert admit(folder)
    policy(ready, 'override_by = ["priya"]')
    monkeypatch.setenv("RUNG_GATES__OVERRIDE_BY", "[]")
    with pytest.raises(Locked, match="decision"):
        admit(folder)
    settings = load_settings(ready.settings_file)
    with pytest.raises(InputError, match="priya"):
        override("decision", "sam", "because", policy_of(ready))
    with pytest.raises(Locked, match="decision"):
        grant(ready, settings, planned, overrides=[override("decision", "sam", "made without the command")])
    folder = grant(ready, settings, planned, overrides=[override("decision", "priya", "contract", policy_of(ready))])
    assert admit(folder).clearance.overrides[0].by == "priya"


def test_the_policys_share_of_the_memory_closes_the_machine_gate_and_says_what_else_fits(
    ready: Project, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gate(ready, "machine", planned).passed is True
    policy(ready, "memory = 0.0001")
    monkeypatch.setenv("RUNG_GATES__MEMORY", "0.9")
    assert policy_of(ready).memory == 0.0001 and gate(ready, "machine", planned).passed is False
    plan = read_plan(planned)
    full = plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"method": "full"})})
    (lora,) = methods_instead(full, 0.5).values()
    small = Machine(ram_gib=lora.high / 0.7)
    assert not methods_instead(full, 0.5, small) and methods_instead(full, 0.8, small)


def test_an_override_is_an_event_and_counts_by_the_log_alone(ready: Project, settings: Settings, planned: Path) -> None:
    needless = grant(ready, settings, planned, overrides=[override("decision", "priya", "to be sure")])
    assert read_run(needless).overrides == [], "a gate that is open is not set aside"
    unwanted(ready)
    with pytest.raises(Locked, match="decision"):
        grant(ready, settings, planned)
    given = override("decision", "priya", "contract demands on-premise")
    folder = grant(ready, settings, planned, overrides=[given], by="sam")
    assert read_run(folder).overrides == [given]
    assert admit(folder).clearance.overrides == [given]
    in_log(ready, "DELETE FROM events WHERE kind = 'override'")
    with pytest.raises(Locked, match="decision"):
        admit(folder)


def test_explain_names_who_may_override_and_who_did(ready: Project, planned: Path) -> None:
    policy(ready, 'may_override = ["decision"]\noverride_by = ["priya", "kim"]')
    unwanted(ready)
    settings, plan = load_settings(ready.settings_file), read_plan(planned)
    gates = check_gates(ready, settings, plan, overrides=[override("decision", "priya", "contract", policy_of(ready))])
    lines = list(explain_lines(plan, gates, settings.gates))
    policies = [line for line in lines if line.startswith("      policy")]
    assert len(policies) == 6 and [{"priya", "kim"} < set(line.split()) for line in policies] == [True] + [False] * 5
    assert [line.split()[1].rstrip(",") for line in lines if line.startswith("      override")] == ["priya"]


# --- one file changed by hand: another one shows it, whatever it gains its author ------------------------------------


@pytest.mark.parametrize(
    ("name", "changed"),
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
    ready: Project, settings: Settings, replan: Callable[[], Path], name: str, changed: Any
) -> None:
    if isinstance(changed, str):
        in_log(ready, changed)
    else:
        edit(ready.root / changed[0], **changed[1])
    assert gates(ready, replan())[name] is False
    with pytest.raises(Locked):
        grant(ready, settings, replan())


@pytest.mark.parametrize("log", [{}, {"log": ""}])
@pytest.mark.parametrize(
    ("file", "copy", "field", "name"), [(MANIFEST, "v002", "version", "dataset"), (REPORT, "E-002", "id", "baseline")]
)
def test_a_copy_under_another_name_is_noticed(
    ready: Project, replan: Callable[[], Path], file: str, copy: str, field: str, name: str, log: dict[str, str]
) -> None:
    """One that says nothing of the log is no file of an older Rung where the log names others before it."""
    other = Path(shutil.copytree((ready.root / file).parent, (ready.root / file).parent.with_name(copy)))
    edit(other / Path(file).name, **{field: copy, **log})
    assert gates(ready, replan())[name] is False


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
    for path in (ready.root / MANIFEST, ready.root / REPORT):
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
