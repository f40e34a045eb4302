"""The order of the rules, from score files as a user writes them, through the command itself."""

import json

import pytest
from in_shell import rung

from evaluation.verdict.compare import minimum_detectable
from evaluation.verdict.intervals import TOLERANCE
from evaluation.verdict.paired_scores import read_scores
from evaluation.verdict.rule import Rival, ShipRule, VerdictEvidence, accepted, rule, rule_on
from rung.status.stages import after_verdict
from rung.text.evaluation_text import worth
from rung.text.verdict_text import TITLES, at_ten, lines, rival_name, sentences
from workspace.errors import InputError, RungError


def rows(wins, losses, same, arms=None, **other):
    pairs = [(0, 1)] * wins + [(1, 0)] * losses + [(1, 1)] * same
    made = []
    for i, (baseline, tuned) in enumerate(pairs):
        value = {arm: (baseline if arm == "a" else score) for arm, score in arms.items()} if arms else baseline
        made.append({"id": f"i{i}", "baseline": value, "tuned": tuned, **{k: v(i) for k, v in other.items()}})
    return made


def scores(made):
    return read_scores("s.jsonl", "\n".join(json.dumps(row) for row in made).encode())


AT, NEXT = 0.05, 2 * TOLERANCE


@pytest.mark.parametrize(
    ("low", "difference", "high", "ruled"),
    [
        (AT + NEXT, 0.1, 0.2, "ship"),
        (AT + TOLERANCE, 0.1, 0.2, "judgement"),
        (AT, 0.1, 0.2, "judgement"),
        (NEXT, AT, 0.2, "judgement"),
        (NEXT, AT - TOLERANCE, 0.2, "judgement"),
        (NEXT, AT - NEXT, 0.2, "need_more_data"),
        (TOLERANCE, 0.1, 0.2, "need_more_data"),
        (0.0, 0.1, 0.2, "need_more_data"),
        (-0.1, 0.0, AT, "need_more_data"),
        (-0.1, 0.0, AT - TOLERANCE, "need_more_data"),
        (-0.1, 0.0, AT - NEXT, "keep_prompt"),
    ],
)
def test_each_bound_is_met_or_missed_by_more_than_rounding(low, difference, high, ruled):
    rival = Rival(arm="a", chosen=True, score=0.5, difference=difference, low=low, high=high, p_value=1.0,
                  better=0, worse=0, same=1)  # fmt: skip
    assert rule_on({"a": rival}, "a", ShipRule()) == ruled


def test_several_arms_need_a_chosen_one_and_a_misspelt_name_is_guessed():
    given = scores(rows(5, 1, 4, arms={"few_shot": 0, "prompt": 1}))
    with pytest.raises(RungError):
        rule(given)
    with pytest.raises(RungError, match='"few_shot"'):
        rule(given, VerdictEvidence(chosen="fewshot"))


def test_every_fault_of_a_file_at_once_with_its_line():
    lines = [
        '{"id": 1, "baseline": 1, "tuned": 0}',
        '{"id": 1, "baseline": 1, "tuned": 0}',
        "",
        '{"id": 2, "baseline": 1.2, "tuned": true}',
        '{"id": 3, "tuned": 0}',
        '{"id": 4, "baseline": NaN, "tuned": "0.5"}',
        '{"id": 5, "baseline": {"a": 1}, "tuned": 0}',
        "[1]",
        "nonsense",
        '{"id": 6, "id": 7, "baseline": 1, "tuned": 1}',
        '{"baseline": 0.5, "tuned": 1}',
        '{"id": {}, "baseline": 0, "tuned": 1}',
        f'{{"id": 8, "baseline": 0, "tuned": 1{"0" * 400}}}',
        '{"id": 9, "baseline": null, "tuned": 1}',
        '{"id": 10, "baseline": {}, "tuned": 1}',
        '{"id": 11, "baseline": 0}',
        '{"id": 12, "baseline": 0, "tuned": 1, "cluster": NaN}',
        '{"id": "12", "baseline": 0, "tuned": 1}',
    ]
    with pytest.raises(InputError) as caught:
        read_scores("s.jsonl", "\n".join(lines).encode())
    where = [problem.where for problem in caught.value.problems]
    assert where == [f"s.jsonl line {n}" for n in (2, 4, 4, 5, 6, 6, *range(7, 19))]
    for nothing in (b"", b"\n\n", b'{"id": 1, "baseline": {}, "tuned": 1}'):
        with pytest.raises(InputError, match=r"no (item|arm)"):
            read_scores("s.jsonl", nothing)


def run(*arguments, stdin=""):
    return rung("verdict", *arguments, stdin=stdin)


