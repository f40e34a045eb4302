"""The commands of the demo, in order, each with the reason it stands there."""

from __future__ import annotations

from rung.demo.walk import Step, Walk
from workspace.artefact import read_artefact


def may_train(walk: Walk) -> bool:
    """Whether the advice, worked out again from what was measured, says to fine-tune now."""
    from advisor.decision import Decision

    decision = read_artefact(walk.project.decision_file, Decision)
    return decision.next_step in ("fine_tune", "rag_and_fine_tune") and decision.action.name == "climb"


def _ships(walk: Walk) -> bool:
    return walk.exited("verdict") == 0


def _was_trained(walk: Walk) -> bool:
    return walk.exited("train") == 0


def _keeps_prompt(walk: Walk) -> bool:
    return not _ships(walk)


STEPS = (
    Step("advise", ("advise",), "1. What a plausible team answers, and what Rung advises before anything is measured"),
    Step(
        "import-test",
        ("data", "import", "raw/test.jsonl", "--as", "test"),
        "2. The test set first: nothing that comes later may touch it",
    ),
    Step("review-test", ("(table)",), "The code table reviews the test rows"),
    Step(
        "freeze-test", ("data", "freeze", "--test-only"), "The test set is frozen alone: that is all a baseline needs"
    ),
    Step(
        "import-pool",
        ("data", "import", "raw/pool.jsonl", "--as", "pool", "--rejects", "rejects.jsonl"),
        "Raw rows, with planted duplicates, malformed lines, leaks and contradictions",
    ),
    Step("check", ("data", "check"), "What is wrong with them", may_exit=(0, 1)),
    Step("fix", ("data", "fix", "--all"), "Leaks go out of train, contradictions go to review", may_exit=(0, 1)),
    Step("review-pool", ("(table)",), "The code table reviews the pool"),
    Step(
        "generate",
        ("data", "generate", "--count", "12", "--strategy", "paraphrase"),
        "3. The embedded model drafts candidates: weak, and that is what the queue is for",
        may_exit=(0, 1),
        fast=("data", "generate", "--count", "2", "--strategy", "paraphrase"),
    ),
    Step("review-candidates", ("(table)",), "The code table reviews the candidates that it can read"),
    Step("review-status", ("review", "status"), "Who decided what"),
    Step(
        "baseline",
        ("baseline", "--both-forms"),
        "4. The ladder, measured: every cheaper way first, on the same frozen items",
        fast=("baseline",),
    ),
    Step(
        "freeze",
        ("data", "freeze", "--leave-out-undecided"),
        "5. The pool is split by cluster and frozen; the test set stays as it is",
    ),
    Step("plan", ("plan",), "6. The plan, a reason for each value", only_if=may_train),
    Step("train", ("train",), "Training in a child process, behind six gates", only_if=may_train),
    Step(
        "locked",
        ("train",),
        "6. The door to training stays locked: a cheaper rung is enough",
        may_exit=(1, 2),
        only_if=lambda walk: not may_train(walk),
    ),
    Step("evaluate", ("evaluate",), "7. The tuned model on the same items", may_exit=(0, 1), only_if=_was_trained),
    Step("verdict", ("verdict",), "The paired verdict against the best prompt", may_exit=(0, 1), only_if=_was_trained),
    Step(
        "release",
        ("release", "--to", "adapter,merged"),
        "8. The verdict is ship: adapter and merged model go out, parity checked",
        only_if=_ships,
    ),
    Step(
        "refused",
        ("release", "--to", "adapter"),
        "8. The verdict is not ship: the tuned model is refused",
        may_exit=(1, 2),
        only_if=lambda walk: _was_trained(walk) and not _ships(walk),
    ),
    Step("release-prompt", ("release", "--to", "prompt"), "The best prompt goes out instead", only_if=_keeps_prompt),
)
