"""Reports and controls of a run: metrics.jsonl is written, the control file and signals are read."""

import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.plan.recipe import PAIRED, REINFORCED
from training.run.failures import Diverged
from training.run.processes import agreed, all_of
from training.run.validation_answers import ValidationAnswers
from training.runs import CONTROL, MetricLine, append_metric

OWN = {
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
    "accuracy": "accuracy",
    "reward": "reward",
    "kl": "kl",
    "completions/mean_length": "answer_tokens",
    "frac_reward_zero_std": "alike",
}
"""Metrics of other objectives than sft: pairs ranked right, mean reward, share of questions with equal rewards."""
ALIKE = 5
LOSSES = 10
DIVERGED = 3.0
"""A mean loss of the last ten steps above this many times the untrained model's ends the run."""


class RunReporter(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Writes a line a step; stops on a loss that is no number or that runs away, and on overfitting.

    `sampler` answers some validation rows and knows the trainer, `changed(**fields)` writes run.json, `beat` is the
    prompted arm's validation score. What it judges by is in the trainer's own log, so a resumed run judges as an
    unbroken one, and so do several processes; what they read they agree on.
    """

    def __init__(
        self,
        folder: Path,
        sampler: ValidationAnswers,
        *,
        changed: Callable[..., None],
        beat: Mapping[str, Any] | None = None,
        writes: bool = True,
    ) -> None:
        self.folder = folder
        self.sampler, recipe = sampler, sampler.recipe
        self.patience = recipe.patience
        self.may_rise = recipe.objective in REINFORCED
        self.choice = "eval_choice" if recipe.choose_by == "metric" else "eval_loss"
        self.beat = beat
        self.writes = writes
        self.seen = 0
        self.changed = changed
        self.stop_asked = ""
        self.ending = ""
        self.started = time.monotonic()
        self.began_at = 0

    def listen(self) -> None:
        """SIGTERM and SIGINT ask the run to stop and save, as `rung runs stop` does."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, _: self._ask(f"stopped by signal {signal.Signals(number).name}"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _ask(self, why: str) -> None:
        self.stop_asked = self.stop_asked or why

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Remember where this process began: rates and the time left count from here."""
        self.began_at = state.global_step
        self.started = time.monotonic()
        self.changed(state="running", steps=state.max_steps)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Wait here while the run is paused; what was done is saved."""
        if agreed(self._told()) != "pause":
            return
        self.changed(state="paused", step=state.global_step)
        paused = time.monotonic()
        while agreed(self._told() == "pause" and not self.stop_asked):
            time.sleep(0.1)
        self.started += time.monotonic() - paused
        self.changed(state="running")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Listen: `pause` saves, `stop` saves and ends."""
        if self._told() == "stop":
            self._ask("stopped by request")
        told = all_of((self._told(), self.stop_asked, self.sampler.trainer.tokens_seen))
        self.seen = sum(tokens for _, _, tokens in told)
        asked = next((why for _, why, _ in told if why), "")
        if told[0][0] == "pause":
            control.should_save = True
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        if asked:
            self.ending = asked
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """Write a line per step. Raises Diverged if the loss is no number or runs away."""
        if not logs or "loss" not in logs:
            return
        self._append(self._line(float(logs["loss"]), logs, state))
        losses = [line["loss"] for line in state.log_history if "loss" in line]
        chance = 0.0 if self.sampler.recipe.objective in PAIRED else math.log(len(self.sampler.tokenizer))
        judge(losses, state.global_step, may_rise=self.may_rise, chance=chance)
        self._tell_alike([line.get("frac_reward_zero_std", 0.0) for line in state.log_history if "loss" in line])

    def _tell_alike(self, shares: list[float]) -> None:
        """Say once that answers which all earn the same teach nothing."""
        if len(shares) == ALIKE and min(shares) == 1.0:
            text = f"every answer of {ALIKE} steps earned the same reward: nothing is learnt; a softer metric as reward"
            self._append({"kind": "note", "text": text})

    def _append(self, line: MetricLine) -> None:
        if self.writes:
            append_metric(self.folder, line)

    def _line(self, loss: float, logs: Mapping[str, Any], state: Any) -> MetricLine:
        seconds = max(1e-9, time.monotonic() - self.started)
        done = state.global_step - self.began_at
        return {
            "kind": "step",
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
            "loss": loss if math.isfinite(loss) else None,
            **{name: logs[key] for key, name in OWN.items() if key in logs},
            "rate": logs.get("learning_rate"),
            "grad_norm": logs.get("grad_norm"),
            "tokens": self.seen,
            "tokens_per_second": round(self.seen / seconds, 1),
            "memory_mib": memory_mib(),
            "eta_seconds": round(seconds / done * (state.max_steps - state.global_step), 1) if done else None,
            "seconds": round(seconds, 2),
        }

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> Any:
        """A validation line with samples; `patience` in a row above the best by more than its error end the run."""
        best, above = standing(state.log_history)
        chosen = chosen_of(state.log_history, self.choice)
        line: MetricLine = {
            "kind": "validation",
            "step": state.global_step,
            "steps": state.max_steps,
            "loss": metrics["eval_loss"],
        }
        line |= {"error": metrics["eval_error"], "best_loss": chosen["eval_loss"], "best_step": chosen["step"]}
        if "eval_score" in metrics:
            line |= {"score": metrics["eval_score"], "best_score": chosen["eval_score"]}
        if self.beat is not None:
            line["beat"] = self.beat
        self._append({**line, "above": above, "samples": self.sampler.shown()})
        if above >= self.patience:
            self.ending = f"over-fitting: {above} checks in a row above the best, which is step {best['step']}"
            control.should_save = control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report that a whole checkpoint is written, and write how far the run came."""
        self._append({"kind": "checkpoint", "step": state.global_step, "steps": state.max_steps})
        best = chosen_of(state.log_history, self.choice)
        found = {"best_loss": best["eval_loss"], "best_step": best["step"]} if best else {}
        if "eval_score" in best:
            found["best_score"] = best["eval_score"]
        self.changed(step=state.global_step, tokens=self.seen, **found)

    def _told(self) -> str:
        try:
            return (self.folder / CONTROL).read_text().strip()
        except OSError:
            return ""


def standing(history: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], int]:
    """Return the best evaluation so far (empty before the first), and how many in a row since then lie above it.

    Above means by more than the best's standard error over rows.
    """
    best: Mapping[str, Any] = {}
    above = 0
    for line in history:
        if "eval_loss" not in line:
            continue
        if not best or line["eval_loss"] < best["eval_loss"]:
            best, above = line, 0
        else:
            above = above + 1 if line["eval_loss"] > best["eval_loss"] + best["eval_error"] else 0
    return best, above


def chosen_of(history: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """Return the best evaluation by `name`, the first of equals: the smallest loss, or the largest choice metric."""
    found = [line for line in history if name in line]
    sign = 1 if name == "eval_loss" else -1
    return min(found, key=lambda line: sign * line[name], default={})


def judge(losses: list[float], step: int, *, may_rise: bool = False, chance: float = 0.0) -> None:
    """Raise Diverged for a last loss that is no number, or losses that run away (those of reinforcement may rise).

    `chance` is the loss of guessing each token by chance. Below it a first batch of easier rows may explain a rise.
    """
    if not math.isfinite(losses[-1]):
        raise Diverged(f"the loss is no number at step {step}")
    last = sum(losses[-LOSSES:]) / LOSSES
    if not may_rise and len(losses) > LOSSES and last > max(DIVERGED * losses[0], chance):
        raise Diverged(f"the loss rose from {losses[0]:.2f} to {last:.2f} by step {step}")


def memory_mib() -> float | None:
    """Anonymous memory of this process in MiB, on a GPU the GPU's peak; None if the system does not say."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return round(held("RssAnon:") / 2**20, 1) or None


def held(*kinds: str) -> int:
    """Return bytes of these kinds that are in memory now; 0 if the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(kinds))
