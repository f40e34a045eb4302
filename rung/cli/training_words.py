"""How gates, plans and runs read on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rung.cli.output import harmless, manner, redraw
from rung.report.figures import duration, money
from workspace.words import counted

if TYPE_CHECKING:
    from training.gate import Gate
    from training.plan import Plan
    from training.recipe import Recipe
    from training.record import RunRecord

FACT = 38
"""Where a gate's file begins, and where its rule does (two more)."""


def gate_lines(gates: Sequence[Gate]) -> list[str]:
    """One line a gate; under a closed one why, rule and the command that opens it."""
    lines = []
    for gate in gates:
        lines.append(_columns(f"{gate.symbol} {gate.name:<10} ", _fact(gate), FACT, gate.shown))
        if not gate.opens:
            if gate.why:
                lines.append(_columns(" " * 13, f"why: {gate.why}", FACT + 2, f"rule {gate.rule}" if gate.rule else ""))
            if gate.opener:
                lines.append(f"{' ' * 13}do:  {gate.opener}")
    return lines


def _fact(gate: Gate) -> str:
    if gate.override is not None and gate.passed is not True:
        return f'overridden by {gate.override.by}: "{gate.override.reason}"'
    return gate.fact


def _columns(start: str, text: str, width: int, end: str) -> str:
    return f"{start}{text:<{width}}{'' if len(text) < width else '  '}{end}".rstrip()


def passed_of(gates: Sequence[Gate]) -> str:
    """`5 of 6 gates passed`, with the overridden ones named."""
    aside = [gate.name for gate in gates if gate.override is not None]
    text = f"{sum(gate.passed is True for gate in gates)} of {len(gates)} gates passed"
    return text + (f", {', '.join(aside)} overridden" if aside else "")


def locked_lines(gates: Sequence[Gate]) -> list[str]:
    """The refusal of `rung train`: count first, six gates, and the next command."""
    first = next(gate for gate in gates if not gate.opens)
    last = f"Nothing was started.  Next: {first.opener}" if first.opener else "Nothing was started."
    return [f"Training is locked: {passed_of(gates)}.", "", *gate_lines(gates), "", last]


METHOD = {
    "lora": "LoRA",
    "qlora": "QLoRA",
    "full": "full fine-tuning",
    "dora": "DoRA",
    "qdora": "QDoRA",
    "rslora": "rsLoRA",
    "adalora": "AdaLoRA",
    "ia3": "IA3",
    "prefix": "prefix tuning",
    "prompt": "prompt tuning",
}
OBJECTIVE = {"sft": "", "dpo": "DPO", "kto": "KTO", "reward": "reward model", "grpo": "GRPO", "rloo": "RLOO"}


def plan_lines(plan: Plan, gates: Sequence[Gate]) -> list[str]:
    """The plan as a table of value, setting and reason, then the gates."""
    lines = [
        f"Plan {plan.id}   {kind_of(plan.recipe.method, plan.recipe.objective)} on {plan.recipe.base}, "
        f"dataset {plan.dataset}, {counted(plan.data.train, 'row')}",
        "",
    ]
    lines += [f"  {name:<14} {value:<32} {reason}".rstrip() for name, value, reason in plan_rows(plan)]
    lines += ["", *(f"! {note}" for note in plan.notes), *([""] if plan.notes else [])]
    return [*lines, f"Gates   {passed_of(gates).replace(' gates', '', 1)}", *gate_lines(gates)]


def kind_of(method: str, objective: str) -> str:
    """`LoRA`, or `DPO with LoRA`."""
    goal = OBJECTIVE.get(objective, objective)
    name = METHOD.get(method, method)
    return f"{goal} with {name}" if goal else name


def plan_rows(plan: Plan) -> list[tuple[str, str, str]]:
    """(value, what it is set to, because) of each line of the plan."""
    recipe, why = plan.recipe, plan.because
    rows = [("method", METHOD[recipe.method], _why(plan, "method"))]
    if recipe.objective != "sft":
        rows.append(("objective", _objective(recipe), WORDS[recipe.objective]))
    if recipe.virtual_tokens:
        rows.append(("virtual tokens", str(recipe.virtual_tokens), _why(plan, "virtual_tokens")))
    if recipe.rank:
        value = f"{recipe.rank}, {recipe.alpha}, {recipe.targets.replace('all-linear', 'all linear')}"
        rows.append(("rank, alpha", value, f"scale {recipe.scale:g}; {_why(plan, 'rank')}"))
    rate = f"{recipe.learning_rate:.1e}".replace("e-0", "e-").replace(".0e", "e")
    rows.append(
        ("learning rate", f"{rate}, {recipe.schedule}, warm-up {recipe.warmup:.0%}", _why(plan, "learning_rate"))
    )
    shared = f" x {recipe.processes} processes" if recipe.processes > 1 else ""
    batch = f"{recipe.batch} x {recipe.accumulation}{shared} = {recipe.rows_a_step}"
    rows.append(("batch", batch, _why(plan, "accumulation" if "accumulation" in why else "batch")))
    best = f"best by {'the metric' if recipe.choose_by == 'metric' else 'loss'} is kept"
    rows.append(("epochs, steps", f"{recipe.epochs:g}, {recipe.steps}; {best}", _why(plan, "epochs")))
    if recipe.packing:
        rows.append(("packing", "rows of a batch in one line", _why(plan, "attention")))
    longest = f"{counted(plan.data.longest, 'token')}; {counted(len(plan.data.left_out), 'row')} left out"
    rows.append(("longest row", longest, _why(plan, "max_length")))
    held = plan.forecast.measured_gib
    memory = "the estimator" if held is None else f"the estimator; {held:.1f} GiB held in the dry run"
    return [*rows, ("memory", _memory(plan), memory), ("time, cost", _time(plan), plan.forecast.because)]


