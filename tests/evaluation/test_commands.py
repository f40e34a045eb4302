"""The commands as a user types them, against a real server on loopback."""

import json

import in_shell
import pytest
from hosted_replies import completion
from runs_by_hand import finish_run

from chat.protocols import Ask


@pytest.fixture
def served(project, loopback, kit):
    """The project's model is a server that answers as the scripted model does."""
    loopback.say(lambda _, request: (200, completion(kit.reply(Ask(tuple(request[3]["messages"]))))))
    kit.on_server(project, loopback.url, 'few_shot = 3\nretrieved = 2\nclosed_set = "off"')
    project.answers_file.write_text('task = "classification"\ngoal_score = 0.9\nprompt_effort_days = 6\n')
    return project


def rung(project, *arguments, code=None):
    return in_shell.rung(*arguments, cwd=project.root, code=code, OPENAI_API_KEY="none")


def test_baseline_prints_the_ladder_writes_the_report_and_advises_again(served, loopback):
    done = rung(served, "baseline", "--arms", "prompt,retrieved,base", code=0)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[4:7]] == ["base", "prompt", "retrieved"]
    assert "goal 90.0%" in done.stdout and "rung " in lines[-1]
    assert [line for line in lines[2:] if len(line) > 80 and not line.startswith(("!", "Chosen on"))] == []
    assert "choosing" in done.stderr and "Traceback" not in done.stderr
    folder = served.evaluations / "E-001"
    assert {p.name for p in folder.iterdir()} == {"choices.json", "outputs.jsonl", "report.json", "report.html"}
    answers = served.answers_file.read_text()
    assert 'prompting = "weak_effort"' in answers and 'from = "measured"' in answers
    assert json.loads(served.decision_file.read_text())["next_step"]
    sent = len(loopback.requests)
    again = rung(served, "baseline", "--arms", "base", "--json")
    document = json.loads(again.stdout)
    assert document["id"] == "E-002" and document["next_step"] and document["folder"] == "evaluations/E-002"
    assert len(loopback.requests) == sent


def test_an_arm_whose_replies_are_lost_is_no_measurement(served, loopback):
    loopback.script[:] = [(200, completion("It is about", "length"))]
    served.settings_file.write_text(served.settings_file.read_text() + 'metric = "token_f1"\n')
    done = rung(served, "baseline", "--arms", "base,prompt", code=0)
    assert "base" in done.stdout.splitlines()[0] and " of 36 " in done.stdout.splitlines()[0]
    report = json.loads((served.evaluations / "E-001" / "report.json").read_text())
    assert all(" of 36 " in arm["unmeasured"] for arm in report["arms"]) and report["judged"] == {}
    assert "prompting" not in served.answers_file.read_text()
    summary = [line for line in done.stdout.splitlines() if line.startswith("Best")]
    assert not any("%" in line for line in summary), "a score that is no measurement was shown as the best"
    status = json.loads(rung(served, "status", "--json").stdout)
    assert status["ladder"]["prompt"] is None
    assert " of 36 " in next(stage["reason"] for stage in status["stages"] if stage["name"] == "baselines")


def test_what_is_missing_is_said_with_the_next_command(served):
    assert "rung train" in rung(served, "evaluate", code=1).stderr
    assert rung(served, "verdict").returncode == 1
    assert rung(served, "baseline", "--arms", "base,few-shot").returncode == 2
    assert rung(served, "baseline", "--by", "priya").returncode == 2
    (served.datasets / "v001" / "manifest.json").unlink()
    assert "--test-only" in rung(served, "baseline", code=1).stderr
    assert not served.evaluations.exists()


def test_rows_stay_here_where_the_privacy_answer_says_so(served, loopback):
    served.settings_file.write_text(
        served.settings_file.read_text().replace(loopback.url, "http://models.example.invalid")
    )
    served.answers_file.write_text('privacy = "no_external_api"\n')
    assert "no_external_api" in rung(served, "baseline", "--arms", "base", code=1).stderr
    assert not loopback.requests


def test_power_needs_no_model_and_counts_groups(served, kit):
    table = json.loads(rung(served, "evaluate", "--power", "--json").stdout)
    assert table["n"] == 36 and [s["disagreement"] for s in table["seen"]] == [0.1, 0.2, 0.3, 0.5]
    assert table["trainings"] == 1
    assert json.loads(rung(served, "evaluate", "--power", "--seeds", "3", "--json").stdout)["trainings"] == 3
    assert "36 items" in rung(served, "evaluate", "--power", code=0).stdout
    assert (table["groups"], table["effective"]) == (None, None)
    test = [{**row, "customer": n % 12} for n, row in enumerate(kit.rows_of(kit.PLACES))]
    kit.freeze_by_hand(served, "v001", test=test, train=kit.rows_of(kit.PLACES))
    served.settings_file.write_text(served.settings_file.read_text() + '[dataset]\ngroup_by = "customer"\n')
    found = json.loads(rung(served, "evaluate", "--power", "--json").stdout)
    assert (found["n"], found["groups"], found["effective"]) == (24, 12, 12)


def test_weights_that_changed_and_test_items_that_were_trained_on_are_not_measured(served, kit):
    from training.runs import write_run

    record, folder = finish_run(served, "R-001"), served.runs / "R-001"
    write_run(folder, record, files={"adapter_model.safetensors": "0" * 64})
    assert "adapter_model.safetensors" in rung(served, "evaluate", "R-001", code=1).stderr
    write_run(folder, record)
    kit.freeze_by_hand(served, "v002", test=kit.rows_of(kit.PLACES, " this week"), train=kit.rows_of(["there"]))
    seen = rung(served, "evaluate", "R-001", "--dataset", "v002", code=1).stderr
    assert "v001" in seen and "24 of the 24" in seen
    write_run(folder, record, state="stopped")
    for command in (["evaluate", "R-001"], ["release", "R-001", "--to", "adapter"]):
        refused = rung(served, *command).stderr
        assert {"resume", "R-001"} < set(refused.split()), refused
    assert "R-001" in rung(served, "evaluate", "R-01").stderr


def test_a_judge_needs_a_verdict_and_a_name(served):
    assert rung(served, "judge").returncode == 1
    served.settings_file.write_text(served.settings_file.read_text() + 'metric = "judge"\n')
    assert "judge" in rung(served, "baseline", "--arms", "base", code=2).stderr
