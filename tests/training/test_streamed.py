"""Rows that train: streamed from disk, replayed, every assistant turn by the exact tokens of five chat templates."""

import json
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import taught
from clinic import made_up
from families import chain
from later import datasets
from lives import losses
from walked import recipe_of

from chat.local.embedded import embedded_folder
from chat.local.prompt import encode, render
from curation.example import Example, chat_row
from evaluation.forgetting import safety, suite
from evaluation.metrics.item_metrics import item_metric
from training.export.bundle import row_of, trained, weighted
from training.plan.objective import AnswerPair, StreamedRows, replay_questions, rows_of
from training.plan.plans import read_plan
from training.run.base_model import load_tokenizer
from training.run.inputs import FILE, answers, pairs, picked, questions, replayed, with_replay
from training.run.tokens import IGNORED, show, tokenise, with_system
from training.run.validation_answers import ValidationAnswers
from training.runs import read_run
from workspace.artefact import revised
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def test_streamed_rows_and_tokens_are_those_of_rows_in_memory(tmp_path, tiny):
    """What trips readers: brackets in the path, line separators in a text, keys that only some rows have."""
    path = tmp_path / "a[b]" / "train.jsonl"
    path.parent.mkdir()
    plain = [
        *made_up(700, 5),
        Example(chat_row("one\u2028two\u0085three\r\nfour", "E10 eye both", "House line.")),
        Example({**chat_row("with a tool", "E11 eye both"), "tools": [{"type": "function"}], "weight": 1}),
        Example({**chat_row("with another", "E11 eye both"), "weight": "heavy", "tags": {"a": [1, None]}}),
    ]
    path.write_text("".join(json.dumps(row.row, ensure_ascii=False) + "\n" for row in plain))
    tokenizer, lines = load_tokenizer(str(tiny)), StreamedRows(path)
    assert list(lines) == plain and len(lines) == 703 and lines[-1] == plain[-1] and lines[698:] == plain[698:]
    lengths = [len(tokenise(tokenizer, number, row, None).ids) for number, row in enumerate(plain, 1)]
    limit = sorted(lengths)[-10]
    for make in (answers, lambda *given: questions(*given, tests=False)):
        held, stored = (make(tokenizer, some, None, limit, path.parent) for some in (plain, lines))
        assert held.encoded.too_long == [number for number, length in enumerate(lengths, 1) if length > limit] != []
        assert stored.encoded.too_long == held.encoded.too_long
        assert held.encoded.eos_trained == stored.encoded.eos_trained > 500
        assert list(held.encoded.rows) == list(stored.encoded.rows)
        assert held.encoded.rows[501] == stored.encoded.rows[501] and held.encoded.rows[:3] == stored.encoded.rows[:3]
        assert list(held.columns) == list(stored.columns)
        assert list(picked(held.columns, [3, 1, 1])) == list(picked(stored.columns, [3, 1, 1]))
    assert [each.name for each in path.parent.iterdir()] == ["train.jsonl"], "the file has no name once it is open"


def test_a_split_is_streamed_over_the_size_that_the_settings_say(ready: Project, settings: Settings):
    folder = ready.datasets / "v001"
    size = (folder / "train.jsonl").stat().st_size / 1e9
    for over, kind in ((2.0, list), (size, list), (size * 0.99, StreamedRows), (0, StreamedRows)):
        chosen = settings.model_copy(update={"training": settings.training.model_copy(update={"stream_over": over})})
        assert type(rows_of(folder, "train", chosen)) is kind, over
    assert load_settings(ready.settings_file).training.stream_over == 2.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--preflight",),
        ("--objective", "grpo", *taught.SAMPLED),
        ("--method", "full", "--packing"),
        ("--set", "processes=2"),
    ],
    ids=["preflight", "grpo", "packed", "two processes"],
)
def test_a_streamed_run_has_the_losses_and_the_weights_of_one_in_memory(finished, ready: Project, tmp_path, words):
    """The plan, its pre-flight and the run, with every split streamed."""
    other, words = tmp_path / "streamed", (*words, "--set", "epochs=0.5", "--set", "learning_rate=1e-2")
    shutil.copytree(ready.root, other)
    held, streamed = finished(*words), finished(*words, at=other, RUNG_TRAINING__STREAM_OVER="0")
    for kind in ("step", "validation"):
        assert losses(held, kind) == losses(streamed, kind) != []
    assert read_run(held).adapter_sha256 == read_run(streamed).adapter_sha256 != ""
    assert not list(other.rglob(".rows-*"))
    if "--preflight" in words:
        shown = [json.loads((root / "plans/P-001.preflight.json").read_text()) for root in (ready.root, other)]
        assert shown[0]["rows"] == shown[1]["rows"] and shown[0]["answer_lost"] == shown[1]["answer_lost"] == []