def test_the_command_and_its_exit_codes(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows(60, 5, 235)))
    shipped = run("--scores", str(path), "--json")
    document = json.loads(shipped.stdout)
    assert shipped.returncode == 0 and document["verdict"] == "ship" and document["n"] == 300
    assert document["difference"] == pytest.approx(55 / 300)
    path.write_text("\n".join(json.dumps(r) for r in rows(30, 8, 262)))
    assert run("--scores", str(path)).returncode == 1
    assert run("--scores", str(path), "--accept-judgement").returncode == 2
    done = run("--scores", str(path), "--accept-judgement", "--by", "priya", "--reason", "worth it", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["accepted"]["by"] == "priya"
    broken = run("--scores", "-", "--json", stdin='{"id": 1, "baseline": 5, "tuned": 1}\n')
    assert broken.returncode == 2 and json.loads(broken.stdout)["error"]["where"] == "stdin line 1"
    assert "Traceback" not in broken.stderr
    several = "\r\n".join(json.dumps({**row, "more": [1]}) for row in rows(60, 5, 235, arms={"a": 0, "b": 1}))
    chosen = json.loads(run("--scores", "-", "--chosen", "a", "--json", stdin=several).stdout)
    assert [(arm["arm"], arm["chosen"]) for arm in chosen["arms"]] == [("a", True), ("b", False)]


def test_the_words_name_the_figures_and_counts_only_scores_of_0_and_1():
    text = "\n".join(lines(rule(scores(rows(16, 9, 55)))))
    assert {"+8.8", "16", "9", "55"} <= set(text.split())
    assert "295 of 300" in "\n".join(lines(rule(scores(rows(60, 5, 235)))))
    half = [{"id": n, "baseline": 0.5, "tuned": 0.5 if n % 2 else 0.7} for n in range(30)]
    graded = "\n".join(lines(rule(scores(half))))
    assert "50.0%" in graded and "15 of 30" not in graded


@pytest.mark.parametrize(
    ("counts", "ruled"),
    [((16, 9, 55), "need_more_data"), ((60, 5, 235), "ship"), ((20, 5, 275), "keep_prompt")],
)
def test_the_ruling_at_twice_the_margin_is_said_where_the_margin_is_the_usual_one(counts, ruled):
    made = scores(rows(*counts))
    usual, wide = (rule(made, VerdictEvidence(rule=ShipRule(margin=margin))) for margin in (0.05, 0.1))
    assert at_ten(usual) in lines(usual) and TITLES[ruled].lower() in at_ten(usual)
    assert at_ten(wide) not in lines(wide)


def test_more_items_are_not_asked_for_where_another_arm_is_ahead():
    made = [{"id": n, "baseline": {"few": min(n % 4, 1), "classical": 1}, "tuned": int(n % 9 > 1)} for n in range(80)]
    found = rule(scores(made), VerdictEvidence(chosen="few"))
    assert found.verdict == "need_more_data" and found.items_to_settle
    assert "classifier (-22.5)" in sentences(found)[1]
    assert "advise" in after_verdict(found).command
    assert "import" in after_verdict(rule(scores(rows(16, 9, 55)))).command
    assert worth(rule(scores(rows(60, 5, 235)))).startswith("183 ") and not worth(found)[0].isdigit()


def test_a_judgement_that_another_arm_makes_names_it():
    items = [{"id": n, "baseline": {"few": int(n > 39), "prompt": int(n > 7)}, "tuned": 1} for n in range(100)]
    found = rule(scores(items), VerdictEvidence(chosen="few"))
    assert found.verdict == "judgement" and found.low > found.margin
    assert "prompt (+8.0)" in sentences(found)[1]
    assert "prompt" not in sentences(rule(scores(rows(8, 0, 92))))[1]


def test_the_gain_that_could_be_seen_goes_by_counts_only_where_scores_are_counts():
    def could(made):
        return rule(scores(made)).minimum_detectable

    counted = rows(12, 5, 63)
    differ = (12 + 5 + 1) / (80 + 2)
    assert could(counted) == minimum_detectable(80, 0.0, 0.05, discordant=differ)
    graded = [{"id": n, "baseline": 0.5, "tuned": 0.5 if n % 2 else 0.7} for n in range(30)]
    assert could(graded) == pytest.approx(minimum_detectable(30, 0.1, 0.05))


def test_the_chosen_prompt_is_the_best_only_where_no_other_did_better_on_the_test():
    """Seen in a demo: 8.3 points better than "the best prompt", and 16.7 worse than another prompt."""

    def beaten(other, name="retrieved"):
        made = rule(scores(rows(12, 5, 63, arms={"a": 0, name: other})), VerdictEvidence(chosen="a"))
        made = made.model_copy(update={"id": "E-002"})
        assert rival_name(made) in sentences(made)[0]
        return "a, " in rival_name(made)

    assert beaten(1) and not beaten(0) and not beaten(1, "classical")


@pytest.mark.parametrize("counts", [(60, 5, 235), (20, 18, 262), (30, 8, 262), (12, 5, 63)])
def test_only_a_judgement_is_for_a_person_to_accept(counts):
    made = rule(scores(rows(*counts)))
    assert (accepted(made, "dana", "worth it").accepted is None) is (made.verdict != "judgement")


def test_other_keys_of_a_score_file_are_named():
    given = read_scores(
        "s.jsonl", b'{"id": 1, "baseline": 0, "tuned": 1, "group": "a"}\n{"id": 2, "baseline": 0, "tuned": 1}'
    )
    assert given.unread == ("group",) and given.clusters is None
