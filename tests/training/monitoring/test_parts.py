"""Text that a release adds to a request is removed; the judge on production; the form that answers must have."""

import json

import pytest
from as_logged import litellm
from clinic_phrases import line_of, phrases
from scripted import Scripted

from curation.example import Example, chat_row
from evaluation.ask import Replies
from training.monitoring.drift import ProductionForm, judge_of, judge_signal, measure
from training.monitoring.log_import import read_logs, take_in
from training.monitoring.pii import masked_text
from training.monitoring.reference import OwnTurns, released
from training.monitoring.signals import word_signals
from workspace.folder import Project
from workspace.settings import load_settings

SHOWN = [chat_row("DM2 w/ CKD, call +49 170 1234567", "E11 kidney none"), chat_row("T1DM PDR OU", "E10 eye both")]


@pytest.fixture
def turns(tmp_path) -> OwnTurns:
    (tmp_path / "prompt").mkdir()
    (tmp_path / "prompt" / "prompt.json").write_text(json.dumps({"examples": SHOWN}))
    return OwnTurns([Example(chat_row("q", "a"))], tmp_path)


def test_system_message_examples_and_passages_of_the_release_are_no_part_of_the_row(turns: OwnTurns):
    logged = [
        {"role": "system", "content": "Turn it into the house line."},
        {"role": "user", "content": "T1DM PDR OU"},
        {"role": "assistant", "content": "E10 eye both"},
        {"role": "user", "content": "DM2 w/ CKD, call [PHONE]"},
        {"role": "assistant", "content": "E11 kidney none"},
        {"role": "user", "content": "Passages:\n[1] E11.md: a\n[2] E10.md: b\n\nT2DM w/ DKA"},
    ]
    assert (
        turns.of(logged)
        == [{"role": "user", "content": turns.question(logged)}]
        == [{"role": "user", "content": logged[-1]["content"].split("\n\n")[1]}]
    )
    talk = [*logged[:1], {"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}, logged[-1]]
    assert [turn["role"] for turn in turns.of(talk)] == ["user", "assistant", "user"], "a talk of one's own stays"


def test_the_rows_own_system_message_takes_the_place_of_the_prompts():
    logged = [{"role": "system", "content": "Prompt v3."}, {"role": "user", "content": "q"}]
    one = OwnTurns([Example(chat_row("a", "b", "House.")), Example(chat_row("c", "d", "House."))], None)
    assert one.of(logged)[0] == {"role": "system", "content": "House."}
    several = OwnTurns([Example(chat_row("a", "b", "House.")), Example(chat_row("c", "d"))], None)
    assert several.of(logged)[0] == logged[0]


def test_the_form_of_answers_is_told_by_the_rows(house: Project):
    standing = released(house, load_settings(house.settings_file, {}))
    form = ProductionForm(standing)
    assert not form.wrong(f"  {line_of(standing.rows[0].question)}", "stop")
    assert form.wrong("E99 nowhere", "stop") and form.wrong("", "stop") and form.wrong("E10 OD", "length")
    objects = [Example(chat_row("q", '{"code": 1, "side": "left"}')), Example(chat_row("r", '{"side": "", "code": 2}'))]
    standing = standing.__class__(**{**vars(standing), "choices": (), "rows": objects})
    assert not ProductionForm(standing).wrong('{"side": 1, "code": 2}', "stop")
    assert ProductionForm(standing).wrong('{"side": 1}', "stop") and ProductionForm(standing).wrong("E10 OD", "stop")
    masked = masked_text('{"side": "+1 415 555 0132", "code": 4111111111111111}')  # as production's answers are kept
    assert not ProductionForm(standing).wrong(masked, "stop") and ProductionForm(standing).wrong(
        masked.replace("side", "x"), "stop"
    )


@pytest.mark.parametrize("side", [[f"!!! {'?' * n}" for n in range(80)], ["same text" + "!" * n for n in range(80)]])
def test_rows_that_are_all_alike_have_no_topics(side, recwarn):
    found = {signal.name: signal for signal in word_signals(side[:40], side, "rows", 0)}
    assert found["topics"].raised is None and found["topics"].why
    assert found["new_words"].raised is False and not recwarn.list


@pytest.mark.parametrize("kind", ["rubric", "score"])
def test_the_judge_looks_at_production_and_at_the_test_alike(house: Project, write, tmp_path, kind):
    log = write([litellm(n, text, "E13 OS" if n % 2 else line_of(text)) for n, text in enumerate(phrases(80, 55))])
    take_in(house, read_logs([log], keep_rejects=False))
    (house.root / "judge.md").write_text("The line names the type of the phrase.\n")
    settings = load_settings(house.settings_file, {})
    settings = settings.model_copy(update={"judge": settings.judge.model_copy(update={"kind": kind})})
    asked = []

    def rule(ask):
        text = str(ask.turns[-1]["content"])
        asked.append(text)
        question = text.split("Question:\n")[1].split("\n\n")[0]
        good = line_of(question) == text.split("Answer to judge:\n")[1].split("\n\n")[0]
        return ("YES" if good else "NO") if kind == "rubric" else ("5" if good else "2")

    replies = Replies(tmp_path / "replies.jsonl")
    judge = judge_of(house, settings, Scripted(rule), replies)
    report = measure(house, settings, judge=judge, judged=30)
    signal = next(signal for signal in report.signals if signal.name == "judge")
    assert (signal.n, signal.n_before, signal.before) == (30, 30, 0.0) and signal.raised and signal.now is not None
    assert 0.2 < signal.now < 0.8 and len(asked) == 60


def test_the_judge_is_given_both_sides_masked(house: Project):
    """Production is kept masked: beside answers that are not, `[PHONE]` alone would look worse."""
    standing = released(house, load_settings(house.settings_file, {}))
    said = [each.model_copy(update={"output": "Call +1 415 555 0132."}) for each in standing.answered]
    standing = standing.__class__(**{**vars(standing), "answered": said})
    seen = []

    def judge(pairs):
        seen.extend(answer for _, answer in pairs)
        return [True] * len(pairs)

    judge_signal(standing, [], 0, judge, 5)
    assert seen == ["Call [PHONE]."] * 5