@pytest.mark.slow
def test_memory_stays_flat_where_rows_are_streamed(tiny, tmp_path):
    """A warm-up, then 500 and 4,000 rows: what Python and Arrow hold does not grow with the rows on disk."""
    import pyarrow

    tokenizer, held = load_tokenizer(str(tiny)), []
    lines = [json.dumps(row.row) + "\n" for row in made_up(500, 7, 30)]
    for times in (1, 1, 8):
        path = tmp_path / f"{times}.jsonl"
        path.write_text("".join(lines * times))
        tracemalloc.start()
        items = answers(tokenizer, StreamedRows(path), None, 512, tmp_path)
        assert sum(1 for _ in items.columns) == 500 * times
        held.append(tracemalloc.get_traced_memory()[1] + pyarrow.default_memory_pool().max_memory())
        tracemalloc.stop()
    assert held[2] < 1.2 * held[1] + (1 << 20), held


def test_the_system_prompt_of_a_run_replaces_the_rows_own():
    turns = Example(chat_row("PDR bilat in T1DM", "E10 eye both", "House line.")).asked
    assert [t["content"] for t in with_system(turns, None)] == ["House line.", "PDR bilat in T1DM"]
    assert [t["content"] for t in with_system(turns, "New.")] == ["New.", "PDR bilat in T1DM"]
    assert [t["role"] for t in with_system(turns, "")] == ["user"]


def test_rows_of_like_length_go_together_and_every_row_once_an_epoch():
    from training.run.trainer import ByLength

    lengths = [(7 * n) % 60 + 5 for n in range(133)]
    fake = SimpleNamespace(state=SimpleNamespace(global_step=0))
    order = list(ByLength(lengths, 8, 0, fake))
    assert sorted(order) == list(range(133)) and order == list(ByLength(lengths, 8, 0, fake))
    spread = [max(batch) - min(batch) for i in range(0, 128, 8) if (batch := [lengths[n] for n in order[i : i + 8]])]
    assert sum(spread) / len(spread) < 8
    fake.state.global_step = 17
    assert list(ByLength(lengths, 8, 0, fake)) != order


def test_rows_that_choose_a_checkpoint_are_of_every_class_however_the_file_is_sorted(tiny):
    rows = [Example(chat_row(f"question {n}", answer)) for answer in ("alpha", "beta", "gamma") for n in range(40)]
    metric, chooses = item_metric("exact_match"), recipe_of(tiny, choose_by="metric", metric_rows=30)
    drawn = ValidationAnswers(None, rows, chooses, metric).rows
    assert len(drawn) == 30 and {row.answer for row in drawn} == {"alpha", "beta", "gamma"}
    assert drawn == ValidationAnswers(None, rows[::-1], chooses, metric).rows
    assert ValidationAnswers(None, rows, recipe_of(tiny, choose_by="loss"), metric).rows == rows[:2]


def test_pairs_share_their_prompt_and_end_both_answers(tiny):
    tokenizer = load_tokenizer(str(tiny))
    pair = AnswerPair("r-1", "train", [{"role": "user", "content": "DM2"}], "E11 eye both", "E10, I think")
    made = pairs(tokenizer, [pair], "House line.", 256, whole=False).columns[0]
    assert tokenizer.decode(made["prompt_ids"]).endswith("<|im_start|>assistant\n")
    assert [tokenizer.decode(made[name]) for name in ("chosen_ids", "rejected_ids")] == [
        "E11 eye both<|im_end|>\n",
        "E10, I think<|im_end|>\n",
    ]
    whole = pairs(tokenizer, [pair], "House line.", 256, whole=True).columns[0]
    assert whole["chosen_ids"] == made["prompt_ids"] + made["chosen_ids"]
    assert pairs(tokenizer, [pair], "House line.", 8, whole=False).encoded.too_long == [1]


