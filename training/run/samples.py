"""What the model answers to a few validation rows while it trains."""

from __future__ import annotations

from typing import Any

from chat.local.prompt import encode, render
from curation.example import Example
from training.recipe import Recipe
from training.run.rows import with_system

COUNT = 2
LIMIT = 48


class Sampler:
    """Greedy answers to the first COUNT validation rows. `trainer` is set once it is built."""

    def __init__(self, tokenizer: Any, rows: list[Example], recipe: Recipe) -> None:
        self.tokenizer = tokenizer
        self.rows = rows[:COUNT]
        self.recipe = recipe
        self.trainer: Any = None

    def outputs(self) -> list[dict[str, Any]]:
        """`{"question", "expected", "output", "right"}` for each row; the random state stays as it is."""
        import torch

        model = self.trainer.model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                return [self._one(model, row) for row in self.rows]
        finally:
            model.train(was_training)

    def _one(self, model: Any, row: Example) -> dict[str, Any]:
        import torch

        turns = with_system(row.asked, self.recipe.system_prompt)
        ids = encode(self.tokenizer, render(self.tokenizer, turns, row.row.get("tools")))
        expected = row.answer or ""
        limit = min(LIMIT, len(encode(self.tokenizer, expected)) + 4)
        given = torch.tensor([ids], device=model.device)
        found = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        output = self.tokenizer.decode(found[0][len(ids) :], skip_special_tokens=True).strip()
        question = row.question[-200:]
        return {"question": question, "expected": expected, "output": output, "right": output == expected.strip()}
