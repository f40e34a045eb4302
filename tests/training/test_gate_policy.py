"""The policy of the door: which gates may be set aside, by whom, and how much memory a plan may take."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vouched import in_log

from advisor.answer_file import load_answers
from advisor.decide import decide
from advisor.rulefiles import load_rulebook
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.text.training_text import explain_lines
from training.gates.clearance import Locked, admit, check_gates, grant, override, policy_of
from training.plan.memory_fit import Machine, methods_instead, usable_of
from training.plan.plans import read_plan
from training.runs import read_run
from workspace.artefact import now, write_artefact
from workspace.errors import InputError
from workspace.folder import Project
from workspace.settings import Settings, load_settings


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


def test_training_is_locked_where_its_plan_is(ready: Project, planned: Path) -> None:
    shutil.rmtree(ready.evaluations)
    status = status_of(read_facts(ready))
    assert [status.stage(name).state for name in ("Plan", "Train")] == ["locked", "locked"]


def test_only_who_is_named_may_set_a_gate_aside(ready: Project, planned: Path) -> None:
    unwanted(ready)
    policy(ready, 'override_by = ["priya"]')
    settings = load_settings(ready.settings_file)
    with pytest.raises(InputError, match="priya"):
        override("decision", "sam", "because", policy_of(ready))
    with pytest.raises(Locked, match="decision"):
        grant(ready, settings, planned, overrides=[override("decision", "sam", "made without the command")])
    folder = grant(ready, settings, planned, overrides=[override("decision", "priya", "contract", policy_of(ready))])
    assert admit(folder).clearance.overrides[0].by == "priya"


def test_a_gate_that_the_policy_closes_to_overrides_can_only_be_met(ready: Project, planned: Path) -> None:
    unwanted(ready)
    policy(ready, 'may_override = ["machine"]')
    with pytest.raises(InputError, match="machine"):
        override("decision", "priya", "because", policy_of(ready))
    with pytest.raises(Locked, match="decision"):
        grant(ready, load_settings(ready.settings_file), planned, overrides=[override("decision", "priya", "x")])


def test_a_stricter_policy_ends_a_clearance_and_the_environment_does_not_soften_it(
    ready: Project, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwanted(ready)
    folder = grant(ready, load_settings(ready.settings_file), planned, overrides=[override("decision", "sam", "x")])
    assert admit(folder)
    policy(ready, 'override_by = ["priya"]')
    monkeypatch.setenv("RUNG_GATES__OVERRIDE_BY", "[]")
    with pytest.raises(Locked, match="decision"):
        admit(folder)


def test_less_memory_by_policy_closes_the_machine_gate(ready: Project, planned: Path) -> None:
    plan = read_plan(planned)
    assert check_gates(ready, load_settings(ready.settings_file), plan)[-1].passed is True
    policy(ready, "memory = 0.0001")
    assert check_gates(ready, load_settings(ready.settings_file), plan)[-1].passed is False


def test_what_else_fits_goes_by_the_policys_share_of_the_memory(
    ready: Project, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(ready, "memory = 0.5")
    monkeypatch.setenv("RUNG_GATES__MEMORY", "0.9")
    assert usable_of(ready) == 0.5
    plan = read_plan(planned)
    full = plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"method": "full"})})
    (lora,) = methods_instead(full, 0.5).values()
    small = Machine(ram_gib=lora.high / 0.7)
    assert not methods_instead(full, 0.5, small) and methods_instead(full, 0.8, small)


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        (("leakage", " ", ""), 3),
        *(((name, "priya", "x"), 1) for name in ("dataset", "leakage", "baseline", "machines")),
    ],
)
def test_a_gate_that_can_only_be_met_and_all_that_an_override_lacks_is_said_at_once(
    words: tuple[str, str, str], faults: int
) -> None:
    with pytest.raises(InputError) as refused:
        override(*words)
    assert len(refused.value.problems) == faults


def test_an_override_is_an_event_and_is_admitted(ready: Project, settings: Settings, planned: Path) -> None:
    needless = grant(ready, settings, planned, overrides=[override("decision", "priya", "to be sure")])
    assert read_run(needless).overrides == [], "a gate that is open is not set aside"
    unwanted(ready)
    with pytest.raises(Locked, match="decision"):
        grant(ready, settings, planned)
    given = override("decision", "priya", "contract demands on-premise")
    folder = grant(ready, settings, planned, overrides=[given], by="sam")
    assert read_run(folder).overrides == [given]
    assert admit(folder).clearance.overrides == [given]


def test_an_override_that_is_not_in_the_log_counts_for_nothing(
    ready: Project, settings: Settings, planned: Path
) -> None:
    unwanted(ready)
    folder = grant(ready, settings, planned, overrides=[override("decision", "priya", "x")])
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