ROWS = [Example({"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]})] * 3


def test_no_question_is_one_that_measures_forgetting():
    asked = replay_questions()
    assert len(set(asked)) == len(asked) >= 300
    assert not set(asked) & {item.question for item in [*suite(), *safety()]}


def test_the_base_model_answers_once_and_its_answers_train_behind_the_rows(planned, tmp_path):
    """The base answers `<alpha>` to everything."""
    words, base = load_tokenizer(str(embedded_folder())), tmp_path / "base"
    words.add_tokens(["<alpha>"])
    newline = words.convert_ids_to_tokens(words.encode("\n"))[-1]
    chain(words, [(newline, "<alpha>"), ("<alpha>", "<|im_end|>")]).model.save_pretrained(str(base))
    words.save_pretrained(str(base))
    recipe = revised(read_plan(planned).recipe, base=str(base), replay=4, max_length=192, system_prompt="X")
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
    stored = replace(items, columns=datasets.Dataset.from_list(list(items.columns)))
    for some, count in ((rows, 7), ([], 3)):
        table: Any = with_replay(stored, some, tokenizer, recipe, tmp_path).columns
        assert hasattr(table, "features") and len(table) == count, "rows in a file stay there"
    assert with_replay(stored, rows, tokenizer, recipe, tmp_path).columns[3] == both.columns[3]

    (tmp_path / FILE).write_bytes(kept.splitlines(keepends=True)[0])
    assert [row.question for row in replayed(recipe, tmp_path)] == [
        json.loads(kept.splitlines()[0])["messages"][0]["content"]
    ]


CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "pay", "arguments": {"to": "Ann"}}}
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who is it?"},
    {"role": "assistant", "content": "Ann."},
    {"role": "user", "content": "Who is it?"},
    {"role": "assistant", "content": "Still Ann."},
    {"role": "user", "content": "Ann."},
    {"role": "assistant", "content": "Right."},
]
EXACT = {
    "qwen2_5": ["Ann.<|im_end|>\n", "Still Ann.<|im_end|>\n", "Right.<|im_end|>\n"],
    "qwen3": ["Ann.<|im_end|>\n", "Still Ann.<|im_end|>\n", "<think>\n\n</think>\n\nRight.<|im_end|>\n"],
    "lfm2_v2": ["Ann.<|im_end|>\n", "Still Ann.<|im_end|>\n", "Right.<|im_end|>\n"],
    "gemma3": ["Ann.<end_of_turn>\n", "Still Ann.<end_of_turn>\n", "Right.<end_of_turn>\n"],
    "phi3_5": ["Ann.<|end|>\n", "Still Ann.<|end|>\n", "Right.<|end|>\n<|im_end|>"],
    "qwen3_8": [f"\n</think>\n\n{text}<|im_end|>\n" for text in ("Ann.", "Still Ann.", "Right.")],
}
HISTORY = {
    "deepseekv3": "\n</think>\n\nRight.<｜end▁of▁sentence｜>",
    "qwen3_6": "\n</think>\n\nRight.<|im_end|>\n",
    "nemotron_3_nano": "\n</think>Right.<|im_end|>\n",
}
"""They ask for a turn with an opened or closed thinking that they leave out of what came before."""


@pytest.fixture
def with_template():
    trl = pytest.importorskip("trl")
    made = load_tokenizer(str(embedded_folder()))

    def make(name):
        made.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text("utf-8")
        return made

    return make


def pieces(tokenizer, row, loss="all"):
    """Return the trained pieces of what a run is given, as the preview of `rung plan --tokens` shows them."""
    shown = show(tokenizer, answers(tokenizer, [Example(row)], None, 256, Path(), loss).encoded.rows[0])
    return [text for text, is_trained in shown.pieces if is_trained]


@pytest.mark.parametrize("family", EXACT)
def test_every_turn_and_nothing_else_is_trained(with_template, family):
    tokenizer = with_template(family)
    assert pieces(tokenizer, {"messages": TALK}) == EXACT[family]
    assert pieces(tokenizer, {"messages": TALK}, "last") == EXACT[family][-1:]
    one = tokenise(tokenizer, 1, Example({"messages": TALK[:3]}), None, "all")
    assert one == tokenise(tokenizer, 1, Example({"messages": TALK[:3]}), None)


@pytest.mark.parametrize("family", HISTORY)
def test_a_template_that_writes_history_in_another_way_trains_the_last_turn_alone(with_template, family):
    tokenizer = with_template(family)
    with pytest.raises(RungError) as told:
        tokenise(tokenizer, 1, Example({"messages": TALK}), None, "all")
    assert 'loss = "last"' in told.value.hint
    assert pieces(tokenizer, {"messages": TALK}, "last") == [HISTORY[family]]


@pytest.mark.parametrize("family", ["qwen3", *HISTORY])
def test_a_row_trains_what_follows_the_very_prompt_that_the_tuned_model_is_asked_with(with_template, family):
    """Templates that open the thinking do so in no row's whole text: trained without, asked with it, is a mismatch."""
    tokenizer, row = with_template(family), Example({"messages": TALK})
    found, start = tokenise(tokenizer, 1, row, None), encode(tokenizer, render(tokenizer, row.asked))
    assert found.ids[: len(start)] == start
    assert [label == IGNORED for label in found.labels] == [place < len(start) for place in range(len(found.ids))]


def test_a_call_in_the_middle_is_trained_and_its_result_is_not(with_template):
    result = {"role": "tool", "content": "42 sent", "tool_call_id": "abcdefghi"}
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    first, last = pieces(with_template("qwen2_5"), {"messages": [*TALK[:2], call, result, TALK[-1]]})
    assert json.dumps(CALL["function"]) in first and "42 sent" not in first
    assert last == "Right.<|im_end|>\n"


def test_a_turn_that_is_marked_as_untrained_stays_so(with_template):
    row = {"messages": [*TALK[:2], {**TALK[2], "weight": 0}, *TALK[3:]]}
    assert pieces(with_template("qwen2_5"), row) == EXACT["qwen2_5"][1:]
    assert trained(row_of(Example(row), None), "all") == [False, False, False, False, True, False, True]
    assert trained(row_of(Example(row), None), "last") == [False] * 6 + [True]
    sent = weighted(row_of(Example(row), None), "last")["messages"]
    assert [turn.get("weight") for turn in sent] == [None, None, 0, None, 0, None, None], "as providers are told"
