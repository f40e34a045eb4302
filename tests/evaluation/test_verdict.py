"""The order of the rules, from score files as a user writes them, through the command itself."""

import json
import subprocess
import sys

import pytest

from evaluation.compare import minimum_detectable
from evaluation.scores import read_scores
from evaluation.verdict import Rule, verdict_of
from rung.report.verdict_words import lines
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


def ruling(*counts, **options):
    return verdict_of(scores(rows(*counts)), rule=Rule(**options)).verdict


def test_each_ruling():
    assert ruling(60, 5, 235) == "ship"
    assert ruling(20, 18, 262) == "keep_prompt"
    assert ruling(30, 8, 262) == "judgement"
    assert ruling(12, 5, 63) == "need_more_data"
    assert ruling(3, 0, 0) == "need_more_data"


def test_a_difference_at_the_margin_counts_as_at_it_whatever_the_rounding():
    made = [{"id": i, "baseline": 0.1, "tuned": 0.1 + 0.05} for i in range(3000)]
    result = verdict_of(scores(made))
    assert result.difference == pytest.approx(0.05)
    assert result.verdict == "judgement"


def test_ship_must_beat_every_arm_and_the_rest_is_against_the_chosen_one():
    made = rows(60, 5, 235, arms={"a": 0, "classical": 1})
    result = verdict_of(scores(made), chosen="a")
    assert result.arms[0].low > result.margin
    assert result.verdict == "judgement"
    assert [arm.chosen for arm in result.arms] == [True, False]
    assert verdict_of(scores(rows(60, 5, 235, arms={"a": 0, "b": 0})), chosen="a").verdict == "ship"


def test_several_arms_need_a_chosen_one_and_a_misspelt_name_is_guessed():
    given = scores(rows(5, 1, 4, arms={"few_shot": 0, "prompt": 1}))
    with pytest.raises(RungError, match="which one did validation choose"):
        verdict_of(given)
    with pytest.raises(RungError, match='Did you mean "few_shot"'):
        verdict_of(given, chosen="fewshot")


def test_fewer_than_ten_clusters_need_more_data():
    few = verdict_of(scores(rows(60, 5, 235, cluster=lambda i: i % 9)))
    enough = verdict_of(scores(rows(60, 5, 235, cluster=lambda i: i % 30)))
    assert (few.verdict, few.clusters) == ("need_more_data", 9)
    assert (enough.verdict, enough.clusters) == ("ship", 30)


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
    ]
    with pytest.raises(InputError) as caught:
        read_scores("s.jsonl", "\n".join(lines).encode())
    where = [problem.where for problem in caught.value.problems]
    assert where == [f"s.jsonl line {n}" for n in (2, 4, 4, 5, 6, 6, 7, 8, 9, 10)]
    with pytest.raises(InputError, match="no item"):
        read_scores("s.jsonl", b"\n\n")


