"""Conditions at their edges, and rule files: what an expert can get wrong is told with file, line and a suggestion."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
from in_process import rung

from advisor.answer_file import from_table
from advisor.decide import decide, verdict_of
from advisor.ladder import engine_of
from advisor.rulebook import ALL_FACTS, THIN, Bounds, Condition, derive, holds
from advisor.rulefiles import load_rulebook
from workspace.errors import InputError
from workspace.shipped_rules import rule_file

CELLS = 'prompt = "no", few_shot = "no", rag = "best", fine_tune = "no"'


def refused(tmp_path: Path, text: str) -> str:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_rulebook(tmp_path)
    return caught.value.message


def made(table: str, when: str, source: str = "module-4", **fields: str) -> str:
    """A rule of this kind, its fields as TOML."""
    fields = {"id": f'"team-{table}"', "when": f"{{ {when} }}", "because": '"Because."', **fields}
    fields |= {"source": f'["{source}"]', "evidence": '"judgement"'}
    return f"[[{table}]]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items())


def need(when: str = 'task = "chat"', cells: str = CELLS, source: str = "module-4") -> str:
    return made("need", when, source, kind='"behaviour"', cells=f"{{ {cells} }}")


METHOD = made("method", 'task = "chat"', name='"qlora"')


@pytest.mark.parametrize(
    ("text", "datum"),
    [
        (need(when="exampels = { below = 3 }"), '"examples"'),
        (need(when="task = [[]]"), "task"),
        (need(when=f"task = {'[' * 3000}{']' * 3000}"), "recursion"),
        (need(when='examples = { below = "x" }'), "below"),
        (need().replace('source = ["module-4"]', "source = 3"), "source"),
        (need().replace('"Because."', "3"), "because"),
        (need(when='task = "chatt"'), '"chat"'),
        (need(when="examples = { under = 3 }"), '"under"'),
        (need(when="task = { below = 3 }"), "task"),
        (need(when="examples = { at_least = 5, below = 5 }"), "examples"),
        (need(when="task = []"), "task"),
        (need(when='wants = "rag"'), "wants"),
        (need(when='next_step = "rag"'), "next_step"),
        (need(source="modul-4"), '"module-4"'),
        (need(cells='prompt = "no", few_shot = "no", rag = "best"'), "fine_tune"),
        (need(cells=CELLS.replace("best", "bset")), '"best"'),
        (need().replace('kind = "behaviour"\n', ""), '"kind"'),
        (need().replace("because", "becaus"), '"because"'),
        (need().replace("[[need]]", "[[nede]]"), '"need"'),
        (need() + need(), '"team-need"'),
        (need() + need().replace("team-need", "other"), '"team-need"'),
        (need() + need(when="nothing = 1").replace("team-need", "b"), "rules/own.toml line 9"),
        (METHOD + METHOD.replace("team-method", "late"), 'late: never reached, "team-method"'),
        (need().replace("[[need]]", "[[need"), "TOML"),
        (need() + "unless = { task = [\"chat\", \"code\"] }\n", "team-need"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_its_place(tmp_path: Path, text: str, datum: str) -> None:
    message = refused(tmp_path, text)
    assert datum in message and "rules/own.toml" in message


def test_two_rules_that_contradict_need_an_order(tmp_path: Path) -> None:
    status = made("status", 'prompting = "works", task = "chat"', rung='"prompt"', **{"is": '"insufficient"'})
    assert '"prompt-works"' in refused(tmp_path, status)
    (tmp_path / "own.toml").write_text(status + 'over = ["prompt-works", "optimised-works"]\n')
    assert load_rulebook(tmp_path).by_id["team-status"].team


def test_a_teams_own_rules_are_marked_in_every_reason(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(need())
    decision = decide(load_rulebook(tmp_path), from_table({"task": "chat"}), date(2026, 11, 25))
    mine = [reason for reason in decision.reasons if reason.rule == "team-need"]
    assert mine and mine[0].team and mine[0].text != "Because." and mine[0].text.startswith("Because.")
    assert decision.destination == "rag"
    assert decision.rulebook.sha256 != load_rulebook().sha256


def test_every_source_that_a_table_cites_is_listed_and_every_base_model_stands_in_the_catalogue() -> None:
    book, models = load_rulebook(), rule_file("models.toml")["model"]
    assert book.cited_by_tables() <= set(book.sources)
    assert {rule.effect["model"] for rule in book.of("base")} <= {row["id"] for row in models}
    assert all(re.search(r"20\d\d", row["superseded"]) for row in models if "superseded" in row)


def test_what_is_over_its_date_is_listed_with_its_file_and_the_exit_code(tmp_path: Path) -> None:
    early = rung("rules", "refresh", "--as-of", "2026-10-01", "--json", cwd=tmp_path)
    assert early.returncode == 0 and json.loads(early.stdout) == {"as_of": "2026-10-01", "over": []}
    later = rung("rules", "refresh", "--as-of", "2027-05-26", "--json", cwd=tmp_path)
    over = json.loads(later.stdout)["over"]
    assert later.returncode == 1 and over == sorted(over, key=lambda each: (each["until"], each["entry"]))
    ends = {(each["file"], each["entry"]): each["until"] for each in over}
    assert ends["models.toml", "model Qwen3-0.6B"] == "2027-05-25"
    assert {"models.toml", "managed.toml", "prices.toml", "sources.toml"} == {file for file, _ in ends}
    assert rung("rules", "refresh", "--as-of", "soon", cwd=tmp_path).returncode == 2


def test_a_prompt_that_was_only_begun_is_never_followed_by_fine_tuning(tmp_path: Path) -> None:
    fields = {"short": '"No examples here"', "rung": '"few_shot"', "on_the_way_to": '["fine_tune"]'}
    (tmp_path / "own.toml").write_text(made("skip", 'output_form = "strict"', **fields))
    book = load_rulebook(tmp_path)
    given = {"task": "extraction", "deep_specialization": True, "output_form": "strict", "budget": "moderate"}
    given |= {"examples": 5000, "reviewed_examples": 5000, "test_set": True, "model_access": "open"}
    begun = verdict_of(book, from_table({**given, "prompting": "weak_effort"}))
    assert begun.outcome == ("prompt", "prompt")
    tried = {"prompting": "insufficient", "prompt_effort_days": 6, "few_shot": "insufficient"}
    assert verdict_of(book, from_table({**given, **tried})).outcome == ("fine_tune", "fine_tune")


def test_where_nothing_covers_a_need_a_prompt_that_fell_short_is_not_where_it_ends() -> None:
    given = {"low_resource_language": True, "breadth": "general"}
    fell_short = from_table({**given, "prompting": "insufficient", "prompt_effort_days": 6})
    found = verdict_of(load_rulebook(), fell_short)
    assert [need.id for need in found.unmet] == ["low-resource"] and found.outcome == ("few_shot", "few_shot")


def test_examples_that_are_usable_and_those_not_reviewed() -> None:
    assert set(derive({}).values()) == {None}
    for given, usable, unreviewed in (
        ({"examples": 100}, 100, None),
        ({"examples": 100, "reviewed_examples": 40}, 40, 60),
        ({"examples": 30, "reviewed_examples": 40}, 40, 0),
        ({"reviewed_examples": 40}, None, None),
        ({"examples": 100, "reviewed_examples": 0}, 0, 100),
    ):
        found = derive(given)
        assert (found["usable_examples"], found["unreviewed"]) == (usable, unreviewed), given


def test_the_smallest_class_where_it_was_counted_or_surely_is_small() -> None:
    assert derive({"examples": 100, "classes": 8})["class_floor"] == 12
    assert derive({"examples": THIN * 4, "classes": 4})["class_floor"] is None
    assert derive({"examples": THIN * 4 - 1, "classes": 4})["class_floor"] == THIN - 1
    counted = derive({"examples": 1000, "classes": 4, "smallest_class": 100})
    assert (counted["class_floor"], counted["class_balance"]) == (100, 0.4)
    for given in ({"smallest_class": 100}, {"examples": 1000, "classes": 0, "smallest_class": 100}):
        assert (derive(given)["class_floor"], derive(given)["class_balance"]) == (100, None)


def test_memory_for_each_billion_parameters() -> None:
    for gpus, total in ((None, 3.0), (1, 3.0), (4, 12.0), (0, 0.0)):
        found = derive({"gpu_memory_gb": 24, "model_size_b": 8, "gpus": gpus})
        assert (found["gb_per_billion"], found["total_gb_per_billion"]) == (3.0, total)
    for given in ({"gpu_memory_gb": 24}, {"model_size_b": 8}, {"gpu_memory_gb": 24, "model_size_b": 0}):
        assert derive({**given, "gpus": 2})["total_gb_per_billion"] is None


def test_bounds_hold_from_their_lower_edge_to_below_their_upper() -> None:
    between = Bounds(at_least=5, below=50)
    assert [value in between for value in (4.9, 5, 49.9, 50, None, "5")] == [False, True, True, False, False, False]
    assert None in Bounds(below=50, unknown=True) and -1 in Bounds(below=50) and 10**9 in Bounds(at_least=5)
    assert {"5,", "50"} < set(between.words().split()) and {"9", "unknown"} < set(
        Bounds(below=9, unknown=True).words().split()
    )


def test_a_condition_is_open_only_where_nothing_known_speaks_against_it() -> None:
    condition: Condition = {"gpus": Bounds(at_least=1), "test_set": frozenset({True})}
    assert holds(condition, {"gpus": 1, "test_set": True}) is True
    assert holds(condition, {"gpus": 1}) is None
    assert holds(condition, {"test_set": False}) is False and holds(condition, {"gpus": 0}) is False
    assert holds({"test_set": frozenset({True, None})}, {}) is True


def test_compiled_conditions_agree_with_plain_ones_at_every_edge() -> None:
    engine = engine_of(load_rulebook())
    conditions = [rule.when for rule in engine.rules]
    conditions += [part for rule in engine.rules for part in rule.unless]
    for key in engine.keys:
        values = [None, *(ALL_FACTS[key].values or (() if key in engine.edges else (True, False)))]
        if key in engine.edges:
            values += [edge + step for edge in engine.edges[key] for step in (-1, -0.25, 0, 0.25, 1)]
        for value in values:
            plain = [key not in condition or value in condition[key] for condition in conditions]
            assert engine.mask_of(key, value) == sum(1 << i for i, holds_here in enumerate(plain) if holds_here)
