"""How plans, and what is tried before a run, read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rung.report.figures import duration, money
from rung.report.gate_words import gate_lines, passed_of
from workspace.words import counted

if TYPE_CHECKING:
    from training.gate import Gate
    from training.plan import Plan
    from training.preflight import Preflight
    from training.recipe import Recipe

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


def measured_rows(found: Preflight) -> Iterator[tuple[str, str]]:
    """(name, value) of each figure."""
    seen, forecast = found.estimate, found.forecast
    said = f", estimated {seen['expected']:.2f} ({seen['low']:.2f} to {seen['high']:.2f})" if seen else ""
    yield "memory", f"{found.peak_gib:.2f} GiB held at most{said}; imports {found.imports_gib:.2f} more"
    steps = ", ".join(f"{step.seconds:.2f} s" for step in found.steps)
    yield "steps", f"{steps}; the first holds the longest rows"
    yield (
        "speed",
        f"{found.tokens_per_second:,.0f} tokens/s in {found.precision}, {found.loading_seconds:.1f} s to load",
    )
    low, middle, high = (duration(s or 0.0) for s in (forecast.seconds_low, forecast.seconds, forecast.seconds_high))
    yield "time", f"{middle} ({low} to {high}) by the mean, the quickest and the slowest step"
    disk = f"{found.disk_needed / 1e6:,.0f} MB of {found.disk_free / 1e9:,.1f} GB free"
    yield "disk", f"{disk}: {found.checkpoint_bytes / 1e6:,.1f} MB a checkpoint"
    lost = len(found.answer_lost)
    whole = f"not trained whole: {counted(lost, 'answer')}" if lost else "every answer is trained whole"
    yield "template", f"{found.template_sha256[:8]}; {whole}"
