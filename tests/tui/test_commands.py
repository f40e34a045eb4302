"""Every command that a screen shows exists, with its options: gathered from drawn screens and from message texts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import ladder
import pytest
import typer.main
from conftest_tui import STAGES, flat, opened, press, running, settled, text_of

from rung.cli import build_app
from rung.start import start_project
from rung.status import read_status
from training.release.releasing import release_untuned
from training.runs import LOCK, read_run, write_run
from workspace.lock import writer_lock

ROOT = Path(__file__).parents[2]
SHOWN = ("rung/tui", "rung/status", "rung/cli", "rung/text", "training", "evaluation", "curation")
COMMAND = re.compile(r"(?<![\w/.-])rung((?: (?:--)?[\w./=-]+(?:,[\w./=-]+)*)+)")
ARTICLES = "a|the|that|this|each|every|cheaper|cheapest|higher|lower|next|of|one|any|same|which|first|last|A|Every"
PROSE = re.compile(rf"(?:(?<!\w)(?:{ARTICLES})|--[\w-]+)$")
"""What stands before the word where it is a rung of the ladder, or the value of another program's option."""


ALONE = "does something without a word of its own"


def is_word(rest):
    return bool(rest) and rest[0].islower() and not rest[0].startswith("--")


@pytest.fixture(scope="module")
def commands():
    """`data fix` -> its options, for every command of the program."""
    found = {}

    def walk(command, path):
        options = {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)}
        found[path] = options | {"--help"} | ({ALONE} if getattr(command, "invoke_without_command", False) else set())
        for name, below in getattr(command, "commands", {}).items():
            walk(below, f"{path} {name}".strip())

    walk(typer.main.get_command(build_app()), "")
    return found


def faults(text, commands):
    """Commands in this text that do not exist, or that have an option which does not exist."""
    for match in COMMAND.finditer(text):
        words = match[1].split()
        if PROSE.search(text[: match.start()].rstrip()) or not re.match(r"(--)?[a-z]", words[0]):
            continue
        path, rest = words[0], words[1:]
        while rest and f"{path} {rest[0]}" in commands:
            path = f"{path} {rest.pop(0)}"
        options = [word.split("=")[0].rstrip(".,") for word in words if word.startswith("--")]
        if words[0].startswith("--"):
            path = ""
        elif path not in commands:
            yield match[0]
            continue
        elif ALONE not in commands[path] and any(known.startswith(f"{path} ") for known in commands) and is_word(rest):
            yield match[0]  # a group with a word that is none of its commands
            continue
        yield from (f"{match[0]}: {option}" for option in options if option not in commands[path])


def test_the_finder_finds(commands):
    text = "-> rung baselin. $ rung data fixx leaks; run: rung train --overide decision; the next rung is dearer"
    assert [fault.split(":")[0] for fault in faults(text, commands)] == [
        "rung baselin.",
        "rung data fixx leaks",
        "rung train --overide decision",
    ]
    assert not list(faults("rung data fix leaks, rung train --override NAME, rung --version", commands))


def with_test_set(folder):
    project = ladder.reviewed(folder / "clinic")
    ladder.freeze(project, ladder.settings_of(project), test_only=True, actor="dana")


def with_a_plan(folder):
    ladder.planned(ladder.measured(folder / "clinic"))


def with_closed_gates(folder):
    project = ladder.measured(folder / "clinic")
    ladder.planned(project)
    for name in ("train", "test"):
        (project.datasets / "v001" / f"{name}.jsonl").write_text("")
    project.decision_file.unlink()


def with_a_verdict(right):
    def make(folder):
        project = ladder.measured(folder / "clinic")
        ladder.ruled_on(project, right)

    make.__name__ = f"with_a_verdict_{right}"
    return make


def released(folder):
    project = ladder.measured(folder / "clinic")
    release_untuned(project, ladder.settings_of(project), told=lambda _: None)


def stopped(folder):
    run = ladder.cleared(ladder.measured(folder / "clinic"))
    write_run(run, read_run(run), state="stopped", ending="stopped by request", step=3, steps=9)


QUICK = (start_project, with_closed_gates, with_a_verdict(11))
MORE = (with_test_set, with_a_plan, released, stopped, *map(with_a_verdict, (60, 4, 0)))
MADE = [*(pytest.param(m, id=m.__name__) for m in QUICK)]
MADE += [pytest.param(m, id=m.__name__, marks=pytest.mark.slow) for m in MORE]


@pytest.mark.parametrize("make", MADE)
async def test_every_command_on_every_screen_exists(tmp_path, program, commands, make):
    make(tmp_path)
    folder = tmp_path / "clinic" if (tmp_path / "clinic").is_dir() else tmp_path
    app = program(folder)
    seen = {}
    async with running(app, (160, 60)) as pilot:
        await settled(pilot)
        seen["Start"] = [body(app), *(f"$ {stage.command} {stage.reason}" for stage in app.status.stages)]
        for number in range(1, 11):
            screen = await opened(pilot, number)
            await settled(pilot)
            seen[STAGES[number - 1]] = [body(app), flat(body(app)), f"$ {screen.command}", screen.message]
            data = getattr(screen, "data", None)
            makes_a_plan = number == 7 and data is not None and data.plan is None
            if (data is not None and not makes_a_plan) or getattr(screen, "closed", ""):
                await press(pilot, "enter")
                if app.screen is screen:
                    seen[STAGES[number - 1]] += [screen.message, screen.question]
                    await pilot.press("escape") if screen.question else None
                elif getattr(app.screen, "stage", None) is None:
                    seen[STAGES[number - 1]] += [text_of(app)]
                    await pilot.press("escape")
    wrong = {name: [f for text in texts for f in faults(text, commands)] for name, texts in seen.items()}
    assert not any(wrong.values()), {name: found for name, found in wrong.items() if found}
    shown = " ".join(text for texts in seen.values() for text in texts)
    assert len(set(COMMAND.findall(shown))) >= 8


def body(app):
    """What stands on the screen below its first line."""
    return text_of(app).partition("\n")[2]


def texts_of(path):
    """String constants of a module that are shown: no docstrings; parts of an f-string with a gap for its values."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X-000" for part in node.values]
            skipped |= {id(part) for part in node.values}
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


@pytest.mark.parametrize("package", SHOWN)
def test_every_command_in_a_message_exists(commands, package):
    found, wrong = 0, []
    for path in sorted((ROOT / package).rglob("*.py")):
        for line, text in texts_of(path):
            found += len(COMMAND.findall(text))
            wrong += [f"{path.relative_to(ROOT)}:{line}: {fault}" for fault in faults(text, commands)]
    assert not wrong, "\n".join(wrong)
    assert found > 0


def test_a_live_run_names_its_commands(clinic, commands):
    folder = ladder.cleared(clinic)
    write_run(folder, read_run(folder), state="running", steps=12)
    with writer_lock(folder / LOCK, "R-001"):
        status = read_status(clinic)
    assert status.stage("Train").command.endswith(" R-001")
    assert not [fault for stage in status.stages for fault in faults(stage.command, commands)]
