"""Answers to validation rows during training, scored by the metric of the project or a trained reward model."""

import json
from collections.abc import Sequence
from heapq import nsmallest
from pathlib import Path
from typing import Any, TypedDict

from chat.local.load import adapter_weights
from chat.local.prompt import encode, read_answer, render
from curation.example import Example
from evaluation.metrics.item_metrics import ItemMetric
from training.plan.objective import answered, is_run, reward_run
from training.plan.plans import read_plan
from training.plan.recipe import VIRTUAL, Recipe
from training.run.base_model import load_base, load_tokenizer
from training.run.inputs import question_of
from training.run.processes import all_of, in_turn
from training.run.tokens import tokenise, with_system
from workspace.artefact import revised
from workspace.folder import Project

COUNT = 2
"""Answers that are shown at each check."""
LIMIT = 48
CALL_LIMIT = 256
"""Most tokens of an answer, and of one that is to call tools."""
BATCH = 16


class ValidationAnswer(TypedDict):
    """An answer to a validation row, as metrics.jsonl holds it."""

    question: str
    expected: str
    output: str
    right: bool
    score: float


class ValidationAnswers:
    """Greedy answers to validation rows: the first COUNT, to show them, or as many as the checkpoint is chosen by.

    Those are drawn by their content, since a file that is sorted by class begins with one class.
    `trainer` is set once it is built. The answers of one step are given once; the random state stays as it is.
    """

    def __init__(self, tokenizer: Any, rows: Sequence[Example], recipe: Recipe, metric: ItemMetric) -> None:
        self.tokenizer = tokenizer
        self.chooses = recipe.choose_by == "metric"
        most = max(COUNT, recipe.metric_rows)
        self.rows = nsmallest(most, rows, key=lambda row: row.content_hash) if self.chooses else list(rows[:COUNT])
        self.recipe = recipe
        self.metric = metric
        self.trainer: Any = None
        self._given: tuple[int, list[ValidationAnswer]] = (-1, [])

    def shown(self) -> list[ValidationAnswer]:
        """Return the answers to the rows that are shown."""
        return [] if self.recipe.objective == "reward" else self.answers()[:COUNT]

    def score(self) -> float | None:
        """Return the mean score of all rows, where the checkpoint is chosen by it."""
        return sum(self.scores()) / len(self.rows) if self.chooses and self.rows else None

    def scores(self) -> list[float]:
        """Return the score of each row."""
        return [float(answer["score"]) for answer in self.answers()]

    def given(self) -> tuple[list[str], list[str]]:
        """Return the questions as a reward model is shown them, and the answers to them at this step."""
        return [question_of(row) for row in self.rows], [str(answer["output"]) for answer in self.answers()]

    def answers(self) -> list[ValidationAnswer]:
        """Return the answer to each row at this step."""
        step = int(self.trainer.state.global_step)
        if self._given[0] != step:
            self._given = (step, self._answer())
        return self._given[1]

    def _answer(self) -> list[ValidationAnswer]:
        import torch

        model = self.trainer.model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                rows = self.rows[self.trainer.args.process_index :: self.trainer.args.world_size]
                outputs = self._outputs(model, rows)
                mine = [self._judged(row, text) for row, text in zip(rows, outputs, strict=True)]
                return in_turn(all_of(mine))
        finally:
            model.train(was_training)

    def _outputs(self, model: Any, rows: Sequence[Example]) -> list[str]:
        """Answer in batches of similar length; virtual tokens are added for one row at a time."""
        turns = [with_system(row.asked, self.recipe.system_prompt) for row in rows]
        texts = [render(self.tokenizer, asked, row.row.get("tools")) for asked, row in zip(turns, rows, strict=True)]
        prompts = [encode(self.tokenizer, text) for text in texts]
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        size = 1 if self.recipe.method in VIRTUAL else BATCH
        found = [""] * len(prompts)
        for start in range(0, len(order), size):
            places = order[start : start + size]
            limit = max(self._limit(rows[place]) for place in places)
            for place, text in zip(places, self._batch(model, [prompts[p] for p in places], limit), strict=True):
                found[place] = text
        return found

    def _batch(self, model: Any, prompts: list[list[int]], limit: int) -> list[str]:
        import torch

        pad = self.tokenizer.pad_token_id
        width = max(len(ids) for ids in prompts)
        given = torch.tensor([[pad] * (width - len(ids)) + ids for ids in prompts], device=model.device)
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device)
        out = model.generate(
            input_ids=given, attention_mask=mask, max_new_tokens=limit, do_sample=False, pad_token_id=pad
        )
        return [self.tokenizer.decode(row[width:], skip_special_tokens=True).strip() for row in out]

    def _limit(self, row: Example) -> int:
        if row.calls:
            return min(CALL_LIMIT, tokenise(self.tokenizer, 0, row, self.recipe.system_prompt).trained + 4)
        return min(LIMIT, len(encode(self.tokenizer, row.answer or "")) + 4)

    def _judged(self, row: Example, output: str) -> ValidationAnswer:
        expected = row.answer or ""
        tools = row.row.get("tools")
        output = read_answer(output, tools) if tools else output
        score = self.metric.of_row(output, expected, row.tests, tools)
        right = output == expected.strip()
        return ValidationAnswer(
            question=row.question[-200:], expected=expected, output=output, right=right, score=score
        )


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
