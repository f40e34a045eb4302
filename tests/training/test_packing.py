"""Packed rows: several in one sequence, and none of them sees another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.example import Example, chat_row


def many(count: int) -> list[Example]:
    return [Example(chat_row(" ".join(["word"] * (1 + n % 7)), f"E1{n % 4} eye both")) for n in range(count)]


def packing_trainer(tiny: Path, folder: Path) -> Any:
    """A trainer of packed rows; building it has checked that the rows are seen apart."""
    from evaluation.metrics.item_metrics import item_metric
    from training.plan.recipe import Recipe
    from training.run.base_model import load_base, load_tokenizer
    from training.run.building import build
    from training.run.inputs import answers
    from training.run.validation_answers import ValidationAnswers

    recipe = Recipe(
        base=str(tiny), method="lora", rank=4, alpha=8, learning_rate=1e-2, batch=4, epochs=1, steps=4, max_length=256,
        packing=True, attention="rung_rows", precision="fp32",
    )  # fmt: skip
    tokenizer, metric = load_tokenizer(str(tiny)), item_metric("exact_match")
    items = answers(tokenizer, many(8), None, 256, folder)
    sampler = ValidationAnswers(tokenizer, many(2), recipe, metric)
    return build(load_base(recipe), sampler, (items, items), precision="fp32", folder=folder)


def test_packed_and_unpacked_rows_have_the_same_loss_and_gradients(tiny: Path, tmp_path: Path) -> None:
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    made = packing_trainer(tiny, tmp_path)
    rows = [made.train_dataset[place] for place in range(6)]
    seen = []
    for collate in (made.data_collator, DataCollatorForLanguageModeling(pad_token_id=2)):
        made.model.eval()
        losses, row = made.answer_losses(made.model, collate(rows))
        losses.mean().backward()
        grads = torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None])
        made.model.zero_grad()
        seen.append((losses.tolist(), row.tolist(), grads))
    assert seen[0][0] == pytest.approx(seen[1][0], rel=1e-5) and seen[0][1] == seen[1][1]
    assert torch.allclose(seen[0][2], seen[1][2], rtol=1e-3, atol=1e-6)


def test_rows_that_see_each_other_are_found_out(tiny: Path, tmp_path: Path) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from training.run.packing import check_apart
    from workspace.errors import Refusal

    made = packing_trainer(tiny, tmp_path)
    apart = made.data_collator

    def one_row(rows: Any) -> Any:
        whole = apart(rows)
        return {name: whole[name] for name in ("input_ids", "labels")}

    made.data_collator = one_row
    with pytest.raises(Refusal, match="does not keep packed rows apart"):
        check_apart(made, DataCollatorForLanguageModeling(pad_token_id=2))
