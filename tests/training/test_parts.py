"""The pieces of a run: what is trained, in which order, what it costs, and when it should end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from curation.example import Example, chat_row
from training.machine import Machine
from training.plan import Plan, find_plan, read_plan, write_plan
from training.planning import make_plan
from training.recipe import Recipe
from training.record import append_metric, curve
from training.run.rows import IGNORED, encode, tokenise, with_system
from workspace.errors import InputError, Refusal, RungError
from workspace.folder import Project
from workspace.settings import load_settings

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
    from training.run.model import load_tokenizer

    return load_tokenizer(str(tiny))


def recipe(tiny: Path, **values: Any) -> Recipe:
    usual = {"base": str(tiny), "method": "lora", "rank": 4, "alpha": 8, "learning_rate": 1e-2, "batch": 4}
    return Recipe(**{**usual, "epochs": 1, "steps": 4, "max_length": 256, **values})


def trainer(kind: Any, tiny: Path, rows: list[Example], tmp_path: Path, made: Recipe | None = None, **more: Any) -> Any:
    from datasets import Dataset
    from trl import SFTConfig

    from training.run.adapter import adapter_config
    from training.run.model import load_base, load_tokenizer

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

    from training.run.model import load_base

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
    from training.run.watch import standing

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


# --- the plan -----------------------------------------------------------------------------------------------------


class Words:
    """A tokenizer that counts words."""

    def count(self, text: str) -> int:
        return len(text.split())

    def render(self, turns: Any) -> str:
        return " ".join(str(turn["content"]) for turn in turns)


OF_OTHERS = {
    "virtual_tokens",
    "beta",
    "signals",
    "reward",
    "generations",
    "answer_tokens",
    "temperature",
    "metric_rows",
}
"""Values of other methods and objectives than this plan's."""


def plan_of(project: Project, machine: Machine | None = None, **variables: str) -> Plan:
    settings = load_settings(project.settings_file, variables)
    return make_plan(project, settings, Words(), machine=machine)


def test_every_value_has_a_reason_and_steps_follow_from_the_rows(ready: Project) -> None:
    plan = plan_of(ready)
    told = set(plan.because) | {"base", "seed", "threads", "report_to", "accumulation", "precision", *OF_OTHERS}
    assert set(Recipe.model_fields) - told == {"checkpointing"}
    assert plan.recipe.steps == 2 * math.ceil(plan.data.train / 4)
    assert plan.because["rank"].by == "person" and plan.because["dropout"].source
    assert any("outside 8 to 64" in note for note in plan.notes)


def test_the_rate_follows_the_width_of_the_model_where_nobody_sets_it(ready: Project) -> None:
    toml = ready.settings_file
    toml.write_text(toml.read_text().replace("learning_rate = 1e-3\n", "").replace("rank = 4\n", ""))
    plan = plan_of(ready)
    assert plan.recipe.learning_rate == pytest.approx(5e-4 * (2000 / 576) ** 0.781, rel=0.05)
    assert (plan.recipe.rank, plan.recipe.alpha, plan.recipe.scale) == (16, 32, 2.0)


def test_a_high_rank_is_rank_stabilised(ready: Project) -> None:
    made = plan_of(ready, RUNG_TRAINING__RANK="64").recipe
    assert made.rslora and made.alpha == 32 and made.scale == 4.0


def test_what_does_not_fit_is_made_smaller_before_it_is_refused(ready: Project) -> None:
    whole = plan_of(ready, Machine(64.0, 2), RUNG_TRAINING__BATCH="16").recipe
    assert (whole.batch, whole.accumulation, whole.checkpointing) == (16, 1, False)
    small = plan_of(ready, Machine(0.75, 2), RUNG_TRAINING__BATCH="16").recipe
    assert small.batch * small.accumulation == 16 and small.batch < 16
    assert small.steps == whole.steps


def test_rows_over_a_limit_that_a_person_sets_are_named(ready: Project) -> None:
    plan = plan_of(ready, RUNG_TRAINING__MAX_LENGTH="14")
    assert plan.data.left_out and "left out: train line" in plan.notes[-1]
    with pytest.raises(Refusal, match="No row is within"):
        plan_of(ready, RUNG_TRAINING__MAX_LENGTH="8")


def test_a_plan_comes_back_as_it_was_written(ready: Project, planned: Path) -> None:
    plan = read_plan(planned)
    write_plan(ready.plans / "again.toml", plan)
    assert read_plan(ready.plans / "again.toml") == plan


def test_the_same_plan_is_kept_once(ready: Project, replan: Callable[[], Path]) -> None:
    assert replan() == replan()
    ready.settings_file.write_text(ready.settings_file.read_text().replace("rank = 4", "rank = 8"))
    assert replan().name == "P-002.toml"


def test_all_that_is_wrong_with_a_plan_is_said_at_once(planned: Path) -> None:
    planned.write_text(planned.read_text().replace("rank = 4", "rnak = 4").replace("batch = 4", "batch = 0"))
    with pytest.raises(InputError) as refused:
        read_plan(planned)
    assert len(refused.value.problems) == 2 and 'Did you mean "rank"?' in str(refused.value)


def test_a_misspelt_plan_is_named(ready: Project, planned: Path) -> None:
    with pytest.raises(RungError, match='Did you mean "P-001"'):
        find_plan(ready, "P-01")


def test_without_advice_or_dataset_there_is_no_plan(ready: Project) -> None:
    import shutil

    shutil.rmtree(ready.datasets)
    with pytest.raises(Refusal, match="no frozen dataset"):
        plan_of(ready)
    ready.decision_file.unlink()
    with pytest.raises(Refusal, match="no advice yet"):
        plan_of(ready)


def test_plan_as_json_holds_gates_and_values(rung: Any) -> None:
    done = rung("plan", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["gates"][0]["name"] == "decision"
    assert document["recipe"]["rank"] == 4 and document["because"]["targets"]["source"]


def test_half_a_line_of_the_log_costs_only_itself(tmp_path: Path) -> None:
    append_metric(tmp_path, {"kind": "step", "step": 1, "loss": 2.0})
    with (tmp_path / "metrics.jsonl").open("ab") as log:
        log.write(b'{"kind": "step", "st')
    append_metric(tmp_path, {"kind": "step", "step": 3, "loss": 1.0})
    assert [line["step"] for line in curve(tmp_path)] == [1, 3]
