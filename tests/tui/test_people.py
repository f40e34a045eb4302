"""People compare and label outputs by keys, blind; who wrote what is told only at the end."""

from __future__ import annotations

import json
import re

import ladder
from conftest_tui import flat, on_stage, opened, playing, sees, text_of, until

from chat.scripted import Scripted
from curation.store import open_store
from evaluation.bench import open_bench
from evaluation.judge.people_labels import open_labelling, open_sitting
from evaluation.people.comparison import begun_comparison, open_comparison, read_result
from evaluation.tuned import run_evaluation
from rung.tui.measure.people_screen import PeopleScreen

RIGHT = 40
NAMES = ("tuned", "base", "best prompt", "R-001 wrote", "baseline")


def verdict_of(clinic):
    """A run with a verdict: 40 of 60 right, the others as the baseline says."""
    return ladder.ruled_on(clinic, RIGHT)


async def people_of(pilot):
    """Open the Verdict, then the comparison."""
    await opened(pilot, 9)
    await sees(pilot, "margin")
    await pilot.press("h")
    await until(pilot, lambda: isinstance(pilot.app.screen, PeopleScreen) and pilot.app.screen.data is not None)
    return pilot.app.screen


def ready(screen, before=None):
    """Whether a pairing stands there that is not `before`."""
    return not screen.started and screen.shown_id() is not None and screen.shown_id() != before


async def test_a_comparison_by_keys_from_begin_to_reveal(clinic, program):
    folder = verdict_of(clinic)
    async with playing(program(clinic.root)) as (app, pilot):
        screen = await people_of(pilot)
        await sees(pilot, "Which output do people prefer?")
        assert begun_comparison(clinic) is None  # looking makes nothing
        await pilot.press("enter")
        await until(pilot, lambda: ready(screen))
        comparison = begun_comparison(clinic)
        first = screen.shown_id()
        shown = next(p for p in comparison.asked if p.id == first)
        text = flat(text_of(app))
        assert shown.question in text
        assert not any(name in text.partition("Which is better?")[2] for name in NAMES)
        assert f"0 of {len(comparison.asked)} answered" in text

        await pilot.press("m", *"clearer", "enter", "a")
        await until(pilot, lambda: ready(screen, first))
        assert comparison.answers()["dana"] == {first: ("a", "clearer")}
        await sees(pilot, f"1 of {len(comparison.asked)} answered")

        second = screen.shown_id()
        await pilot.press("t")
        await until(pilot, lambda: ready(screen, second))
        await pilot.press("u")
        await until(pilot, lambda: screen.shown_id() == second and not screen.started)
        await pilot.press("u")
        await until(pilot, lambda: screen.shown_id() == first and not screen.started)
        await pilot.press("b")
        await until(pilot, lambda: ready(screen, first))
        assert comparison.answers()["dana"][first] == ("b", "")

        while screen.shown_id() is not None:
            now = screen.shown_id()
            await pilot.press("b")
            await until(pilot, lambda now=now: not screen.started and screen.shown_id() != now)
        await sees(pilot, "You have answered everything.")
        assert read_result(folder) == []
        await pilot.press("enter")
        await until(pilot, lambda: bool(screen.question))
        await pilot.press("y")
        await sees(pilot, "What people preferred")
        assert "tuned against base" in flat(text_of(app))
    result = read_result(folder)
    assert [p.rival for p in result] == ["base"]  # both are one here: validation chose the base
    assert all(p.raters == ["dana"] and p.wins + p.losses + p.ties + p.same == p.n for p in result)
    assert "preferred" in (folder / "report.html").read_text()


PHONE, MAIL = "+1 415 555 0132", "ann.lee@example.org"


def private(clinic):
    """A verdict on a run whose outputs hold a phone number and a mail address."""
    ladder.finished(ladder.cleared(clinic))
    bench = open_bench(clinic, ladder.settings_of(clinic), Scripted([f"Call {PHONE} or {MAIL}"]))
    run_evaluation(bench, "R-001", "House line.", [clinic.runs / "R-001" / "run.json"])


def unmaskings(clinic):
    with open_store(clinic, ladder.settings_of(clinic)) as store:
        return [(event.actor, event.ref, event.detail["kinds"]) for event in store.events(kind="unmasked")]


async def masked_until_p(pilot, screen, clinic, ref):
    """Nothing bare before `p`, which the log tells first; the next thing is masked again."""
    app, first = pilot.app, screen.shown_id()
    text = flat(text_of(app))
    assert "Call [PHONE] or [EMAIL]" in text and PHONE not in text and MAIL not in text
    assert "Hidden: 1 e-mail, 1 phone. p shows them" in text and unmaskings(clinic) == []
    await pilot.press("p")
    await sees(pilot, f"Call {PHONE} or {MAIL}")
    assert unmaskings(clinic) == [("dana", f"{ref}/{first}", {"EMAIL": 1, "PHONE": 1})]
    await pilot.press("p")
    await sees(pilot, "Call [PHONE] or [EMAIL]")
    await pilot.press("p")
    await sees(pilot, f"Call {PHONE} or {MAIL}")
    assert len(unmaskings(clinic)) == 2
    await pilot.press("a")
    await until(pilot, lambda: ready(screen, first))
    assert PHONE not in text_of(app) and MAIL not in text_of(app)


async def test_a_comparison_masks_personal_data_until_it_is_asked_for(clinic, program):
    private(clinic)
    async with playing(program(clinic.root)) as (_, pilot):
        screen = await people_of(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: ready(screen))
        await masked_until_p(pilot, screen, clinic, "E-002/human")


