"""Objectives of a run: reviewed answers, pairs, or questions whose answers the metric rewards."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curation.example import Example
from training.plan.hyperparameters import FORWARD, VALIDATION_SHARE, PlanDraft, RunFacts, value
from training.plan.methods import PAIRED, REINFORCED
from training.plan.plans import DataFacts
from training.plan.preferences import preferences_of
from training.plan.recipe import Because
from training.plan.reward import is_run, reward_run, same_held_out
from training.plan.splits import rows_of
from workspace.folder import Project
from workspace.settings import Settings
from workspace.shipped_rules import rule_file

LEAST_ROWS = 30
"""Fewer validation rows say too little to choose a checkpoint by."""
MOST_ROWS = 200
DECODING = 1.0
"""Cost of a generated token, in trained tokens: one forward pass of few rows, limited by memory."""
SPARE = 8
"""Tokens that an answer under reinforcement may have beyond the longest reviewed one."""
REPLAY_ROOM = 96
"""Most tokens of the base model's answer to a general question; one that was cut does not train."""
REPLAY_TOKENS = 192
"""Such a question with its answer, in any chat template."""
WORDS = {
    "sft": "the reviewed answers",
    "dpo": "pairs: a reviewer's edit against the draft",
    "reward": "pairs; the model learns to score answers, not to give them",
    "grpo": "sampled answers, rewarded by the metric against their group",
    "rloo": "sampled answers, rewarded by the metric against the others",
}


@dataclass(frozen=True, slots=True)
class ObjectiveRows:
    """Rows to train on and rows held out, or pairs as rows of both answers. `signals` names what was read."""

    train: Sequence[Example | list[Example]]
    validation: Sequence[Example | list[Example]]
    signals: str = ""
    notes: list[str] = field(default_factory=list)

    def seen(self) -> Iterator[list[Example]]:
        """Return each item that trains as the rows that the model sees of it."""
        return ([item] if isinstance(item, Example) else item for item in self.train)


def replay_questions() -> list[str]:
    """Return all general questions that the base model may answer for `[training] replay`, in a fixed order."""
    table = rule_file("general.toml")["replay"]
    both = [form.format(topic) for form in table["forms"] for topic in table["topics"]]
    random.Random(0).shuffle(both)
    return both


def material_of(project: Project, settings: Settings, folder: Path, objective: str) -> ObjectiveRows:
    """Return the objective's items. Raises Refusal for too few, or a reward model that may know held-out rows."""
    reward = settings.training.reward
    if objective in REINFORCED and is_run(reward):
        same_held_out(project, reward_run(project, reward), folder.name)
    if objective not in PAIRED:
        return ObjectiveRows(rows_of(folder, "train", settings), rows_of(folder, "validation", settings))
    found = preferences_of(project, settings, folder)
    learnt, held = found.of("train"), found.of("validation")
    notes = [f"{len(learnt)} pairs to train on and {len(held)} held out, from the reviews"]
    if found.left_out:
        name, why = next(iter(found.left_out.items()))
        notes.append(f"{len(found.left_out)} reviewed rows are no pairs: {name}: {why}")
    return ObjectiveRows([i.texts() for i in learnt], [i.texts() for i in held], found.sha256, notes)


def put_objective(draft: PlanDraft, project: Project, settings: Settings, facts: RunFacts, data: DataFacts) -> None:
    """Set the values that belong to the objective."""
    chosen, objective = settings.training, str(facts["objective"])
    if objective in ("dpo", *REINFORCED):
        draft.put("beta", *value("beta", facts))
        draft.override("beta", chosen.beta)
    if objective not in REINFORCED:
        return
    for name in ("generations", "temperature"):
        draft.put(name, *value(name, facts))
        draft.override(name, getattr(chosen, name))
    text = f"the longest reviewed answer has {data.answer} tokens"
    draft.put("answer_tokens", data.answer + SPARE, Because(text=text, rule="your-data"))
    draft.override("answer_tokens", chosen.answer_tokens)
    metric = settings.evaluation.metric
    draft.put("reward", metric, Because(text="the project's metric, checked on each answer", rule="metric"))
    draft.override("reward", chosen.reward or None)
    if is_run(chosen.reward):
        draft.values["signals"] = reward_run(project, chosen.reward).adapter_sha256


def put_choice(draft: PlanDraft, settings: Settings, facts: RunFacts, data: DataFacts) -> None:
    """Choose the checkpoint by the metric if enough validation rows can be answered in a tenth of the training time.

    A reward model answers nothing, and reinforcement has no loss that could be compared.
    """
    asked, objective = settings.training.choose_by, facts["objective"]
    if objective == "reward":
        return draft.put("choose_by", "loss", Because(text="it gives no answers", rule="choose-by-metric"))
    # rows that can be answered at each check in a tenth of the training time before it
    each = data.tokens / max(1, draft.values["evals"])
    row = FORWARD * (data.tokens / max(1, data.train)) + DECODING * data.answer
    affordable = int(VALIDATION_SHARE * each / row)
    wanted = asked == "metric" or objective in REINFORCED
    if not wanted and (asked == "loss" or min(data.validation, affordable) < LEAST_ROWS):
        few = min(data.validation, affordable)
        text = f"answers of {few} validation rows are affordable, {LEAST_ROWS} would be needed"
        draft.put("choose_by", "loss", Because(text=text, rule="choose-by-metric", source=("judgement",)))
        return draft.override("choose_by", "loss" if asked == "loss" else None)
    rows = min(data.validation, MOST_ROWS if wanted else affordable, MOST_ROWS)
    text = f"{settings.evaluation.metric} on {rows} validation rows at each check"
    draft.put("choose_by", "metric", Because(text=text, rule="choose-by-metric", source=("judgement",)))
    draft.override("choose_by", "metric" if asked == "metric" else None)
    draft.values["metric_rows"] = rows
    return None
