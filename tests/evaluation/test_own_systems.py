"""`own:NAME`: the user's own system on the same items, behind an address or as code of the project."""

import json

import bank
import in_shell
import pytest
from hosted_replies import completion
from loopback_server import torn
from runs_by_hand import finish_run

from curation.split.manifest import load_split
from workspace.trust import trust


def right(messages):
    return str(bank.right(messages[-1]["content"]))


def plain(handler, request):
    """The right answer, but for what is said `abroad`: there the service breaks down."""
    messages = request[3]["messages"]
    if "abroad today" in messages[-1]["content"]:
        return 500, {"error": "no network"}
    return 200, {"answer": right(messages)}


def openai(handler, request):
    """As `prod` always right; any other model never is."""
    body = request[3]
    return 200, completion(right(body["messages"]) if body["model"] == "prod" else "no idea")


def answering(handler, request):
    return (plain if request[1] == "/crm" else openai)(handler, request)


@pytest.fixture
def shell(project, loopback):
    """Runs a command in the project, whose model is right in none; gives its exit code and document."""
    loopback.say(answering)

    def run(*words, settings=""):
        bank.on_server(project, loopback.url, f'few_shot = 3\nclosed_set = "off"\n{settings}')
        done = in_shell.rung(*words, "--json", cwd=project.root, OPENAI_API_KEY="none")
        return done.returncode, json.loads(done.stdout)

    return run


def own(report, name="own:crm"):
    return next(arm for arm in report["arms"] if arm["arm"] == name)


def to_own(loopback):
    """The path and body of each request to the own system."""
    return [(path, body) for _, path, _, body in loopback.requests if body.get("model") != "tiny"]


@pytest.mark.parametrize("style", [plain, openai])
def test_a_service_is_measured_on_the_same_items_and_the_tuned_model_must_beat_it(project, shell, loopback, style):
    place = "v1" if style is openai else "crm"
    at = f'[arms.crm]\nurl = "{loopback.url}/{place}"\ntries = 1\n' + 'model = "prod"\n' * (style is openai)
    code, report = shell("baseline", "--arms", "prompt,own:crm", settings=at)
    assert code == 0, report
    found, broken = own(report), 3 if style is plain else 0
    assert [arm["arm"] for arm in report["arms"]][-1] == "own:crm"
    assert (found["n"], found["score"], found["failures"]) == (36, pytest.approx(1 - broken / 36), broken)
    assert not found["prompted"] and report["chosen"] == "prompt"
    assert bool(found["unmeasured"]) == (broken / 36 > 0.05)
    assert {path for path, _ in to_own(loopback)} == {"/v1/chat/completions" if style is openai else "/crm"}
    keys = {"messages"} | ({"model"} if style is openai else set())
    assert all(set(body) == keys for _, body in to_own(loopback))
    asked = [body["messages"] for _, body in to_own(loopback)]
    test = [row.question for row in load_split(project.datasets / "v001", "test")]
    assert {question for question in test} <= {messages[-1]["content"] for messages in asked}

    before = len(to_own(loopback))
    code, report = shell("baseline", "--arms", "prompt", settings=at)
    assert own(report)["taken_from"] == "E-001" and len(to_own(loopback)) == before
    code, report = shell("baseline", "--arms", "prompt", settings=at.replace(f"/{place}", "/v2"))
    assert [arm["arm"] for arm in report["arms"]] == ["prompt"]
    assert any("own:crm" in note for note in report["notes"])

    if style is openai:
        shell("baseline", "--arms", "prompt,own:crm", settings=at)
        finish_run(project, "R-001")
        rows = [{"item": n, "output": right([{"content": question}])} for n, question in enumerate(test, 1)]
        (project.root / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        code, verdict = shell("evaluate", "R-001", "--outputs", "answers.jsonl", settings=at)
        assert code == 0, verdict
        rival = next(each for each in verdict["arms"] if each["arm"] == "own:crm")
        assert rival["difference"] == 0 and verdict["verdict"] != "ship"


def test_a_service_that_goes_away_stops_the_command_and_counts_no_item_as_wrong(project, shell, loopback):
    def going_away(handler, request):
        gone = "abroad today" in request[3]["messages"][-1]["content"]
        return (torn if gone else answering)(handler, request)

    loopback.script[:] = [going_away]
    at = f'[arms.crm]\nurl = "{loopback.url}/crm"\ntries = 1\n'
    code, document = shell("baseline", "--arms", "own:crm", settings=at)
    assert code == 2 and loopback.url.removeprefix("http://") in document["error"]["message"], document
    assert not list(project.evaluations.glob("*/report.json"))


def test_code_runs_only_as_the_account_trusts_it(project, shell, tmp_path):
    file = project.root / "arms" / "crm.py"
    file.parent.mkdir()
    code_of = (
        "def answer(messages):\n    return {'money': 'transfer'}.get(w := messages[-1]['content'].split()[0], w)\n"
    )
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{code_of}")
    code, document = shell("baseline", "--arms", "own:crm")
    assert code == 1 and "rung trust" in document["error"]["hint"] and not (tmp_path / "ran").exists()
    trust(project.root)
    code, report = shell("baseline", "--arms", "own:crm")
    assert (own(report)["score"], own(report)["failures"]) == (1.0, 0) and "arms/crm.py" in report["made_from"]
    file.write_text(code_of.replace("return", "assert 'near the sea today' not in messages[-1]['content']; return"))
    assert shell("baseline", "--arms", "own:crm")[0] == 1
    trust(project.root)
    code, report = shell("baseline", "--arms", "own:crm")
    assert (own(report)["failures"], own(report)["score"]) == (3, pytest.approx(33 / 36))
    file.write_text("answer = 3\n")
    trust(project.root)
    code, document = shell("baseline", "--arms", "own:crm")
    assert code == 2 and "answer(messages)" in document["error"]["message"]


def test_a_name_that_is_nowhere_and_a_host_that_may_not_be_asked(project, shell):
    crm = '[arms.crm]\nurl = "http://crm.example.org/answer"\n'
    code, document = shell("baseline", "--arms", "own:cmr", settings=crm)
    assert code == 2 and '"crm"' in document["error"]["message"] and "arms/cmr.py" in document["error"]["hint"]
    code, document = shell("baseline", "--arms", "own:crm", settings=crm)
    assert code == 1 and "rung trust" in document["error"]["hint"]
    project.answers_file.write_text('privacy = "no_external_api"\n')
    code, document = shell("baseline", "--arms", "own:crm", settings=crm)
    assert code == 1 and "crm.example.org" in document["error"]["message"]
    code, document = shell("baseline", "--arms", "own:crm", settings='[arms.crm]\nulr = "http://x"\n')
    assert code == 2 and "line 9" in document["error"]["message"] and "url" in document["error"]["message"]