WORDS = {
    "dpo": "pairs: a reviewer's edit against the draft",
    "kto": "approved against rejected answers",
    "reward": "pairs; it learns to score answers, not to give them",
    "grpo": "sampled answers, each against its group",
    "rloo": "sampled answers, each against the others",
}


def _objective(recipe: Recipe) -> str:
    """The objective with what belongs to it."""
    parts = [OBJECTIVE[recipe.objective]]
    if recipe.beta:
        parts.append(f"beta {recipe.beta:g}")
    if recipe.generations:
        parts += [f"{recipe.generations} answers a question", f"rewarded by {recipe.reward}"]
    return ", ".join(parts)


def _why(plan: Plan, name: str) -> str:
    found = plan.because.get(name)
    return f"{found.text} [{found.rule}]" if found else ""


def _memory(plan: Plan) -> str:
    seen = plan.forecast
    if seen.expected is None:
        return "unknown (architecture not known)"
    return f"{seen.expected:.1f} GiB ({seen.low:.1f} to {seen.high:.1f})"


def _time(plan: Plan) -> str:
    seconds = plan.forecast.seconds
    low, high = plan.forecast.seconds_low, plan.forecast.seconds_high
    span = f" ({duration(low)} to {duration(high)})" if low and high else ""
    return f"{duration(seconds) if seconds else 'unknown'}{span}, {money(plan.forecast.cost_usd)}"


def token_lines(preflight: Any) -> list[str]:
    """Rows as the model sees them; what is trained stands between `[[` and `]]`, control characters by their number."""
    lines = [
        f"Train rows: {preflight.rows:,}. {preflight.trained:,} of {preflight.tokens:,} tokens carry the loss; "
        f"the end of the answer is trained in {preflight.eos_trained:,}",
        f"Left out as too long: {len(preflight.too_long):,}; without a trained token: {len(preflight.masked):,}",
    ]
    for row in preflight.shown:
        text = "".join(f"[[{piece}]]" if trained else piece for piece, trained in row.pieces)
        lines += ["", f"train:{row.row}   {row.trained} of {row.tokens} tokens trained"]
        lines += ["  " + _plain(line) for line in text.split("\n")]
    return lines


def _plain(line: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)


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


class LiveLine:
    """Loss, step, tokens/s and time left: one line, redrawn on a terminal; elsewhere a plain one now and then."""

    def __init__(self, run: str, every: float = 5.0) -> None:
        self.run = run
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.every = 0.0 if self.live else every
        self.last = 0.0
        self.validation = ""

    def show(self, line: dict[str, Any]) -> None:
        """Take one line of metrics.jsonl."""
        if line["kind"] == "validation":
            self.validation = f"  validation {validation_words(line)}"
            if not self.live:
                self._write(
                    f"{self.run}  step {line['step']} of {line['steps']}{self.validation}, the best so far is "
                    f"step {line['best_step']}"
                )
        elif line["kind"] == "step" and (time.monotonic() - self.last >= self.every or line["step"] == line["steps"]):
            self.last = time.monotonic()
            self._write(self._text(line))
        elif line["kind"] == "note" and not self.live:
            self._write(f"{self.run}  {line['text']}")

    def wait(self, text: str) -> None:
        """What is awaited while nothing is measured yet."""
        if self.live and not self.last:
            self._write(text)

    def close(self) -> None:
        """Leave the line standing."""
        if self.live and self.last and not manner.quiet:
            sys.stderr.write("\n")

    def _text(self, line: dict[str, Any]) -> str:
        loss = "no number" if line["loss"] is None else f"{line['loss']:.3f}"
        left = line.get("eta_seconds")
        eta = f"about {duration(left)} left" if left else "last step" if line["step"] == line["steps"] else ""
        return (
            f"{self.run}  step {line['step']} of {line['steps']}  {line['step'] / line['steps']:.0%}  loss {loss}"
            f"{self.validation}  {line['tokens_per_second']:.0f} tokens/s  {eta}"
        ).rstrip()

    def _write(self, text: str) -> None:
        if manner.quiet:
            return
        if self.live:
            redraw(text)
        else:
            sys.stderr.write(f"{manner.stamp()}{harmless(text)}\n")
        sys.stderr.flush()