async def test_a_judges_outputs_mask_personal_data_until_it_is_asked_for(clinic, program):
    private(clinic)
    name_a_judge(clinic)
    async with playing(program(clinic.root)) as (app, pilot):
        screen = await judge_of(pilot)
        while "[PHONE]" not in text_of(app):  # outputs of the prompted arms hold none
            assert not screen.check_action("unmask", ())
            before = screen.shown_id()
            await pilot.press("x")
            await until(pilot, lambda before=before: ready(screen, before))
        await masked_until_p(pilot, screen, clinic, "E-002/judge")


async def test_what_the_log_cannot_hold_is_not_shown(clinic, program):
    private(clinic)
    async with playing(program(clinic.root)) as (app, pilot):
        screen = await people_of(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: ready(screen))
        for more in ("rung.db-wal", "rung.db-shm"):
            (clinic.root / more).unlink(missing_ok=True)
        (clinic.root / "rung.db").write_bytes(b"not a database at all, " * 200)
        await pilot.press("p")
        await sees(pilot, "Not shown: the log could not be written.")
        assert PHONE not in text_of(app)
        await pilot.press("a")  # what is masked can be answered all the same
        await sees(pilot, "1 of")


async def test_the_end_waits_for_everybody_who_began(clinic, program):
    verdict_of(clinic)
    comparison = open_comparison(clinic)
    comparison.record("mo", comparison.asked[0].id, "a")
    for pairing in comparison.asked:
        comparison.record("dana", pairing.id, "tie")
    async with playing(program(clinic.root)) as (app, pilot):
        screen = await people_of(pilot)
        await sees(pilot, "Next: wait for mo.")
        assert re.search(r"mo +1 of \d+", text_of(app))
        await pilot.press("enter")
        assert screen.message == "not yet: mo has not finished"
        assert not screen.question
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.stage == "Verdict" and not isinstance(app.screen, PeopleScreen))


def name_a_judge(clinic, kind="rubric"):
    with clinic.settings_file.open("a") as file:
        file.write(f'\n[judge]\nbase = "claude-sonnet-4-6"\nprovider = "anthropic"\nkind = "{kind}"\n')
    (clinic.root / "judge.md").write_text("The line must be right.\n")


async def judge_of(pilot):
    """Open the Verdict, then the judge, and begin to label."""
    await opened(pilot, 9)
    await sees(pilot, "margin")
    await pilot.press("l")
    await sees(pilot, "has not judged these outputs yet.")
    screen = pilot.app.screen
    await pilot.press("enter")
    await until(pilot, lambda: ready(screen))
    return screen


async def test_an_answer_that_cannot_be_written_stays_until_it_can(clinic, program):
    verdict_of(clinic)
    name_a_judge(clinic)
    async with playing(program(clinic.root)) as (_, pilot):
        screen = await judge_of(pilot)
        first = screen.shown_id()
        blocked = next(clinic.evaluations.glob("*/judge")) / "labels.dana.jsonl"
        blocked.mkdir()
        await pilot.press("m", *"wrong side", "enter", "x")
        await sees(pilot, "not saved yet: Enter tries again")
        await pilot.press("a", "m")  # nothing stands there that could be answered
        blocked.rmdir()
        await pilot.press("enter")
        await until(pilot, lambda: ready(screen, first))
        await sees(pilot, "no saved; u changes it")
    line = json.loads(blocked.read_text())
    assert line["id"] == first and line["reason"] == "wrong side"


async def test_outputs_are_labelled_for_a_judge_by_keys(clinic, program):
    verdict_of(clinic)
    name_a_judge(clinic)
    labelling = open_labelling(open_sitting(clinic, ladder.settings_of(clinic), None))
    async with on_stage(program(clinic.root), 9) as (app, pilot, _):
        await sees(pilot, "margin")
        await pilot.press("l")
        await sees(pilot, "claude-sonnet-4-6 has not judged these outputs yet.")
        screen = app.screen
        await pilot.press("enter")
        await until(pilot, lambda: ready(screen))
        first = screen.shown_id()
        await pilot.press("1")  # no score is asked: a digit goes to a stage
        await until(pilot, lambda: app.screen.stage == "Questions")
        await opened(pilot, 9)
        await pilot.press("l")
        await sees(pilot, "Next: label outputs, blind.")
        screen = app.screen
        await pilot.press("enter")
        await until(pilot, lambda: ready(screen))
        await pilot.press("m", *"wrong side", "enter", "x")
        await until(pilot, lambda: ready(screen, first))
        second = screen.shown_id()
        await pilot.press("a")
        await until(pilot, lambda: ready(screen, second))
        assert not any(name in flat(text_of(app)).partition("labelled")[2] for name in NAMES)
    assert labelling.given("dana") == {first: 0.0, second: 1.0}
    line = next((clinic.evaluations).glob("*/judge/labels.dana.jsonl")).read_text().splitlines()[0]
    assert json.loads(line)["reason"] == "wrong side"


async def test_a_judge_that_scores_is_labelled_by_digits(clinic, program):
    verdict_of(clinic)
    name_a_judge(clinic, "score")
    async with playing(program(clinic.root)) as (app, pilot):
        screen = await judge_of(pilot)
        first = screen.shown_id()
        assert "1-5 bad to good" in text_of(app)
        await pilot.press("4")
        await until(pilot, lambda: ready(screen, first))
        assert app.screen is screen
    labelling = open_labelling(open_sitting(clinic, ladder.settings_of(clinic), None))
    assert labelling.given("dana") == {first: 0.75}


async def test_without_a_judge_the_screen_says_how_to_name_one(clinic, program):
    verdict_of(clinic)
    async with on_stage(program(clinic.root), 9) as (app, pilot, _):
        await sees(pilot, "margin")
        await pilot.press("l")
        await sees(pilot, "Next: set a judge in rung.toml.")
        await pilot.press("enter")
        assert app.screen.message == "set a judge first: [judge] base in rung.toml"
