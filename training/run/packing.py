"""Packed rows: several in one line without padding, each seen by itself.

The attention is of variable length: it runs once for each row of the line, on that row alone. A mask would hold the
rows apart as well, but costs the square of the whole line.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from training.plan.recipe import ROW_BY_ROW
from training.run.tokens import IGNORED
from workspace.errors import Refusal

CHECKED = 4
AGREE = {4: 1e-3, 2: 0.1}
"""Largest difference of a token's loss, packed and unpacked, that rounding may make, by bytes of a weight."""


def register() -> None:
    """Make the attention known to transformers under its name; a model is loaded with it by name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(ROW_BY_ROW, row_by_row)
    AttentionMaskInterface.register(ROW_BY_ROW, sdpa_mask)


def row_by_row(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, row_lengths: Any = None, **options: Any
) -> tuple[Any, None]:
    """Scaled dot-product attention within each row of a line; without `row_lengths` as usual.

    query, key, value: 1 x heads x tokens x width; result: 1 x tokens x heads x width.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if row_lengths is None:
        found: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return found
    sizes = list(row_lengths)
    window = options.get("sliding_window")
    if window is not None and max(sizes) > window:
        raise Refusal(f"Packing: rows over the model's window of {window} tokens.", "[training] packing = false")
    parts = zip(*(part.split(sizes, dim=2) for part in (query, key, value)), strict=True)
    rows = [sdpa_attention_forward(module, q, k, v, None, **options)[0] for q, k, v in parts]
    return torch.cat(rows, dim=1), None


class Pack:
    """Collates rows into one line: ids and labels end to end, positions that start again with each row."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, object]:
        """`row_lengths` are the rows' tokens. A row's first label is never trained: it has nothing before it."""
        import torch

        lengths = [len(row["input_ids"]) for row in rows]
        labels = [label for row in rows for label in (IGNORED, *row["labels"][1:])]
        return {
            "input_ids": torch.tensor([[token for row in rows for token in row["input_ids"]]]),
            "labels": torch.tensor([labels]),
            "position_ids": torch.tensor([[place for length in lengths for place in range(length)]]),
            "row_lengths": lengths,
        }


def row_of(lengths: Sequence[int], places: Any) -> Any:
    """Return the row that each place of a line belongs to."""
    import torch

    ends = torch.tensor(list(lengths)).cumsum(0).to(places.device)
    return torch.bucketize(places, ends, right=True)


def check_apart(trainer: Any, unpacked: Any) -> float:
    """Demand that the longest rows, packed, have the losses of the same rows unpacked; returns the largest difference.

    `unpacked` collates with padding. Raises Refusal if this model's code does not keep packed rows apart.
    """
    import torch

    order = sorted(range(len(trainer.train_dataset)), key=lambda place: -len(trainer.train_dataset[place]["labels"]))
    rows = [trainer.train_dataset[place] for place in order[:CHECKED]]
    trainer.model.eval()
    with torch.no_grad():
        packed, alone = (
            trainer.answer_losses(trainer.model, trainer._prepare_inputs(collate(rows)))[0]
            for collate in (trainer.data_collator, unpacked)
        )
    trainer.model.train()
    difference = float((packed - alone).abs().max())
    if not difference <= AGREE[trainer.model.dtype.itemsize]:
        raise Refusal(
            f"Packing: this model does not keep packed rows apart (a token's loss differs by {difference:.2g}).",
            "[training] packing = false",
        )
    return difference
