"""Every command that a screen shows exists, with its options: gathered from drawn screens and from message texts."""

import ast
import functools
import re
from pathlib import Path

import ladder
import pytest
from conftest_tui import STAGES, flat, opened, playing, press, text_of
from known_commands import fault
from parsed import parsed

from rung.start import start_project
from training.release.releasing import release_untuned
from training.runs import read_run, write_run

ROOT = Path(__file__).parents[2]
SHOWN = ("rung/tui", "rung/status", "rung/cli", "rung/text", "training", "evaluation", "curation")
COMMAND = re.compile(r"(?<![\w/.-])rung((?: (?:--)?[\w./=-]+(?:,[\w./=-]+)*)+)")
ARTICLES = "a|the|that|this|each|every|cheaper|cheapest|higher|lower|next|of|one|any|same|which|first|last|A|Every"
PROSE = re.compile(rf"(?:(?<!\w)(?:{ARTICLES})|--[\w-]+)$")
"""Text before the word if it is a rung of the ladder, or the value of another program's option."""


def faults(text):
    """Commands in this text that do not exist, or that have an option which does not exist."""
    for match in COMMAND.finditer(text):
        words = [word.rstrip(".,") for word in match[1].split()]
        if not PROSE.search(text[: match.start()].rstrip()) and re.match(r"(--)?[a-z]", words[0]) and fault(words):
            yield f"{match[0]}: {fault(words)}"


def test_the_finder_finds():
    text = "-> rung baselin. $ rung data fixx leaks; run: rung train --overide decision; the next rung is dearer"
    wrong = ["rung baselin.", "rung data fixx leaks", "rung train --overide decision"]
    assert [fault.split(":")[0] for fault in faults(text)] == wrong
    assert not list(faults("rung data fix leaks, rung train --override NAME, rung --version"))


def closed_gates(clinic):
    ladder.planned(clinic)
    for name in ("train", "test"):
        (clinic.datasets / "v001" / f"{name}.jsonl").write_text("")
    clinic.decision_file.unlink()


def stopped(clinic):
    run = ladder.cleared(clinic)
    write_run(run, read_run(run), state="stopped", ending="stopped by request", step=3, steps=9)


MADE = {
    "closed_gates": closed_gates,
    "a_plan": ladder.planned,
    "stopped": stopped,
    "released": lambda clinic: release_untuned(clinic, ladder.settings_of(clinic), told=lambda _: None),
    **{f"a_verdict_{right}": functools.partial(ladder.ruled_on, right=right) for right in (11, 60, 4, 0)},
}


@pytest.mark.parametrize(
    "made", ["a_verdict_11", *(pytest.param(name, marks=pytest.mark.slow) for name in MADE if name != "a_verdict_11")]
)
async def test_every_command_on_every_screen_exists(clinic, program, made):
    MADE[made](clinic)
    await all_exist(program(clinic.root))


@pytest.mark.parametrize("test_set", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_every_command_before_the_ladder_exists(tmp_path, program, test_set):
    if test_set:
        project = ladder.reviewed(tmp_path / "clinic")
        ladder.freeze(project, ladder.settings_of(project), test_only=True, actor="dana")
    else:
        start_project(tmp_path / "clinic")
    await all_exist(program(tmp_path / "clinic"))


async def all_exist(app):
    """Open every stage, press Enter there, and look at every command that is shown."""
    seen = {}
    async with playing(app, (160, 60)) as (_, pilot):
        seen["Start"] = [body(app), *(f"$ {stage.command} {stage.reason}" for stage in app.status.stages)]
        for number in range(1, 11):
            screen = await opened(pilot, number)
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
    wrong = {name: [f for text in texts for f in faults(text)] for name, texts in seen.items()}
    assert not any(wrong.values()), {name: found for name, found in wrong.items() if found}
    shown = " ".join(text for texts in seen.values() for text in texts)
    assert len(set(COMMAND.findall(shown))) >= 8


def body(app):
    """Return the text of the screen below its first line."""
    return text_of(app).partition("\n")[2]


def texts_of(path):
    """String constants of a module that are shown: no docstrings; parts of an f-string with a gap for its values."""
    tree = parsed(path)
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
def test_every_command_in_a_message_exists(package):
    found, wrong = 0, []
    for path in sorted((ROOT / package).rglob("*.py")):
        for line, text in texts_of(path):
            found += len(COMMAND.findall(text))
            wrong += [f"{path.relative_to(ROOT)}:{line}: {fault}" for fault in faults(text)]
    assert not wrong, "\n".join(wrong)
    assert found > 0
