"""A small project that has earned its training run, made by the product's own functions."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable

import in_shell
import pytest
from clinic import ANSWERS, SETTINGS, made_up
from counting import Words
from freezing import approved
from llamas import lora
from once import once
from scripted import Scripted

from advisor.decide import advise_project
from curation.example import Example
from curation.split.freeze import freeze
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from training.plan.planning import make_plan
from training.plan.plans import Plan, keep_plan, read_plan
from training.runs import read_run
from workspace.folder import Project
from workspace.settings import Settings, load_settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def rows(count, seed) -> list[Example]:
    """Some share a customer, who counts only if asked."""
    made = enumerate(made_up(count, seed))
    return [Example({**each.row, "customer": max(0, n - 1) if n < 8 else n // 2 + 4}) for n, each in made]


def build(root, base) -> Project:
    """A project with approved, frozen rows, a baseline by a scripted model, and advice."""
    project = Project(root)
    root.mkdir(parents=True, exist_ok=True)
    project.settings_file.write_text('[project]\nperson = "sam"\n' + SETTINGS)
    project.answers_file.write_text(ANSWERS)
    settings = load_settings(project.settings_file)
    approved(project, settings, test=rows(30, 1), validation=rows(4, 2), train=rows(16, 3))
    freeze(project, settings, actor="sam")
    asked = settings.model_copy(update={"model": settings.model.model_copy(update={"base": str(base)})})
    bench = open_bench(project, asked, Scripted(["E10 eye both"]))
    run_baseline(bench, arms_named(["base", "prompt"]))
    advise_project(project)
    return project


@pytest.fixture(scope="session")
def built(tmp_path_factory, tiny):
    """The project, built once."""
    return once(tmp_path_factory, "ready", lambda folder: build(folder / "clinic", tiny)) / "clinic"


@pytest.fixture
def rebuild(ready: Project, tiny) -> Callable[[], Project]:
    """Does all of it again in the same folder."""
    return lambda: build(ready.root, tiny)


@pytest.fixture
def ready(built, tmp_path) -> Project:
    """A fresh copy of the project, in which every gate is open."""
    shutil.copytree(built, tmp_path / "clinic")
    return Project(tmp_path / "clinic")


@pytest.fixture
def own(ready: Project, tiny) -> Project:
    """The project with the tiny model in its rung.toml and rows of up to 256 tokens, as far as it can read."""
    text = ready.settings_file.read_text().replace("[training]", "[training]\nmax_length = 256")
    ready.settings_file.write_text(f'{text}[model]\nbase = "{tiny}"\n')
    return ready


@pytest.fixture
def settings(ready: Project) -> Settings:
    return load_settings(ready.settings_file)


@pytest.fixture
def plan_of(ready: Project) -> Callable[..., Plan]:
    """`plan_of(rank="4")`: the plan with these values of `[training]`, for this machine; it is not kept."""

    def make(machine=None, **values):
        named = {f"RUNG_TRAINING__{name.upper()}": value for name, value in values.items()}
        return make_plan(ready, load_settings(ready.settings_file, named), Words(), machine=machine)

    return make


@pytest.fixture
def replan(ready: Project, plan_of):
    """Works the plan out again from what is there now; gives its file."""
    return lambda: keep_plan(ready, plan_of())[0]


@pytest.fixture
def planned(replan):
    """The file of the project's plan."""
    return replan()


@pytest.fixture
def cleared(ready: Project, settings: Settings, planned):
    """The folder of a run that was cleared."""
    from training.gates.clearance import grant

    return grant(ready, settings, planned, by="sam")


@pytest.fixture(scope="session")
def clinic_lora(tiny, tmp_path_factory):
    """The folder of an adapter of that model which was made elsewhere."""
    return once(tmp_path_factory, "lora", lambda folder: lora(tiny, folder / "clinic-lora")) / "clinic-lora"


@pytest.fixture
def rung(ready: Project, tiny) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`rung("train", RUNG_TRAINING__RANK="4")`: the command as a user runs it in the project, on the tiny model."""

    def call(*words, timeout=600, at=None, **variables) -> subprocess.CompletedProcess[str]:
        chosen = {"RUNG_MODEL__BASE": str(tiny), **variables}
        return in_shell.rung(*words, cwd=at or ready.root, timeout=timeout, **chosen)

    return call


@pytest.fixture
def finished(rung, ready: Project):
    """`finished("--method", "dora")`: plan by these words and train that plan: the folder of the finished run."""

    def make(*words, at=None, **variables):
        planned = rung("plan", *words, "--json", at=at, **variables)
        assert planned.returncode == 0, planned.stdout + planned.stderr
        told = json.loads(planned.stdout)
        done = rung("train", told.get("plan") or told["id"], at=at, timeout=900, **variables)
        folder = max(Project(at or ready.root).runs.glob("R-*"))
        assert done.returncode == 0, done.stderr + (folder / "log.txt").read_text()
        run, recipe = read_run(folder), read_plan(folder / "plan.toml").recipe
        assert (run.state, run.method, run.objective) == ("finished", recipe.method, recipe.objective)
        assert run.step > 0
        return folder

    return make


REFUSED = """
import os, sys
def refuse(event, given):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        found = given[0] if event != "socket.sendto" else given[1]
    elif event == "socket.connect" and isinstance(given[1], tuple):
        found = given[1][0]
    else:
        return
    if found in (None, "localhost", "127.0.0.1", "::1"):
        return
    with open(os.environ["REACHED"], "a") as file:
        file.write(f"{event} {found}\\n")
    raise OSError("no network here")
sys.addaudithook(refuse)
"""
"""Read by Python as it starts: what is asked of any address but this machine's own is written down and refused."""


@pytest.fixture
def refused(tmp_path):
    """Variables for a Python that may not reach the network, and the file with what it tried to reach."""
    folder = tmp_path / "refused"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(REFUSED)
    reached = folder / "reached.txt"
    reached.touch()
    return {"PYTHONPATH": str(folder), "REACHED": str(reached), "HF_HUB_OFFLINE": "0"}, reached
