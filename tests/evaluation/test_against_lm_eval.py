"""Figures equal to lm-eval's (EleutherAI's lm-evaluation-harness) on the same outputs, computed in its own environment.

`RUNG_LM_EVAL=/path/to/python` names an interpreter that has lm-eval; skipped where none is named.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess

import pytest

from chat.protocols import Ask
from evaluation.metrics.classes import class_report
from evaluation.metrics.ngrams import corpus
from evaluation.metrics.perplexity import perplexity
from evaluation.metrics.text import exact_match, token_f1

PYTHON = os.environ.get("RUNG_LM_EVAL", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="RUNG_LM_EVAL names no interpreter that has lm-eval"),
]

FIGURES = """
import json, sys
from lm_eval.api import metrics
from lm_eval.tasks.longbench.metrics import qa_f1_score
given = json.load(sys.stdin)
truth, found, nats = given["truth"], given["found"], given["nats"]
pairs = list(zip(truth, found))
print(json.dumps({
    "exact_match": float(metrics.exact_match_hf_evaluate(found, truth)["exact_match"]),
    "bleu": metrics.bleu(pairs), "chrf": metrics.chrf(pairs),
    "token_f1": metrics.mean([qa_f1_score(b, a) for a, b in pairs]),
    "f1": float(metrics.f1_score(given["binary"])),
    "per_token": metrics.weighted_perplexity([(-n, t) for n, t, b in nats]),
    "per_byte": metrics.weighted_perplexity([(-n, b) for n, t, b in nats]),
    "bits_per_byte": metrics.bits_per_byte([(-n, b) for n, t, b in nats]),
}))
"""
LIKELIHOODS = """
import json, sys
from lm_eval.models.huggingface import HFLM
from lm_eval.api.instance import Instance
given = json.load(sys.stdin)
model = HFLM(pretrained=given["model"], device="cpu", dtype="float32", batch_size=1, add_bos_token=False)
asks = [Instance("loglikelihood", {}, tuple(pair), 0) for pair in given["pairs"]]
print("RESULT" + json.dumps([float(total) for total, _ in model.loglikelihood(asks)]))
"""


def theirs(code, given):
    """What lm-eval says, from its own interpreter."""
    done = subprocess.run([PYTHON, "-c", code], input=json.dumps(given), capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().split("\n")[-1].removeprefix("RESULT"))


class Scored:
    """A scorer with known log-probabilities."""

    def __init__(self, nats):
        self.nats = nats

    def loglikelihoods(self, asks, answers):
        return [(-total, tokens) for total, tokens, _ in self.nats]


def test_the_figures_of_a_set_are_lm_evals():
    draw = random.Random(5)
    vocabulary = ["the", "cat", "a", "mat", "in", "spain", "it", "rains", "E10.42", "no", "left-right", "2,640"]
    truth = [" ".join(draw.choices(vocabulary, k=draw.randint(1, 9))) for _ in range(80)]
    found = [t if draw.random() < 0.3 else " ".join(draw.choices(vocabulary, k=draw.randint(1, 9))) for t in truth]
    binary = [(draw.randint(0, 1), draw.randint(0, 1)) for _ in range(60)]
    nats = [(draw.uniform(1, 30), draw.randint(1, 9), len(text.encode())) for text in truth]
    said = theirs(FIGURES, {"truth": truth, "found": found, "binary": binary, "nats": nats})

    def mean(score):
        return math.fsum(score(o, e) for o, e in zip(found, truth, strict=True)) / len(truth)

    assert mean(exact_match) == pytest.approx(said["exact_match"])
    assert 100 * corpus("BLEU", found, truth)[0] == pytest.approx(said["bleu"])
    assert 100 * corpus("CHRF", found, truth)[0] == pytest.approx(said["chrf"])
    assert mean(token_f1) == pytest.approx(said["token_f1"])
    each = class_report([str(b) for _, b in binary], [str(a) for a, _ in binary]).each
    assert next(c.f1 for c in each if c.name == "1") == pytest.approx(said["f1"])
    ours = perplexity(Scored(nats), [Ask(())] * len(truth), truth)
    assert ours.per_token == pytest.approx(said["per_token"])
    assert ours.per_byte == pytest.approx(said["per_byte"])
    assert math.log2(ours.per_byte) == pytest.approx(said["bits_per_byte"])


def test_log_likelihoods_of_the_embedded_model_are_lm_evals():
    from chat.local.embedded import embedded_model
    from chat.open import open_model
    from workspace.settings import Settings

    settings = Settings().model
    model = open_model(settings.model_copy(update={"base": "embedded", "precision": "fp32"}), guard=lambda *_: None)
    asks = [Ask(({"role": "user", "content": question},)) for question in ("2 + 2 = ?", "The capital of France?")]
    answers = ["4", "Paris, on the Seine."]
    rendered = [
        model.loaded.tokenizer.apply_chat_template(list(a.turns), tokenize=False, add_generation_prompt=True)  # type: ignore[attr-defined]
        for a in asks
    ]
    end = model.loaded.tokenizer.eos_token  # type: ignore[attr-defined]
    pairs = [(text, answer + end) for text, answer in zip(rendered, answers, strict=True)]
    said = theirs(LIKELIHOODS, {"model": str(embedded_model()), "pairs": pairs})
    ours = [total for total, _ in model.loglikelihoods(asks, answers)]  # type: ignore[attr-defined]
    assert ours == pytest.approx(said, rel=1e-3)
