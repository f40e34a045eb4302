"""Verdict and Release: four endings, a person's decision with name and reason, refused forms, differences of forms."""

import json
import re
from types import SimpleNamespace

import ladder
import pytest
from conftest_tui import flat, idle, on_stage, sees, settled, text_of, until
from in_process import rung
from vouched import rewrite

from evaluation.measurement_report import Report
from evaluation.outcomes import ServedRun
from evaluation.verdict.rule import Verdict
from rung.status.stages import after_verdict
from rung.text.verdict_text import TITLES
from rung.tui.job import JobEnded
from rung.tui.release.release_screen import making
from rung.tui.screens.page_screen import Paper, SignScreen
from rung.tui.widgets.lines import MarkedLines
from training.release.goldens import GOLDEN, GoldenPrompt, Goldens
from training.release.making import Loss, ReleaseOptions, demand
from training.release.releases import RELEASE
from training.runs import LOCK, read_run, write_run
from workspace.artefact import now, read_artefact, revised, write_artefact
from workspace.errors import Refusal
from workspace.lock import writer_lock

SHIP, JUDGEMENT, KEEP, MORE = 60, 11, 0, 4
"""Items that the tuned model gets right -> the ruling on 60 items against a baseline of 15."""


@pytest.mark.parametrize(
    ("right", "ruling", "stage"),
    [
        (SHIP, "ship", "Release"),
        (KEEP, "keep_prompt", "Release"),
        (MORE, "need_more_data", "Data"),
        (JUDGEMENT, "judgement", "Verdict"),
    ],
)
async def test_the_four_endings_stand_in_the_same_place(clinic, program, right, ruling, stage):
    ladder.ruled_on(clinic, right)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        verdict, drawn = screen.data.verdict, text_of(app).split("\n")
        assert verdict.verdict == ruling and TITLES[ruling][0] in drawn[2]
        assert after_verdict(verdict).does in screen.next and after_verdict(verdict).does in drawn[20]
        assert "margin" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "Verdict") == stage)


async def test_more_items_are_not_asked_for_where_they_would_not_ship_it(clinic, program):
    path = ladder.ruled_on(clinic, MORE) / "verdict.json"
    found = read_artefact(path, Verdict)
    ahead = revised(found.arms[0], arm="classical", chosen=False, difference=-0.2, low=-0.3, high=-0.1)
    rewrite(path, Verdict, arms=[*found.arms, ahead])
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        assert "(2)" in screen.next
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Advice")


async def test_a_run_that_a_server_was_asked_for_says_that_first_and_items_are_shown_masked(clinic, program):
    path = ladder.ruled_on(clinic, SHIP) / "verdict.json"
    verdict, served = read_artefact(path, Verdict), ServedRun("clinic", "gpu1:8000", "tiny")
    notes = [*served.notes("R-001", "tiny"), *verdict.notes]
    rewrite(path, Verdict, served="clinic at gpu1:8000", notes=notes)
    path = path.with_name("outputs.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**each, "output": "ask anna.lee@example.org"}) + "\n" for each in lines))
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        assert "gpu1:8000" in flat(text_of(app)) and after_verdict(verdict).does in text_of(app).split("\n")[20]
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "ItemsScreen")
        await sees(pilot, "ask [EMAIL]")
        assert "anna" not in text_of(app)
        screen = app.screen
        listed, whole = screen.query_one(MarkedLines), screen.query_one("#item")
        for key in ("j", "j", "pagedown", "end"):
            before = listed.marked
            await pilot.press(key)
            await pilot.pause()
            assert listed.marked != before and screen.query_one(Paper).region.contains_region(whole.region), key


async def test_goal_and_price_are_in_sight_and_the_shell_says_the_same_in_the_same_order(clinic, program):
    ladder.ruled_on(clinic, SHIP)
    rewrite(clinic.evaluations / "E-001" / "report.json", Report, goal=0.8)
    said = [line for line in rung("verdict", cwd=clinic.root).stdout.split("\n") if line.strip()]
    async with on_stage(program(clinic.root), 9) as (app, _, screen):
        assert re.search(r"✓ .*80\.0%", text_of(app)) and re.search(r"\$890 .*\b750\b", text_of(app))
        told = [entry.text.replace("\xa0", " ") for entry in screen.lines.entries if entry.text.strip()]
    first = next(n for n, line in enumerate(told) if line.startswith("tuned"))
    assert told[first:] == said[2 : 2 + len(told) - first]
    assert "report.html" in said[2 + len(told) - first]


async def test_a_judgement_is_decided_on_the_screen(clinic, program):
    folder = ladder.ruled_on(clinic, JUDGEMENT)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SignScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert json.loads((folder / "verdict.json").read_text())["accepted"] is None and not app.jobs
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SignScreen) and app.screen.focused is not None)
        await pilot.press("up", *["backspace"] * 4, *"priya", "down", *"injuries go to a person", "enter")
        await idle(pilot, screen)
        accepted = json.loads((folder / "verdict.json").read_text())["accepted"]
        assert (accepted["by"], accepted["reason"]) == ("priya", "injuries go to a person")
        await sees(pilot, f'priya: "{accepted["reason"]}"')


async def test_a_run_that_trains_is_waited_for_then_measured_unless_the_test_set_changed(clinic, program):
    folder = ladder.cleared(clinic)
    write_run(folder, read_run(folder), state="running", steps=12, started_at=now())
    ladder.written(folder, 7)
    with writer_lock(folder / LOCK, "R-001"):
        async with on_stage(program(clinic.root), 9) as (_, pilot, screen):
            await until(pilot, lambda: screen.opener == 8)
            assert re.search(r"R-001 .* 7 of 12, .* 10 s ", screen.closed)
    ladder.finished(folder)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        assert screen.command == "rung evaluate R-001" and screen.data is None
        with (clinic.datasets / "v001" / "test.jsonl").open("a") as file:
            file.write('{"messages": []}\n')
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and bool(screen.trouble))
        await settled(pilot)
        assert "test.jsonl" in screen.trouble[0] and screen.trouble[-1].startswith("-> rung ") and "✗ " in text_of(app)


