"""Each gate with one thing wrong and all else in order; the policy: which may be set aside, by whom, what memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vouched import gate, in_log, rewrite

from advisor.answer_file import load_answers
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from evaluation.measurement_report import Report, read_outcomes, read_report, write_outcomes
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.text.training_text import explain_lines
from training.gates.clearance import Locked, admit, check_gates, grant, override
from training.gates.gate import policy_of
from training.plan.memory_fit import Machine, fit_of, methods_instead
from training.plan.plans import Plan, read_plan
from training.runs import read_run
from workspace.artefact import now, read_artefact, revised, write_artefact
from workspace.errors import InputError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def replanned(plan: Path, **recipe: Any) -> Plan:
    read = read_plan(plan)
    return read.model_copy(update={"recipe": read.recipe.model_copy(update=recipe)})


def rewritten(project: Project, **fields: Any) -> Report:
    """E-001's report with other fields."""
    return rewrite(project.evaluations / "E-001" / "report.json", Report, **fields)


def test_open_gates_show_their_file_and_eight_characters_of_its_hash(ready: Project, planned: Path) -> None:
    files = {
        "decision": ready.decision_file,
        "dataset": ready.datasets / "v001" / "manifest.json",
        "baseline": ready.evaluations / "E-001" / "report.json",
    }
    named = {"decision": "decision.json", "dataset": "manifest.json", "baseline": "E-001"}
    for name, file in files.items():
        assert gate(ready, name, planned).shown == f"{named[name]} {sha256_file(file)[:8]}"
    report = read_artefact(files["baseline"], Report)
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
    write_artefact(ready.decision_file, decide(load_rulebook(), load_answers(ready.answers_file), now().date()))
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
    (ready.datasets / "v001" / "manifest.json").unlink()
    assert {gate(ready, name, None).passed for name in ("dataset", "review", "leakage", "baseline")} == {None}


# --- baseline -----------------------------------------------------------------------------------------------------


def test_nothing_measured_and_measured_on_other_items(ready: Project, planned: Path) -> None:
    rewritten(ready, test_sha256="0" * 64, dataset="v000")
    other = gate(ready, "baseline", planned)
    assert "v000" in other.fact and other.evidence == {"report": "E-001"} and other.passed is False
    assert "v000" in gate(ready, "baseline", planned, "E-001").fact
    absent = gate(ready, "baseline", planned, "E-009")
    assert "E-009" in absent.fact and absent.passed is None
    (ready.evaluations / "E-001" / "report.json").unlink()
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
    arms = read_artefact(ready.evaluations / "E-001" / "report.json", Report).arms
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


def test_a_machine_without_cards_shares_its_memory_among_processes(ready: Project, planned: Path) -> None:
    recipe = read_plan(planned).recipe
    one, two = (fit_of(revised(recipe, processes=n), Machine(8.0), usable=0.9) for n in (1, 2))
    assert one and two and two.expected == pytest.approx(2 * one.expected) and two.has == one.has


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
    decision = decide(load_rulebook(), load_answers(ready.answers_file), now().date())
    assert decision.next_step == "few_shot"
    write_artefact(ready.decision_file, decision)

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


def test_a_gate_that_the_policy_closes_to_overrides_can_only_be_met(ready: Project, planned: Path) -> None:
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


def test_a_gate_that_can_only_be_met_and_all_that_an_override_lacks_is_said_at_once() -> None:
    only_met = [(name, "priya", "x") for name in ("dataset", "leakage", "baseline", "machines")]
    for words, faults in ((("leakage", " ", ""), 3), *((words, 1) for words in only_met)):
        with pytest.raises(InputError) as refused:
            override(*words)
        assert len(refused.value.problems) == faults, words


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
