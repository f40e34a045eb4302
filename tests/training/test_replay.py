"""`[training] replay`: what the base model answers to general questions trains beside the rows."""

import json
from dataclasses import replace

import pytest
from families import chain

from chat.local.embedded import embedded_folder
from curation.example import Example
from evaluation.forgetting import safety, suite
from training.plan.objective import replay_questions
from training.plan.plans import read_plan
from training.plan.recipe import Recipe
from training.run.base_model import load_tokenizer
from training.run.inputs import FILE, answers, replayed, with_replay
from workspace.artefact import revised

ROWS = [Example({"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]})] * 3


@pytest.fixture
def recipe(planned, tmp_path) -> Recipe:
    """Its base answers `<alpha>` to everything."""
    words, base = load_tokenizer(str(embedded_folder())), tmp_path / "base"
    words.add_tokens(["<alpha>"])
    newline = words.convert_ids_to_tokens(words.encode("\n"))[-1]
    chain(words, [(newline, "<alpha>"), ("<alpha>", "<|im_end|>")]).model.save_pretrained(str(base))
    words.save_pretrained(str(base))
    return revised(read_plan(planned).recipe, base=str(base), replay=4, max_length=192, system_prompt="X")


def test_no_question_is_one_that_measures_forgetting():
    asked = replay_questions()
    assert len(set(asked)) == len(asked) >= 300
    assert not set(asked) & {item.question for item in [*suite(), *safety()]}


def test_the_base_model_answers_once_and_its_answers_train_behind_the_rows(recipe: Recipe, tmp_path):
    rows = replayed(recipe, tmp_path)
    kept = (tmp_path / FILE).read_bytes()
    assert {row.question for row in rows} == set(replay_questions()[:4]) and {row.answer for row in rows} == {"<alpha>"}
    tokenizer = load_tokenizer(recipe.base)
    items = answers(tokenizer, ROWS, recipe.system_prompt, recipe.max_length, tmp_path)
    both = with_replay(items, rows, tokenizer, recipe, tmp_path)
    assert len(both.columns) == len(items.columns) + len(rows) and both.encoded == items.encoded
    trained = [token for token in both.columns[3]["labels"] if token != -100]
    assert tokenizer.decode(trained, skip_special_tokens=True).strip() == rows[0].answer
    assert "X" not in tokenizer.decode(both.columns[3]["input_ids"])[:40]  # the task's system prompt is not theirs

    (tmp_path / FILE).write_bytes(kept.splitlines(keepends=True)[0])
    assert [row.question for row in replayed(recipe, tmp_path)] == [
        json.loads(kept.splitlines()[0])["messages"][0]["content"]
    ]


def test_rows_in_a_file_stay_there(recipe: Recipe, tmp_path):
    from datasets import Dataset

    tokenizer = load_tokenizer(recipe.base)
    items = answers(tokenizer, ROWS, None, recipe.max_length, tmp_path)
    stored = replace(items, columns=Dataset.from_list(list(items.columns)))
    both = with_replay(stored, ROWS[:1], tokenizer, recipe, tmp_path)
    assert isinstance(both.columns, Dataset) and len(both.columns) == 4 and both.columns[3] == both.columns[0]
    assert len(with_replay(stored, [], tokenizer, recipe, tmp_path).columns) == 3, "no answer was whole"
