"""The pieces of a run: what is trained, in which order, what it costs, and when it should end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from curation.example import Example, chat_row
from evaluation.metrics.item_metrics import item_metric
from training.plan.recipe import Recipe
from training.run.tokens import IGNORED, encode, tokenise, with_system
from training.run.validation_answers import ValidationAnswers

ROWS = [
    Example(chat_row("PDR bilat in T1DM", "E10 eye both", "House line.")),
    Example(chat_row("DM2", "E11 none none")),
    Example(
        {
            "messages": [
                {"role": "user", "content": "One?"},
                {"role": "assistant", "content": "Two."},
                {"role": "user", "content": "Three?"},
                {"role": "assistant", "content": "Four, five."},
            ]
        }
    ),
]


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    from training.run.base_model import load_tokenizer

    return load_tokenizer(str(tiny))


def recipe(tiny: Path, **values: Any) -> Recipe:
    usual = {"base": str(tiny), "method": "lora", "rank": 4, "alpha": 8, "learning_rate": 1e-2, "batch": 4}
    return Recipe(**{**usual, "epochs": 1, "steps": 4, "max_length": 256, **values})


def trainer(kind: Any, tiny: Path, rows: list[Example], tmp_path: Path, made: Recipe | None = None, **more: Any) -> Any:
    from datasets import Dataset
    from trl import SFTConfig

    from training.run.base_model import load_base, load_tokenizer
    from training.run.building import adapter_config

    made = made or recipe(tiny)
    tokenizer = load_tokenizer(str(tiny))
    table = [{"input_ids": t.ids, "labels": t.labels} for t in encode(tokenizer, rows, None, 256).rows]
    config = SFTConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", seed=0, disable_tqdm=True,
        per_device_train_batch_size=made.batch, gradient_accumulation_steps=made.accumulation, logging_steps=1,
        learning_rate=made.learning_rate, max_length=None, save_strategy="no", **{"num_train_epochs": 1, **more},
    )  # fmt: skip
    return kind(
        model=load_base(made),
        args=config,
        train_dataset=Dataset.from_list(table),
        eval_dataset=Dataset.from_list(table),
        processing_class=tokenizer,
        peft_config=adapter_config(made),
    )


def test_rows_are_tokenised_and_masked_as_trl_does(tokenizer: Any, tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from training.run.base_model import load_base

    table = [{"prompt": [dict(m) for m in r.asked], "completion": [dict(r.messages[-1])]} for r in ROWS]
    theirs = SFTTrainer(
        model=load_base(recipe(tiny)),
        args=SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none"),
        train_dataset=Dataset.from_list(table),
        processing_class=tokenizer,
    ).train_dataset
    ours = [tokenise(tokenizer, number, row, None) for number, row in enumerate(ROWS, 1)]
    assert [t.ids for t in ours] == theirs["input_ids"]
    assert [t.labels for t in ours] == theirs["labels"]


def test_only_the_last_answer_and_its_end_are_trained(tokenizer: Any) -> None:
    tokens = tokenise(tokenizer, 1, ROWS[2], "Be short.")
    trained = tokenizer.decode([i for i, label in zip(tokens.ids, tokens.labels, strict=True) if label != IGNORED])
    assert trained == "Four, five.<|im_end|>\n"


def test_the_system_prompt_of_a_run_replaces_the_rows_own() -> None:
    turns = ROWS[0].asked
    assert [t["content"] for t in with_system(turns, None)] == ["House line.", "PDR bilat in T1DM"]
    assert [t["content"] for t in with_system(turns, "New.")] == ["New.", "PDR bilat in T1DM"]
    assert [t["role"] for t in with_system(turns, "")] == ["user"]


def test_rows_that_are_too_long_are_left_out_whole_and_listed(tokenizer: Any) -> None:
    found = encode(tokenizer, ROWS, None, len(tokenise(tokenizer, 1, ROWS[0], None).ids))
    assert found.too_long == [2, 3] or found.too_long == [3]
    assert all(t.labels[-2] == tokenizer.eos_token_id for t in found.rows)


def many(count: int) -> list[Example]:
    return [Example(chat_row(" ".join(["word"] * (1 + n % 7)), f"E1{n % 4} eye both")) for n in range(count)]


def test_loss_and_gradients_are_those_of_plain_trl(tiny: Path, tmp_path: Path) -> None:
    import torch
    from trl import SFTTrainer

    from training.run.trainer import AnswerTrainer

    seen = []
    for kind in (SFTTrainer, AnswerTrainer):
        made = trainer(kind, tiny, many(8), tmp_path)
        batch = next(iter(made.get_eval_dataloader()))
        made.model.train()
        loss = made.compute_loss(made.model, dict(batch))
        loss.backward()
        grads = torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None])
        seen.append((float(loss), grads))
    assert seen[0][0] == pytest.approx(seen[1][0], rel=1e-5)
    assert torch.allclose(seen[0][1], seen[1][1], rtol=1e-3, atol=1e-6)


def test_eight_rows_at_once_and_four_by_two_make_the_same_step(tiny: Path, tmp_path: Path) -> None:
    from training.run.trainer import AnswerTrainer

    seen = []
    for batch, accumulation in ((8, 1), (4, 2)):
        shaped = recipe(tiny, batch=batch, accumulation=accumulation)
        made = trainer(AnswerTrainer, tiny, many(16), tmp_path, shaped)
        made.train()
        seen.append([line["loss"] for line in made.state.log_history if "loss" in line])
    assert seen[0] == pytest.approx(seen[1], rel=1e-4)


def test_rows_of_like_length_go_together_and_every_row_once_an_epoch() -> None:
    from training.run.trainer import ByLength

    lengths = [(7 * n) % 60 + 5 for n in range(133)]
    fake: Any = SimpleNamespace(state=SimpleNamespace(global_step=0))
    order = list(ByLength(lengths, 8, 0, fake))
    assert sorted(order) == list(range(133)) and order == list(ByLength(lengths, 8, 0, fake))
    spread = [max(batch) - min(batch) for i in range(0, 128, 8) if (batch := [lengths[n] for n in order[i : i + 8]])]
    assert sum(spread) / len(spread) < 8
    fake.state.global_step = 17
    assert list(ByLength(lengths, 8, 0, fake)) != order


def test_two_checks_in_a_row_above_the_best_by_more_than_its_error_are_counted() -> None:
    from training.run.reporting import standing

    def history(*values: float) -> list[dict[str, float]]:
        return [{"eval_loss": v, "eval_error": 0.05, "step": n} for n, v in enumerate(values, 1)]

    assert standing([]) == ({}, 0)
    assert standing(history(1.0, 0.8, 0.84, 0.86))[1] == 1
    best, above = standing(history(1.0, 0.8, 0.9, 0.95))
    assert (best["step"], above) == (2, 2)
    assert standing(history(1.0, 0.8, 0.9, 0.84, 0.9))[1] == 1


def test_a_half_written_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    from training.run.checkpoints import mark_complete, newest_checkpoint

    for step in (3, 6, 9):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"x" * step)
        if step != 9:
            mark_complete(folder)
    (tmp_path / "checkpoint-6" / "weights").write_bytes(b"x")
    found = newest_checkpoint(tmp_path)
    assert found is not None and found.name == "checkpoint-3"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_rows_that_choose_a_checkpoint_are_of_every_class_however_the_file_is_sorted(tiny: Path) -> None:
    rows = [Example(chat_row(f"question {n}", answer)) for answer in ("alpha", "beta", "gamma") for n in range(40)]
    metric, chooses = item_metric("exact_match"), recipe(tiny, choose_by="metric", metric_rows=30)
    drawn = ValidationAnswers(None, rows, chooses, metric).rows
    assert len(drawn) == 30 and {row.answer for row in drawn} == {"alpha", "beta", "gamma"}
    assert drawn == ValidationAnswers(None, rows[::-1], chooses, metric).rows
    assert ValidationAnswers(None, rows, recipe(tiny, choose_by="loss"), metric).rows == rows[:2]


@pytest.mark.parametrize(
    ("template", "trained"),
    [
        ("qwen3", "<think>\n\n</think>\n\nE11 none none<|im_end|>\n"),
        ("qwen3_6", "\n</think>\n\nE11 none none<|im_end|>\n"),
        ("deepseek_r1_distill", "\n</think>\n\nE11 none none<｜end▁of▁sentence｜>"),
        ("nemotron_3_nano", "\n</think>E11 none none<|im_end|>\n"),
    ],
)
def test_a_row_trains_what_follows_the_very_prompt_that_the_tuned_model_is_asked_with(
    tiny: Path, template: str, trained: str
) -> None:
    """Templates that open the thinking do so in no row's whole text: trained without, asked with it, is a mismatch."""
    import trl

    from chat.local.prompt import encode as encode_text
    from chat.local.prompt import render
    from training.run.base_model import load_tokenizer

    words = load_tokenizer(str(tiny))
    words.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja").read_text()
    found = tokenise(words, 1, ROWS[1], None)
    start = encode_text(words, render(words, ROWS[1].asked))
    assert found.ids[: len(start)] == start and set(found.labels[: len(start)]) == {IGNORED}
    assert words.decode(found.labels[len(start) :]) == trained
