"""How runs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rung.report.figures import duration
from rung.report.plan_words import kind_of

if TYPE_CHECKING:
    from training.record import RunRecord


def run_line(run: RunRecord) -> str:
    """One run in `rung runs list`."""
    best = "" if run.best_loss is None else f"   best step {run.best_step}, validation {best_words(run)}"
    ending = f"   {run.ending}" if run.ending and run.state in ("failed", "crashed", "stopped") else ""
    made = f"{kind_of(run.method, run.objective)}, {run.dataset}, {run.plan}"
    return f"{run.id}  {run.state:<9} step {run.step} of {run.steps}   {made}{best}{ending}"


def best_words(run: RunRecord) -> str:
    """The validation loss of the kept checkpoint, and its score where the metric chose it."""
    score = "" if run.best_score is None else f", score {run.best_score:.1%}"
    return f"{run.best_loss:.3f}{score}"


def ending_lines(run: RunRecord) -> list[str]:
    """What a run came to, and the next command."""
    best = "" if run.best_loss is None else f" Best checkpoint: step {run.best_step}, validation {best_words(run)}."
    if run.state == "finished":
        told = f" Ended early: {run.ending}." if run.ending.startswith("over-fitting") else ""
        after = "rung runs list" if run.objective == "reward" else f"rung evaluate {run.id}"
        return [f"{run.id} finished in {duration(run.seconds)}.{told}{best}", f"Next: {after}"]
    if run.state == "failed":
        return [f"{run.id} failed at step {run.step}: {run.ending}.{best}", "Next: rung plan"]
    if run.state in ("stopped", "crashed"):
        whole = f" Checkpoint {run.step} is whole." if run.step else ""
        return [
            f"{run.id} {run.state} at step {run.step}: {run.ending}.{whole}{best}",
            f"Next: rung runs resume {run.id}",
        ]
    return [f"{run.id} is {run.state}: step {run.step} of {run.steps}.", f"Next: rung runs watch {run.id}"]


def validation_words(line: dict[str, Any]) -> str:
    """Validation loss; where the metric was measured its score, and the prompted arm's, which is the line to beat."""
    words = f"{line['loss']:.3f}"
    if line.get("score") is None:
        return words
    words += f", score {line['score']:.1%}"
    beat = line.get("beat")
    return words + (f" against {beat['arm'].replace('_', '-')} {beat['score']:.1%}" if beat else "")
