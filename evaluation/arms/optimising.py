"""`optimised`: an instruction that a model rewrites from its own errors, by GEPA (Agrawal et al. 2025; package `gepa`).

GEPA asks the items through Rung's own arm, metric and reply cache: privacy answer and budget in dollars hold, and
a killed search continues when the command runs again. Errors are of train rows, validation rows keep the best
instructions (Pareto), and no test item is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

from chat.protocols import Ask, ChatModel, Progress
from evaluation.arms.arm_material import ArmMaterial, PromptVersion, read_proposals
from evaluation.arms.prompted import OPTIMISED, alone, spread
from evaluation.ask import ask_all
from evaluation.measure import EvalItem, Harness, items_of, measure
from workspace.extras import require
from workspace.files import write_text
from workspace.folder import Project
from workspace.settings import Settings

SHOWN = 5
"""Rows of which a rewrite sees question, answer and what was wrong."""
FEWEST = 10
"""Validation rows on which a rewrite is tried at least."""
LEARNT_FROM = 200
"""Most train rows whose errors are looked for."""
TOKENS = 1024
"""Most tokens of a rewrite."""
FIRST = "Answer the question."
PART = "instruction"
WRITES = """An assistant has this instruction:
```
<curr_param>
```

These are inputs that it got, what it answered, and what would have been right:
```
<side_info>
```

Write a better instruction, so that it answers new inputs right. Keep what worked. Name the possible answers and how to
tell them apart, the exact form of an answer, and what the right answers show of the task. Copy no input. Use at most
<words> words.
Reply with the new instruction within ``` blocks."""


def can_rewrite(settings: Settings) -> bool:
    """True if rung.toml names a model that can write a good instruction: a hosted one, or a bigger one."""
    return settings.model.provider != "local" or bool(settings.bigger_model.base)


def optimise(
    project: Project,
    material: ArmMaterial,
    desk: Harness,
    writer: ChatModel | None,
    items: Sequence[EvalItem],
    watch: Progress | None = None,
) -> tuple[PromptVersion, ...]:
    """Return the instructions `prompts/optimised.*.md`; where there are none, the best one that was found (the one it
    began with, where none is better), which `keep_proposals` writes there.

    `desk` answers and scores, `writer` rewrites, `items` are validation rows. None if one of them is missing.
    Raises RungError if the package is missing, or a reply is (budget, network); what came is kept.
    """
    known = read_proposals(project)
    limits = material.optimise
    if known or writer is None or not (items and material.examples and limits and limits.proposals):
        return known
    gepa = require("optimise", "gepa")
    started = material.instructions[-1]
    first = started.text if started else FIRST
    rows = items_of(spread(material.examples, LEARNT_FROM))
    # validation rows on which each instruction is tried, so that all rewrites fit into the calls
    tried = (limits.optimise_calls - 2 * SHOWN * limits.proposals) // (limits.proposals + 1)

    def rewrite(prompt: str | list[dict[str, Any]]) -> str:
        ask = Ask(({"role": "user", "content": str(prompt)},), TOKENS)
        return ask_all(writer, [ask], desk.replies)[0].text

    found = gepa.optimize(
        seed_candidate={PART: first},
        trainset=rows,
        valset=list(items)[: max(FEWEST, tried)],
        adapter=_Adapter(desk, watch, limits.optimise_calls),
        reflection_lm=rewrite,
        reflection_prompt_template=WRITES.replace("<words>", str(most_words(desk.choices))),
        reflection_minibatch_size=min(SHOWN, len(rows)),
        skip_perfect_score=False,
        # each rewrite is tried on validation rows, not only one that did better on five: its cost is known before
        acceptance_criterion=SimpleNamespace(should_accept=lambda proposal, state: True),
        max_metric_calls=limits.optimise_calls,
        stop_callbacks=[lambda state: state.i + 1 >= limits.proposals],
        logger=SimpleNamespace(log=lambda message: None),
        seed=0,
    )
    best = accumulate(found.val_aggregate_scores, max)
    spent = [*found.discovery_eval_counts[1:], found.total_metric_calls or 0]  # a score is known when the next begins
    search = tuple(zip(spent, best, strict=True))
    return (PromptVersion(f"{OPTIMISED}.1.md", found.best_candidate[PART].strip(), search),)


def most_words(choices: Sequence[str]) -> int:
    """Return words that an instruction may have: it is sent with every call from then on."""
    return min(200 + 10 * len(choices), 600)


def keep_proposals(project: Project, proposals: Sequence[PromptVersion]) -> None:
    """Write the instructions that are not files yet."""
    for each in proposals:
        path = project.prompts / each.name
        if not path.exists():
            write_text(path, each.text + "\n")


@dataclass
class _Adapter:
    """GEPA's view of the arm: a candidate is an instruction, an item is answered and scored as in every arm."""

    desk: Harness
    watch: Progress | None
    calls: int
    done: int = 0
    propose_new_texts: None = None

    def evaluate(self, batch: list[EvalItem], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        """Answer and score some items with an instruction."""
        from gepa.core.adapter import EvaluationBatch

        variant = alone(PromptVersion(OPTIMISED, candidate[PART]))
        form = self.desk.forms[-1]
        outcomes = measure(OPTIMISED, variant, (form,), batch, "validation", self.desk, None)[form]
        self.done += len(batch)
        if self.watch:
            self.watch(min(self.done, self.calls), self.calls)
        outputs, scores = [o.output for o in outcomes], [o.score for o in outcomes]
        return EvaluationBatch(outputs, scores, list(zip(batch, outputs, scores, strict=True)))

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, str]]]:
        """Question, answer and what was right, for the rewrite."""
        rows = [
            {
                "Input": item.question,
                "Answer": output,
                "Feedback": "This is right." if score >= 1 else f"Scored {score:g} of 1. Right is: {item.expected}",
            }
            for item, output, score in eval_batch.trajectories
        ]
        return {name: rows for name in components_to_update}
