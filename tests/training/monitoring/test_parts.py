"""Drift: what a release adds to a request is removed; the judge; the form of answers; the stated false alarms hold."""

import json
import random
from dataclasses import replace

import pytest
from as_logged import imported, litellm
from bank import changed
from clinic import line_of, phrases
from scipy.stats import binom
from scripted import Scripted

from curation.example import Example, chat_row
from evaluation.ask import Replies
from training.monitoring.drift import ProductionForm, judge_of, judge_signal, measure
from training.monitoring.pii import masked_text
from training.monitoring.reference import OwnTurns, released
from training.monitoring.signals import (
    MOST,
    Signal,
    differ,
    halves,
    higher,
    later_signal,
    length_signal,
    share_signal,
    spread_differs,
    word_signals,
)
from workspace.folder import Project
from workspace.settings import load_settings


def test_system_message_examples_and_passages_of_the_release_are_no_part_of_the_row(tmp_path):
    shown = [chat_row("DM2 w/ CKD, call +49 170 1234567", "E11 kidney none"), chat_row("T1DM PDR OU", "E10 eye both")]
    (tmp_path / "prompt").mkdir()
    (tmp_path / "prompt" / "prompt.json").write_text(json.dumps({"examples": shown}))
    turns = OwnTurns([Example(chat_row("q", "a"))], tmp_path)
    logged = [
        {"role": "system", "content": "Turn it into the house line."},
        *shown[1]["messages"],
        *chat_row("DM2 w/ CKD, call [PHONE]", "E11 kidney none")["messages"],
        {"role": "user", "content": "Passages:\n[1] E11.md: a\n[2] E10.md: b\n\nT2DM w/ DKA"},
    ]
    assert (
        turns.of(logged)
        == [{"role": "user", "content": turns.question(logged)}]
        == [{"role": "user", "content": logged[-1]["content"].split("\n\n")[1]}]
    )
    talk = [*logged[:1], *chat_row("hello", "hi")["messages"], logged[-1]]
    assert [turn["role"] for turn in turns.of(talk)] == ["user", "assistant", "user"], "a talk of one's own stays"
    one = OwnTurns([Example(chat_row("a", "b", "House.")), Example(chat_row("c", "d", "House."))], None)
    assert one.of(talk)[0] == {"role": "system", "content": "House."}, "the rows' own system message"
    several = OwnTurns([Example(chat_row("a", "b", "House.")), Example(chat_row("c", "d"))], None)
    assert several.of(talk)[0] == talk[0]


def test_the_form_of_answers_is_told_by_the_rows(house: Project):
    standing = released(house, load_settings(house.settings_file, {}))
    form = ProductionForm(standing)
    assert not form.wrong(f"  {line_of(standing.rows[0].question)}", "stop")
    assert form.wrong("E99 nowhere", "stop") and form.wrong("", "stop") and form.wrong("E10 OD", "length")
    objects = [Example(chat_row("q", '{"code": 1, "side": "left"}')), Example(chat_row("r", '{"side": "", "code": 2}'))]
    standing = replace(standing, choices=(), rows=objects)
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
    imported(house, log)
    (house.root / "judge.md").write_text("The line names the type of the phrase.\n")
    settings = changed(load_settings(house.settings_file, {}), "judge", kind=kind)

    def rule(ask):
        text = str(ask.turns[-1]["content"])
        question = text.split("Question:\n")[1].split("\n\n")[0]
        good = line_of(question) == text.split("Answer to judge:\n")[1].split("\n\n")[0]
        return ("YES" if good else "NO") if kind == "rubric" else ("5" if good else "2")

    model = Scripted(rule)
    judge = judge_of(house, settings, model, Replies(tmp_path / "replies.jsonl"))
    report = measure(house, settings, judge=judge, judged=30)
    signal = next(signal for signal in report.signals if signal.name == "judge")
    assert (signal.n, signal.n_before, signal.before) == (30, 30, 0.0) and signal.raised and signal.now is not None
    assert 0.2 < signal.now < 0.8 and len(model.asked) == 60