def loss(form, points):
    """A form that loses so many points on 300 rows."""
    figures = {"tuned": 0.857, "score": 0.857 - points, "low": points - 0.02, "high": points + 0.02}
    return Loss(form=form, metric="exact", n=300, loss=points, better=3, worse=9, limit=0.02, **figures)


@pytest.mark.cold  # a fork might have ended before its job is looked at
async def test_enter_takes_the_form_that_did_not_lose_too_much(clinic, program):
    ladder.ruled_on(clinic, SHIP)
    nobody_allows = SimpleNamespace(ways=ReleaseOptions(), run=SimpleNamespace(id="R-001"))
    with pytest.raises(Refusal) as refused:
        demand(nobody_allows, [loss("gguf q8_0", 0.0), loss("gguf q4_k_m", 0.029)])
    async with on_stage(program(clinic.root), 10) as (app, pilot, screen):
        words = f"{refused.value.message}\n-> {refused.value.hint}\n"
        screen.show_end(JobEnded("Release", ("release", "R-001", "--to", "gguf"), 1, "", words))
        await settled(pilot)
        assert all(figure in flat(text_of(app)) for figure in ("q4_k_m", "+2.9", "+0.9 to +4.9", "300 rows", "2.0"))
        assert screen.marked == "adapter"
        await pilot.press("j", "j")
        assert screen.marked == "gguf" and "gguf q8_0" in screen.next
        assert screen.command == "rung release R-001 --to gguf --gguf q8_0"
        await pilot.press("enter", "y")
        assert app.jobs["Release"].arguments == ("release", "R-001", "--to", "gguf", "--gguf", "q8_0")
        app.jobs["Release"].stop()
        await idle(pilot, screen)
    assert not list(clinic.releases.glob(f"*/{RELEASE}"))


async def test_what_differs_is_shown_token_by_token_with_the_scores(clinic, program):
    from tokenizers import Tokenizer, models, pre_tokenizers

    ladder.ruled_on(clinic, SHIP)
    found = {"gguf q8_0": loss("gguf q8_0", 0.0), "gguf q4_k_m": loss("gguf q4_k_m", 0.01)}
    facts = {"validation": {name: each.model_dump(mode="json") for name, each in found.items()}}
    against = "; ".join(f"{name.split()[1]}: {each.words}" for name, each in found.items())
    form = {"form": "gguf", "folder": "gguf", "bytes": 8_700_000, "against": against, "facts": facts}
    folder = clinic.releases / "L-001"
    (folder / "merged").mkdir(parents=True)
    written = {"schema_version": 1, "created_at": "2026-11-25T16:00:19Z", "made_from": {}, "id": "L-001"}
    (folder / RELEASE).write_text(json.dumps({**written, "run": "R-001", "forms": [form], "files": {}}))
    words = ["E10", "E11", "eye", "both", "[red]left[/]", "[UNK]"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "merged" / "tokenizer.json"))
    asked = [[{"role": "user", "content": f"q {n}"}] for n in range(2)]
    items = [GoldenPrompt(turns=each, prompt="", prompt_ids=[], ids=[], text="E10 eye both") for each in asked]
    answers = {"gguf q8_0": ["E10 eye both"] * 2, "gguf q4_k_m": ["E10 eye both", "E10 eye [red]left[/]"]}
    goldens = Goldens(max_tokens=48, tokenizer="merged", starts=None, ends=[], items=items, forms=answers)
    write_artefact(folder / GOLDEN, goldens)
    async with on_stage(program(clinic.root), 10, size=(100, 40)) as (app, pilot, _):
        await sees(pilot, "✓ gguf 8.7 MB")
        line = next(line for line in text_of(app).split("\n") if "✓ gguf" in line)
        assert line.rstrip().endswith("84.7%")
        await pilot.press("j", "j", "v")
        await sees(pilot, "gguf q8_0: 2 of 2")
        drawn = flat(text_of(app))
        assert re.search(r"q4_k_m: 1 of 2\b", drawn) and re.search(r"\b2 q 1\b", drawn)
        assert re.search(r"\b2: .*\[E10\] \[eye\] \[both\].*\[E10\] \[eye\] \[\[red\]left\[/\]\]", drawn)
        await pilot.press("escape", "k", "v")
        await pilot.pause()
        assert app.screen.stage == "Release"


def test_how_far_a_release_is_stands_in_words_and_as_a_bar():
    def told(*heard):
        form, (words, bar) = making("gguf", heard, 58)
        return form, words.text, bar.text.partition("  ")

    assert told()[0] == "merged" and told()[2][0] == "─" * 42 and told()[2][2].startswith("0 of 2")
    heard = ["merged: making", "merged: 541.6 MB  16 of 16 equal"]
    half = "━" * 21 + "─" * 21
    assert told(*heard)[0] == "gguf" and told(*heard)[2][0] == half and told(*heard)[2][2].startswith("1 of 2")
    assert told(*heard, "gguf: converting")[1] == "gguf: converting"
    form, words, bar = told(*heard, "gguf q8_0  42 of 84  50%  about 9 s left")
    assert (form, bar) == ("gguf", (half, "  ", "42 of 84")) and "50%" not in words and "9 s" in words
