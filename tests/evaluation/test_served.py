"""A run whose weights are not asked here: `rung evaluate --served NAME` asks the baseline's own server, as teams do;
`--outputs FILE` takes answers to the frozen items that were made elsewhere.
"""

import json
import shutil

import in_shell
import pytest
from hosted_replies import completion
from runs_by_hand import finish_run

from chat.protocols import Ask
from evaluation.forgetting import safety
from evaluation.looks import standing
from evaluation.verdict.rule import newest_verdict
from workspace.folder import Project
from workspace.settings import load_settings

SETTINGS = '[evaluation]\nfew_shot = 3\nretrieved = 2\nclosed_set = "off"\nruns = 2\n'


class Server:
    """Server with models behind names, as vLLM lists and answers them: `names` by the name of the base under them."""

    def __init__(self, kit):
        self.names = {"tiny": None, "clinic": "tiny"}
        self.say = {"tiny": kit.reply, "clinic": kit.perfect}
        self.asked = []

    def __call__(self, _handler, request):
        method, path, _, body = request
        if method == "GET":
            listed = [
                {"id": n, "object": "model", "created": 1, "owned_by": "us", "parent": p} for n, p in self.names.items()
            ]
            return (200, {"object": "list", "data": listed}) if path == "/v1/models" else (404, {})
        self.asked.append(body)
        if body["model"] not in self.say:
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}
        return 200, completion(self.say[body["model"]](Ask(tuple(body["messages"]))))


@pytest.fixture
def loopback(open_server):
    open_server.script.clear()
    open_server.requests.clear()
    return open_server


@pytest.fixture
def server(loopback, kit):
    made = Server(kit)
    loopback.say(made)
    return made


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory, open_server, kit):
    """A project whose arms are asked on the server, with a finished run and a baseline."""
    open_server.say(Server(kit))
    project = kit.project_in(tmp_path_factory.mktemp("once") / "bank")
    say_model(project, open_server.url)
    project.answers_file.write_text('task = "classification"\ngoal_score = 0.9\nprompt_effort_days = 6\n')
    finish_run(project, "R-001")
    rung(project, "baseline", "--arms", "base,prompt", code=0)
    return project


def say_model(project, url, more="", provider="openai", base="tiny"):
    more += f'base_url = "{url}/v1"\n' if url else ""
    project.settings_file.write_text(f'[model]\nprovider = "{provider}"\nbase = "{base}"\n{more}{SETTINGS}')


def rung(project, *arguments, code=None):
    return in_shell.rung(*arguments, cwd=project.root, code=code, OPENAI_API_KEY="none")


@pytest.fixture
def measured(measured_once, server, tmp_path):
    return Project(shutil.copytree(measured_once.root, tmp_path / "bank"))


def refused(done, *said, code=1):
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    words = " ".join(done.stderr.split())
    assert all(each in words for each in said), words
    return True


def test_answers_are_of_a_run_by_a_name_and_another_name_takes_a_planned_place(measured, server):
    """What was answered is not asked again, nor taken for another run."""
    server.names["clinic-2"] = "tiny"
    server.say["clinic-2"] = server.say["clinic"]
    asked = []
    for name in ("clinic", "clinic", "clinic-2"):
        rung(measured, "evaluate", "R-001", "--served", name, code=0)
        asked.append(len(server.asked))
    assert asked[0] == asked[1] < asked[2]
    _, verdict = newest_verdict(measured, "R-001")
    settings = load_settings(measured.settings_file, {})
    scored = standing(measured, settings, str(verdict.test_sha256)).runs
    assert [scoring.split()[-1] for scoring in scored] == ["clinic", "clinic-2"]
    assert (verdict.place, verdict.planned_runs) == (2, 2)
    assert any(scored[0] in note for note in verdict.notes)
    finish_run(measured, "R-002", base="models/other")
    server.say["clinic"] = lambda ask: "pin"
    rung(measured, "evaluate", "R-002", "--served", "clinic", code=0)
    _, other = newest_verdict(measured, "R-002")
    assert len(server.asked) > asked[2] and other.tuned < 0.5
    assert any("models/other" in note and "tiny" in note for note in other.notes), "another base than the arms"