def run(*arguments, stdin=""):
    command = [sys.executable, "-m", "rung", "verdict", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


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
    accepted = run("--scores", str(path), "--accept-judgement", "--by", "priya", "--reason", "worth it", "--json")
    assert accepted.returncode == 0 and json.loads(accepted.stdout)["accepted"]["by"] == "priya"
    broken = run("--scores", "-", "--json", stdin='{"id": 1, "baseline": 5, "tuned": 1}\n')
    assert broken.returncode == 2 and json.loads(broken.stdout)["error"]["where"] == "stdin line 1"
    assert "Traceback" not in broken.stderr


def test_the_words_name_the_interval_and_the_items_that_would_settle_it():
    from rung.report.verdict_words import lines

    text = "\n".join(lines(verdict_of(scores(rows(16, 9, 55)))))
    assert text.startswith("NEED MORE DATA  The tuned model is 8.8 points better than the baseline (95%: -")
    assert "80 items cannot tell; about" in text
    assert "1 item cannot tell; about" in "\n".join(lines(verdict_of(scores(rows(0, 0, 1)))))
    assert "16 better, 9 worse, 55 the same" in text
    assert "at 10 points  with a margin of 10 points it would be: need more data" in text
    assert "it would be: ship" in "\n".join(lines(verdict_of(scores(rows(60, 5, 235)))))
    assert "it would be: keep the prompt" in "\n".join(lines(verdict_of(scores(rows(20, 5, 275)))))
    wide = verdict_of(scores(rows(60, 5, 235)), rule=Rule(margin=0.1))
    assert "at 10 points" not in "\n".join(lines(wide))


def test_more_items_are_not_asked_for_where_another_arm_is_ahead():
    from rung.cli.verdict import next_command
    from rung.report.evaluation_texts import worth
    from rung.report.verdict_words import sentences

    found = verdict_of(
        scores(
            [{"id": n, "baseline": {"few": min(n % 4, 1), "classical": 1}, "tuned": int(n % 9 > 1)} for n in range(80)]
        ),
        "few",
    )
    assert found.verdict == "need_more_data" and found.items_to_settle
    told = sentences(found)[1]
    assert told.startswith("Against classifier (-22.5): even the best case is under the margin of 5 points")
    assert next_command(found) == "rung advise"
    assert next_command(verdict_of(scores(rows(16, 9, 55)))) == "rung data import FILE --as test"
    assert worth(found) == "nothing shown: the interval holds no difference"
    assert worth(verdict_of(scores(rows(60, 5, 235)))) == "183 fewer wrong answers in 1,000"


def test_a_judgement_that_another_arm_makes_names_it():
    from rung.report.verdict_words import sentences

    items = [{"id": n, "baseline": {"few": int(n > 39), "prompt": int(n > 7)}, "tuned": 1} for n in range(100)]
    found = verdict_of(scores(items), "few")
    assert found.verdict == "judgement" and found.low > found.margin
    told = "Not above the margin of 5 points for sure against prompt (+8.0). A named person decides."
    assert sentences(found)[1] == told
    alone = verdict_of(scores(rows(8, 0, 92)))
    assert sentences(alone)[1] == "Better for sure, above 5 points not for sure. A named person decides."


def test_only_scores_of_0_and_1_are_counted():
    from rung.report.verdict_words import lines

    half = [{"id": n, "baseline": 0.5, "tuned": 0.5 if n % 2 else 0.7} for n in range(30)]
    graded = "\n".join(lines(verdict_of(scores(half))))
    assert "baseline     50.0%   mean of 30 items" in graded and "15 of 30" not in graded
    assert "295 of 300" in "\n".join(lines(verdict_of(scores(rows(60, 5, 235)))))


def test_the_gain_that_could_be_seen_goes_by_counts_only_where_scores_are_counts():
    def could(made):
        return verdict_of(scores(made)).minimum_detectable

    counted = rows(12, 5, 63)
    differ = (12 + 5 + 1) / (80 + 2)
    assert could(counted) == minimum_detectable(80, 0.0, 0.05, discordant=differ)
    graded = [{"id": n, "baseline": 0.5, "tuned": 0.5 if n % 2 else 0.7} for n in range(30)]
    assert could(graded) == pytest.approx(minimum_detectable(30, 0.1, 0.05))


def test_the_chosen_prompt_is_the_best_only_where_no_other_did_better_on_the_test():
    """Seen in a demo: 8.3 points better than "the best prompt", and 16.7 worse than another prompt."""
    from rung.report.verdict_words import lines, sentences

    def told(other, name="retrieved"):
        made = verdict_of(scores(rows(12, 5, 63, arms={"a": 0, name: other})), chosen="a")
        made = made.model_copy(update={"id": "E-002"})
        return sentences(made)[0], "\n".join(lines(made))

    first, shown = told(1)
    assert "than a, the prompt that validation chose (95%" in first
    assert ", chosen\n" in shown
    assert "best prompt" not in shown
    first, shown = told(0)
    assert "than the best prompt (95%" in first
    assert ", best prompted" in shown
    assert "than the best prompt (95%" in told(1, "classical")[0]


def test_with_too_few_clusters_no_gain_is_said_to_ship_and_ten_are_the_least_that_settle_it():
    found = verdict_of(scores(rows(60, 0, 60, cluster=lambda i: i % 9)))
    assert found.verdict == "need_more_data" and found.minimum_detectable is None and found.items_to_settle == 10
    assert "no gain could ship" in "\n".join(lines(found))
