"""The pieces of a run: loading, what is trained, in which order, what it costs, when it ends and why it could not."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from later import torch

from curation.example import Example, chat_row
from evaluation.metrics.item_metrics import item_metric
from training.plan.plans import read_plan
from training.plan.recipe import Recipe
from training.run.base_model import BF16, choose_precision
from training.run.failures import sentence
from training.run.inputs import answers
from training.run.tokens import IGNORED, tokenise, with_system
from training.run.validation_answers import ValidationAnswers
from workspace.artefact import revised
from workspace.errors import Refusal

ROWS = [
    Example(chat_row("PDR bilat in T1DM", "E10 eye both", "House line.")),
    Example(chat_row("DM2", "E11 none none")),
]


def recipe(tiny, **values) -> Recipe:
    usual = {"base": str(tiny), "method": "lora", "rank": 4, "alpha": 8, "learning_rate": 1e-2, "batch": 4}
    return Recipe(**{**usual, "epochs": 1, "steps": 4, "max_length": 256, **values})


def test_the_system_prompt_of_a_run_replaces_the_rows_own():
    turns = ROWS[0].asked
    assert [t["content"] for t in with_system(turns, None)] == ["House line.", "PDR bilat in T1DM"]
    assert [t["content"] for t in with_system(turns, "New.")] == ["New.", "PDR bilat in T1DM"]
    assert [t["role"] for t in with_system(turns, "")] == ["user"]


def many(count) -> list[Example]:
    return [Example(chat_row(" ".join(["word"] * (1 + n % 7)), f"E1{n % 4} eye both")) for n in range(count)]


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


def test_two_checks_in_a_row_above_the_best_by_more_than_its_error_are_counted():
    from training.run.reporting import standing

    def history(*values):
        return [{"eval_loss": v, "eval_error": 0.05, "step": n} for n, v in enumerate(values, 1)]

    assert standing([]) == ({}, 0)
    assert standing(history(1.0, 0.8, 0.84, 0.86))[1] == 1
    best, above = standing(history(1.0, 0.8, 0.9, 0.95))
    assert (best["step"], above) == (2, 2)
    assert standing(history(1.0, 0.8, 0.9, 0.84, 0.9))[1] == 1


def test_a_half_written_checkpoint_is_not_gone_on_from(tmp_path):
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


def test_rows_that_choose_a_checkpoint_are_of_every_class_however_the_file_is_sorted(tiny):
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
def test_a_row_trains_what_follows_the_very_prompt_that_the_tuned_model_is_asked_with(tiny, template, trained):
    """Templates that open the thinking do so in no row's whole text: trained without, asked with it, is a mismatch."""
    import trl

    from chat.local.prompt import encode, render
    from training.run.base_model import load_tokenizer

    words = load_tokenizer(str(tiny))
    words.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja").read_text()
    found = tokenise(words, 1, ROWS[1], None)
    start = encode(words, render(words, ROWS[1].asked))
    assert found.ids[: len(start)] == start and set(found.labels[: len(start)]) == {IGNORED}
    assert words.decode(found.labels[len(start) :]) == trained


TORCH = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.99 GiB of which 1.39 GiB is "
    "free. Including non-PyTorch memory, this process has 22.60 GiB memory in use. Of the allocated memory 21.90 GiB "
    "is allocated by PyTorch, and 312.50 MiB is reserved by PyTorch but unallocated."
)
"""As torch 2.8 words it."""


@pytest.mark.parametrize(
    ("error", "figures"),
    [
        (TORCH, ["25.1", "23.99", "24GB"]),
        (TORCH.replace("2.50 GiB", "512.00 MiB"), ["23.1", "23.99", "24GB"]),
        (TORCH.replace("Including", "Process 4711 has 3.00 GiB memory in use. Including"), ["25.1", "23.99", "24GB"]),
        (TORCH.replace("Including non-PyTorch memory, this process", "Process 4711"), ["24.4", "23.99", "24GB"]),
        ("DefaultCPUAllocator: out of memory", []),
        ("", []),
    ],
)
def test_a_full_memory_is_told_with_what_was_needed_and_what_there_is(error, figures, tmp_path, planned):
    """The card's memory held by others is not what the run needed; the plan that was wrong is named."""
    told = sentence(RuntimeError(error) if error else MemoryError(), tmp_path)
    assert "memory" in told and re.findall(r"[\d.]*\d(?:GB)?", told) == figures
    if figures:
        shutil.copy(planned, tmp_path / "plan.toml")
        expected = f"{read_plan(planned).forecast.expected:.1f}"
        assert expected in sentence(RuntimeError(error), tmp_path) and expected not in told


def test_packed_rows_have_the_loss_and_gradients_of_plain_ones_and_rows_that_see_each_other_are_found_out(
    tiny, tmp_path
):
    """Those of transformers: the same for rows one by one, packed, and in steps of two halves."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from training.run.base_model import load_base, load_tokenizer
    from training.run.building import build
    from training.run.packing import check_apart

    packed = recipe(tiny, packing=True, attention="rung_rows", precision="fp32")
    tokenizer, metric = load_tokenizer(str(tiny)), item_metric("exact_match")
    items = answers(tokenizer, many(8), None, 256, tmp_path)
    sampler = ValidationAnswers(tokenizer, many(2), packed, metric)
    made = build(load_base(packed), sampler, (items, items), precision="fp32", folder=tmp_path)
    rows = [made.train_dataset[place] for place in range(6)]
    apart, unpacked = made.data_collator, DataCollatorForLanguageModeling(pad_token_id=2)
    made.model.eval()

    def step(losses) -> tuple[float, torch.Tensor]:
        """Return a loss and the gradients that it gives."""
        loss = sum(losses)
        loss.backward()
        grads = torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None])
        made.model.zero_grad()
        return loss.item(), grads

    plain, grads = step([made.model(**unpacked(rows)).loss])
    trained = sum(label != IGNORED for row in rows for label in row["labels"][1:])
    whole = [made.compute_loss(made.model, collate(rows)) for collate in (apart, unpacked)]
    halves = [made.compute_loss(made.model, apart(half), num_items_in_batch=trained) for half in (rows[:2], rows[2:])]
    for losses in (whole[:1], whole[1:], halves):
        loss, own = step(losses)
        assert loss == pytest.approx(plain, rel=1e-5) and torch.allclose(own, grads, rtol=1e-3, atol=1e-6)
    assert made.model_accepts_loss_kwargs, "so the trainer counts a whole step for each half"
    belongs = [made.answer_losses(made.model, collate(rows))[1].tolist() for collate in (apart, unpacked)]
    assert belongs[0] == belongs[1]
    made.data_collator = lambda rows: {name: apart(rows)[name] for name in ("input_ids", "labels")}  # as one row
    with pytest.raises(Refusal, match="packed"):
        check_apart(made, unpacked)


def test_the_plan_decides_the_precision_or_the_machine_does():
    made = recipe(Path("embedded"), batch=2, steps=2, max_length=16)
    assert choose_precision(revised(made, precision="fp32")) == ("fp32", "as the plan says")
    if not torch.cuda.is_available():
        knows = any(word in Path("/proc/cpuinfo").read_text().split() for word in BF16)
        assert choose_precision(made)[0] == ("bf16" if knows else "fp32")
        assert choose_precision(revised(made, quantisation="nf4"))[0] == "fp32"
