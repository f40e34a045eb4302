"""A trained reward model that scores answers. Imports torch: only the process that trains comes here."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chat.local.load import adapter_weights
from training.plan.objective import answered, is_run, reward_run
from training.plan.plans import read_plan
from training.plan.recipe import Recipe
from training.run.base_model import load_base, load_tokenizer
from training.run.tokens import tokenise
from workspace.artefact import revised
from workspace.folder import Project

BATCH = 16


class RewardModel:
    """Scores whole rows, rendered as the model was trained on them; higher is better, in no unit."""

    def __init__(self, model: Any, tokenizer: Any, system_prompt: str | None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.system_prompt = system_prompt

    def scores(self, questions: Sequence[str], answers: Sequence[str]) -> list[float]:
        """Return a score for each answer; `questions` are JSON of the turns before it, with its tools."""
        found: list[float] = []
        for start in range(0, len(answers), BATCH):
            found += self._batch(questions[start : start + BATCH], answers[start : start + BATCH])
        return found

    def _batch(self, questions: Sequence[str], answers: Sequence[str]) -> list[float]:
        import torch

        rows = []
        for asked, answer in zip(map(json.loads, questions), answers, strict=True):
            row = answered(asked["turns"], answer, asked["tools"])
            rows.append(tokenise(self.tokenizer, 0, row, self.system_prompt).ids)
        width = max(len(ids) for ids in rows)
        pad = self.tokenizer.pad_token_id
        device = self.model.device
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
        with torch.no_grad():
            logits = self.model(input_ids=ids, attention_mask=mask).logits
        return [float(score) for score in logits[:, 0]]


def reward_model_of(project: Project, recipe: Recipe) -> RewardModel | None:
    """Return the reward model that the recipe names; None if its reward is a metric."""
    if not is_run(recipe.reward):
        return None
    run = reward_run(project, recipe.reward)
    trained = read_plan(project.runs / run.id / "plan.toml").recipe
    folder = str(project.runs / run.adapter)
    if trained.method == "full":
        model = load_base(revised(trained, base=folder))
    else:
        from peft import PeftModel

        adapter_weights(Path(folder))
        model = PeftModel.from_pretrained(load_base(trained), folder, local_files_only=True)
    return RewardModel(model, load_tokenizer(run.base), trained.system_prompt)
