"""Instruction proposals by the model itself, from rows that may be shown: what the arm `optimised` chooses among."""

from __future__ import annotations

from chat.protocols import Ask
from evaluation.arms.few_shot import spread
from evaluation.arms.material import Material, Prompt, read_proposals
from evaluation.asking import ask_all
from evaluation.measure import Desk
from workspace.files import write_text
from workspace.folder import Project

SHOWN = 6
"""Rows that a proposal is made from."""
MAX_TOKENS = 200
FOCUS = (
    "Be short and exact.",
    "Name the possible answers and how to tell them apart, where there are few.",
    "Say exactly which form the answer has, and that nothing else may be written.",
    "Say which mistakes are easy to make and how to avoid them.",
)


def propose(project: Project, material: Material, desk: Desk, budget: int) -> tuple[Prompt, ...]:
    """The proposals in `prompts/`; where there are none, up to `budget` are asked for and written there."""
    known = read_proposals(project)
    if known or not (material.examples and material.choosing and budget):
        return known
    asks = [_ask(material, number) for number in range(budget)]
    texts = dict.fromkeys(reply.text.strip() for reply in ask_all(desk.model, asks, desk.replies, None))
    for number, text in enumerate(filter(None, texts), 1):
        write_text(project.prompts / f"optimised.{number}.md", text + "\n")
    return read_proposals(project)


def _ask(material: Material, number: int) -> Ask:
    """Each asks with other rows and another focus."""
    turned = number * SHOWN % len(material.examples)
    rows = spread((*material.examples[turned:], *material.examples[:turned])[: 8 * SHOWN], SHOWN)
    shown = "\n\n".join(f"Input: {row.question}\nOutput: {row.answer}" for row in rows)
    best = material.instructions[-1]
    so_far = f"\n\nThe instruction so far, to be improved:\n{best.text}" if best else ""
    text = (
        f"Here are inputs of a task with their right outputs.\n\n{shown}{so_far}\n\nWrite the instruction that makes "
        f"an assistant give the right output for new inputs. {FOCUS[number % len(FOCUS)]} "
        "Reply with the instruction only."
    )
    return Ask(({"role": "user", "content": text},), MAX_TOKENS)