def test_the_judge_is_given_both_sides_masked(house: Project):
    """Production is kept masked: beside answers that are not, `[PHONE]` alone would look worse."""
    standing = released(house, load_settings(house.settings_file, {}))
    said = [each.model_copy(update={"output": "Call +1 415 555 0132."}) for each in standing.answered]
    standing = replace(standing, answered=said)
    seen = []

    def judge(pairs):
        seen.extend(answer for _, answer in pairs)
        return [True] * len(pairs)

    judge_signal(standing, [], 0, judge, 5)
    assert seen == ["Call [PHONE]."] * 5


def test_each_of_them_sees_a_real_change():
    before = [random.Random(n).randrange(6) for n in range(60)]
    later = [value + 4 for value in before]
    for test in (differ, higher, spread_differs):
        assert 0 < test(later, before, 1)[1] <= 0.01
    assert higher(before, later, 1)[1] > 0.9
    signal = Signal(name="latency", title="Latency", against="the earlier half")
    assert later_signal(signal, [*before, *later], 1).raised
    assert later_signal(signal, [*later, *before], 1).raised is False


WORDS = [f"w{n}" for n in range(60)]


def question(rng: random.Random, words=WORDS):
    return " ".join(rng.choices(words, [1 / (n + 2) for n in range(len(words))], k=rng.randint(4, 9)))


@pytest.mark.parametrize("worlds", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_the_signals_of_words_keep_the_rate_that_they_state(worlds):
    """In worlds where requests and rows come from one source."""
    rng = random.Random(7)
    alarms = {"new_words": 0, "topics": 0}
    for world in range(worlds):
        rows, now = ([question(rng) for _ in range(count)] for count in (80, 40))
        for signal in word_signals(now, rows, "train rows", world):
            assert signal.p is not None and signal.false_alarm == 0.01
            alarms[signal.name] += bool(signal.raised)
    most = binom.ppf(1 - 1e-4, worlds, 0.01)  # passed in under one of ten thousand runs of this test
    assert all(count <= most for count in alarms.values()), alarms


def test_the_signals_of_words_see_another_vocabulary_and_other_topics():
    rng = random.Random(3)
    rows = [question(rng) for _ in range(120)]
    strange = [question(rng, [f"n{n}" for n in range(60)]) for _ in range(40)]
    found = {signal.name: signal for signal in word_signals(strange, rows, "train rows", 0)}
    assert found["new_words"].raised
    assert found["new_words"].evidence and "requests" in found["new_words"].evidence[0]
    two = [[f"a{n}" for n in range(12)], [f"b{n}" for n in range(12)]]
    rows = [question(rng, two[n % 2]) for n in range(160)]
    one_sided = [question(rng, two[0]) for _ in range(60)]
    topics = next(signal for signal in word_signals(one_sided, rows, "train rows", 0) if signal.name == "topics")
    assert topics.raised and ": " in topics.evidence[0]


def test_the_halves_share_no_row_and_are_drawn_by_seed():
    rows = [str(n) for n in range(2 * MOST + 500)]
    known, fresh = halves(rows, 4)
    assert len(known) == len(fresh) == MOST and not set(known) & set(fresh)
    assert halves(rows, 4) == (known, fresh) != halves(rows, 5)


def test_too_few_of_either_side_is_said_and_no_alarm():
    signal = Signal(name="x", title="X", against="answers")
    few = share_signal(signal, [True] * 29, [False] * 99)
    assert few.raised is None and {"29", "30"} <= set(few.why.split())
    rare = length_signal(signal, [1] * 50, [9] * 29, 0)
    assert rare.raised is None and {"29", "30"} <= set(rare.why.split())
    assert share_signal(signal, [n < 20 for n in range(100)], [n < 5 for n in range(150)]).raised
    assert share_signal(signal, [n < 5 for n in range(100)], [n < 8 for n in range(150)]).raised is False