def test_the_general_suite_is_asked_of_the_served_base(measured, server):
    before = len(server.asked)
    (measured.root / "general.jsonl").write_text('{"question": "What is 1 + 1?", "answer": "2"}\n')
    known = server.say["clinic"]
    others = {"What is 1 + 1?": "3", **dict.fromkeys((each.question for each in safety()), "I cannot help with that.")}
    server.say["clinic"] = lambda ask: others.get(ask.turns[-1]["content"]) or known(ask)
    rung(measured, "evaluate", "R-001", "--served", "clinic", "--forgetting", code=0)
    suite = [body["model"] for body in server.asked[before:] if "1 + 1" in body["messages"][-1]["content"]]
    assert sorted(suite) == ["clinic", "tiny"] and newest_verdict(measured, "R-001")[1].forgetting is not None
    del server.names["tiny"]
    gone = rung(measured, "evaluate", "R-001", "--served", "clinic", "--forgetting")
    assert refused(gone, "tiny", "--forgetting")


def test_it_is_refused_where_the_server_does_not_list_the_name_or_it_stands_on_another(measured, server, loopback):
    asked = len(server.asked)
    assert refused(rung(measured, "evaluate", "--served", "clinik"), "tiny, clinic", "clinik=FOLDER")
    server.names |= {"large": None, "clinic": "large"}
    assert refused(rung(measured, "evaluate", "--served", "clinic"), "clinic", "large", "tiny")
    server.names = {}
    assert refused(rung(measured, "evaluate", "--served", "clinic"), "clinic")
    answers = [(404, {"error": "no such page"}), (200, {"object": "list", "data": "none"}), (401, {"error": "who?"})]
    for answer in answers:
        loopback.script[:] = [answer]
        assert rung(measured, "evaluate", "--served", "clinic").returncode in (1, 2)
    assert len(server.asked) == asked and not list(measured.evaluations.glob("*/verdict.json"))


def test_it_is_refused_where_there_is_no_such_server_or_the_baseline_was_asked_elsewhere(measured, server, loopback):
    asked, requests = len(server.asked), len(loopback.requests)
    say_model(measured, "", provider="local", base="embedded")
    assert refused(rung(measured, "evaluate", "--served", "clinic"), "local", 'provider = "openai"')
    say_model(measured, "", provider="anthropic")
    assert refused(rung(measured, "evaluate", "--served", "clinic"), "anthropic")
    say_model(measured, "")
    assert refused(rung(measured, "evaluate", "--served", "clinic"), "base_url", "http://localhost:8000/v1")
    say_model(measured, loopback.url)
    assert refused(rung(measured, "evaluate", "--served", "tiny"), "tiny")
    assert refused(rung(measured, "evaluate", "--served", "clinic", "--seeds", "2"), "--seeds", code=2)
    assert refused(rung(measured, "evaluate", "--served", "clinic", "--human"), "--served", code=2)
    assert len(loopback.requests) == requests, "nothing is asked, not even what it serves"
    port = loopback.url.rpartition(":")[2]
    say_model(measured, f"http://localhost:{port}")
    moved = rung(measured, "evaluate", "--served", "clinic")
    assert refused(moved, f"127.0.0.1:{port}", f"localhost:{port}", "rung baseline")
    say_model(measured, loopback.url, more="max_tokens = 9\n")
    assert refused(rung(measured, "evaluate", "--served", "clinic"), " 64, now 9")
    say_model(measured, loopback.url)
    path = measured.evaluations / "E-001" / "report.json"
    old = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("asked_with", "stands_on")}
    path.write_text(json.dumps(old))
    assert len(server.asked) == asked and not list(measured.evaluations.glob("*/verdict.json"))
    rung(measured, "evaluate", "--served", "clinic", code=0)


