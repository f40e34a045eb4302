"""A small encoder tuned on the rows: plain fine-tuning with a linear layer over the answers, which is thrown away.

What is kept is the encoder; the arm fits its logistic regression on the new embeddings, as on the old ones. Rates and
steps follow Mosbach, Andriushchenko and Klakow 2021 (small rate, warm-up, enough steps for few rows).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

from chat.local.embed import LocalEmbedder
from chat.protocols import Progress
from curation.example import Example
from workspace.extras import require

RATE, HEAD_RATE = 5e-5, 1e-3
BATCH = 16
EPOCHS, LEAST_STEPS, MOST_STEPS = 8, 200, 1500
"""Passes over the rows; few rows are passed over more often, many not wholly."""
WARMUP = 0.1
TUNED = ", tuned"
"""End of the features' name."""


def tuned(
    embedder: LocalEmbedder, examples: Sequence[Example], watch: Callable[[], Progress | None] | None = None
) -> LocalEmbedder:
    """Return the embedder after tuning on questions and answers; the same rows give the same weights on one machine."""
    torch = require("train", "torch")
    answers = sorted({example.answer or "" for example in examples})
    place = {answer: at for at, answer in enumerate(answers)}
    steps = min(MOST_STEPS, max(LEAST_STEPS, EPOCHS * len(examples) // BATCH))
    progress = watch() if watch else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = copy.deepcopy(embedder.model).train()
        made = replace(embedder, model=model)
        head = torch.nn.Linear(model.config.hidden_size, len(answers))
        groups = [{"params": model.parameters(), "lr": RATE}, {"params": head.parameters(), "lr": HEAD_RATE}]
        optimiser = torch.optim.AdamW(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / (WARMUP * steps), (steps - step) / steps)
        )
        order: list[int] = []
        for step in range(steps):
            while len(order) < BATCH:
                order += torch.randperm(len(examples)).tolist()
            some, order = [examples[at] for at in order[:BATCH]], order[BATCH:]
            scores = head(made.points([row.question for row in some]))
            loss = torch.nn.functional.cross_entropy(scores, torch.tensor([place[row.answer or ""] for row in some]))
            loss.backward()
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            if progress:
                progress(step + 1, steps)
    model.eval()
    return made
