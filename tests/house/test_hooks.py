"""The pre-commit hooks and the GitHub Action of this repository do what they say, run as their files are written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rows_in_files import lines, row

ROOT = Path(__file__).resolve().parents[2]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    words = ["claim", "refund", "card", "transfer", "limit", "rate", "branch", "statement", "loan", "fee", "pin", "app"]
    asked = [
        row(f"How do I ask about my {word} when the {other} is blocked?", f"{word} desk")
        for word in words
        for other in words
    ]
    lines(tmp_path / "train.jsonl", asked[:100])
    lines(tmp_path / "test.jsonl", [row("Where is the nearest cash machine at night?", "branch desk")])
    lines(tmp_path / "leaky.jsonl", [asked[3], row("What is the weather on Sunday in the hills?", "no desk")])
    lines(tmp_path / "torn.jsonl", [row("Which desk?", "front"), row("Which desk?", "back")])
    return tmp_path


def run(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it as the action does, with `rung` a fork of this checkout; test_packaging.py runs an installed one."""
    rung = f'rung() {{ {sys.executable} -P -m rung "$@"; }}\n'
    command = ["bash", "-e", "-o", "pipefail", "-c", rung + script]
    return subprocess.run(command, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def hook(name: str, folder: Path, arguments: str = "") -> int:
    return run(f"{HOOKS[name]['entry']} {arguments}", folder).returncode


def action(folder: Path, **given: str) -> list[int]:
    """Exit codes of the action's own steps under these inputs, but for the installation."""
    inputs = {name: str(about.get("default", "")) for name, about in ACTION["inputs"].items()} | given
    codes = []
    for step in ACTION["runs"]["steps"][1:]:
        name, _, wanted = step["if"].removeprefix("inputs.").partition(" ")
        operator, _, value = wanted.partition(" ")
        if (inputs[name] == value.strip("'")) != (operator == "=="):
            continue
        env = {
            key: inputs[text.removeprefix("${{ inputs.").removesuffix(" }}")]
            for key, text in step.get("env", {}).items()
        }
        codes.append(run(step["run"], folder, **env).returncode)
    return codes


def test_the_hooks_pass_clean_rows_and_stop_others(data: Path) -> None:
    assert hook("rung-data-check", data, "train.jsonl") == 0
    assert hook("rung-data-check", data, "torn.jsonl") == 1
    assert hook("rung-data-leakage", data, "--train train.jsonl --test test.jsonl") == 0
    assert hook("rung-data-leakage", data, "--train train.jsonl --test leaky.jsonl") == 1


def test_the_recheck_hook_passes_a_decision_that_holds_and_stops_one_of_other_answers(tmp_path: Path) -> None:
    project = tmp_path / "claims"
    assert run("rung init claims", tmp_path).returncode == 0
    answers = project / "answers.toml"
    answers.write_text('task = "classification"\nfailure = "wrong_form"\n')
    assert run("rung advise --answers answers.toml --save", project).returncode == 0
    assert hook("rung-advise-recheck", project) == 0
    answers.write_text('task = "chat"\nfailure = "missing_facts"\nknowledge_change = "weekly"\n')
    assert hook("rung-advise-recheck", project) == 1


def test_the_action_runs_what_its_inputs_ask_for(data: Path) -> None:
    assert action(data) == []
    assert action(data, check="train.jsonl", train="train.jsonl", test="test.jsonl") == [0, 0]
    assert action(data, check="train.jsonl torn.jsonl", train="train.jsonl", test="leaky.jsonl") == [1, 1]
    assert action(data, recheck="true") == [2], "there are no answers yet"


@pytest.mark.slow
def test_the_action_installs_the_repository_that_it_came_with(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "own"], check=True)
    path = f"{tmp_path / 'own/bin'}{os.pathsep}{os.environ['PATH']}"
    step = ACTION["runs"]["steps"][0]["run"]
    done = run(step, tmp_path, PATH=path, INSTALL="", GITHUB_ACTION_PATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert run("own/bin/rung rules check", tmp_path).returncode == 0


@pytest.mark.slow
def test_pre_commit_itself_installs_and_runs_the_hook(data: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "own"], cwd=data, check=True)
    subprocess.run(["own/bin/pip", "install", "-q", "pre-commit"], cwd=data, check=True)
    for command in ("git init -q .", "git add torn.jsonl"):
        assert run(command, data).returncode == 0
    done = run(f"own/bin/pre-commit try-repo {ROOT} rung-data-check --files torn.jsonl", data)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Contradictions" in done.stdout, done.stdout