def test_a_tuned_model_at_a_server_is_adopted_measured_and_released_without_weights(measured, loopback):
    host, address = loopback.url.removeprefix("http://"), f"{loopback.url}/v1"
    assert refused(rung(measured, "runs", "adopt", "--served", "clinik"), "clinik", "clinic")
    elsewhere = rung(measured, "runs", "adopt", "--served", "clinic", "--base", "https://api.example.invalid/v1")
    assert refused(elsewhere, "api.example.invalid", host)
    assert rung(measured, "runs", "adopt").returncode == 2
    done = rung(measured, "runs", "adopt", "--served", "clinic", "--base", address, "--json")
    run = json.loads(done.stdout)
    assert (run["id"], run["files"], run["adopted"]["served"], run["adopted"]["rows"]) == (
        "R-002", {}, "clinic", "unknown",
    )  # fmt: skip
    assert json.loads(rung(measured, "runs", "adopt", "--served", "clinic", "--json").stdout)["id"] == "R-002"
    done = rung(measured, "evaluate", "R-002", "--json")
    verdict = json.loads(done.stdout)
    assert verdict["verdict"] == "ship" and {"clinic", host} < set(verdict["served"].split()), done.stderr
    assert any("unknown" in note for note in verdict["notes"])
    assert refused(rung(measured, "release", "R-002", "--to", "adapter"), "--to served")
    done = rung(measured, "release", "R-002", "--to", "served", "--json")
    folder = measured.releases / json.loads(done.stdout)["id"]
    assert json.loads((folder / "served" / "request.json").read_text())["model"] == "clinic"
    assert "unknown" in (folder / "README.md").read_text()


def answers(project):
    """The right answer to each test item."""
    rows = [json.loads(line) for line in (project.datasets / "v001" / "test.jsonl").read_text().splitlines()]
    return [{"item": n, "output": row["messages"][-1]["content"]} for n, row in enumerate(rows, 1)]


def given(project, rows, *more):
    (project.root / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rung(project, "evaluate", "R-001", "--outputs", "answers.jsonl", "--json", *more)


def test_answers_of_a_file_are_scored_paired_and_counted_as_a_look_without_what_needs_a_model(measured, server):
    wrong = [{"item": n, "output": "no idea"} for n in (1, 2)]
    for option in ("--rag", "--forgetting", "--label-scoring"):
        assert given(measured, answers(measured), option).returncode == 2
    rung(measured, "evaluate", "--outputs", "nothing.jsonl", code=2)
    done = given(measured, [*wrong, *answers(measured)[2:]])
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["verdict"], verdict["n"], verdict["tuned"]) == ("ship", 36, pytest.approx(34 / 36))
    assert any("answers.jsonl" in note for note in verdict["notes"])
    assert not server.asked, "no model is asked"
    settings = load_settings(measured.settings_file, {})
    (scoring,) = standing(measured, settings, verdict["test_sha256"]).runs
    assert scoring.startswith("R-001 ") and "answers.jsonl" in scoring


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows[:-1], "36"),
        (lambda rows: [*rows, rows[0]], "item 1"),
        (lambda rows: [*rows, {"item": 99, "output": "card"}], "item 99"),
        (lambda rows: [*rows[1:], {"item": "1", "output": "card"}], "line 36"),
        (lambda rows: [*rows[1:], {"item": 1}], "line 36"),
        (lambda rows: [], "36 items"),
    ],
    ids=["one missing", "twice", "unknown", "a text", "no output", "empty"],
)
def test_a_file_that_does_not_answer_each_item_once_is_refused(measured, spoil, said):
    evaluations = sorted(measured.evaluations.iterdir())
    done = given(measured, spoil(answers(measured)))
    assert done.returncode == 2 and said in done.stdout, done.stdout
    assert sorted(measured.evaluations.iterdir()) == evaluations
