"""Texts of plans, gates and training runs, and of what is tried before a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from advisor.dated_tables import Managed
from rung.status.stages import STEP_WORDS, after_run
from rung.text.message_text import marked, visible
from training.gates.gate import Gate
from training.plan.plans import Plan
from training.plan.recipe import Recipe
from training.runs import RunRecord
from workspace.artefact import now
from workspace.counted import counted, duration, gib, megabytes, money
from workspace.settings import GateSettings

if TYPE_CHECKING:
    from training.trials.dry_run import DryRun
    from training.trials.sweep import Sweep

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
OBJECTIVE = {"sft": "", "dpo": "DPO", "reward": "reward model", "grpo": "GRPO", "rloo": "RLOO"}


def plan_lines(plan: Plan, gates: Sequence[Gate]) -> list[str]:
    """Return the plan as a table of value, setting and reason, then the gates."""
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
    if recipe.replay:
        rows.append(("replay", counted(recipe.replay, "general question"), _why(plan, "replay")))
    longest = f"{counted(plan.data.longest, 'token')}; {counted(len(plan.data.left_out), 'row')} left out"
    rows.append(("longest row", longest, _why(plan, "max_length")))
    held = plan.forecast.measured_gib
    memory = "estimated" if held is None else f"estimated; {gib(held)} measured in the dry run"
    return [*rows, ("memory", _memory(plan), memory), ("time, cost", _time(plan), plan.forecast.because)]


WORDS = {
    "dpo": "pairs: a reviewer's edit against the draft",
    "reward": "pairs; it learns to score answers, not to give them",
    "grpo": "sampled answers, each compared with its group",
    "rloo": "sampled answers, each compared with the others",
}


def _objective(recipe: Recipe) -> str:
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
    return gib(seen.expected, seen.low, seen.high)


def _time(plan: Plan) -> str:
    seconds = plan.forecast.seconds
    low, high = plan.forecast.seconds_low, plan.forecast.seconds_high
    span = f" ({duration(low)} to {duration(high)})" if low and high else ""
    return f"{duration(seconds) if seconds else 'unknown'}{span}, {money(plan.forecast.cost_usd)}"


def token_lines(preflight: Any) -> list[str]:
    """Return rows as the model sees them; trained text is between `[[` and `]]`, control characters are numbers."""
    lines = [
        f"Train rows: {preflight.rows:,}. Trained tokens: {preflight.trained:,} of {preflight.tokens:,}. "
        f"Rows whose end of answer is trained: {preflight.eos_trained:,}",
        f"Rows left out: {len(preflight.too_long):,} too long, {len(preflight.masked):,} without a trained token",
    ]
    for row in preflight.shown:
        text = marked(row.pieces)
        lines += ["", f"train:{row.row}   {row.trained} of {row.tokens} tokens trained"]
        lines += ["  " + visible(line) for line in text.split("\n")]
    return lines


def measured_rows(found: DryRun) -> Iterator[tuple[str, str]]:
    """(name, value) of each figure."""
    seen, forecast = found.estimate, found.forecast
    said = f", estimated {seen['expected']:.2f} ({seen['low']:.2f} to {seen['high']:.2f})" if seen else ""
    yield "memory", f"{found.peak_gib:.2f} GiB at the peak{said}; libraries {found.imports_gib:.2f} more"
    steps = ", ".join(f"{step.seconds:.2f} s" for step in found.steps)
    yield "steps", f"{steps}; the first has the longest rows"
    yield (
        "speed",
        f"{found.tokens_per_second:,.0f} tokens/s in {found.precision}, {found.loading_seconds:.1f} s to load",
    )
    low, middle, high = (duration(s or 0.0) for s in (forecast.seconds_low, forecast.seconds, forecast.seconds_high))
    yield "time", f"{middle} ({low} to {high}): mean step (fastest to slowest)"
    disk = f"{found.disk_needed / 1e6:,.0f} MB of {found.disk_free / 1e9:,.1f} GB free"
    yield "disk", f"{disk}: {megabytes(found.checkpoint_bytes)} a checkpoint"
    lost = len(found.answer_lost)
    whole = f"{counted(lost, 'answer')} only partly trained" if lost else "every answer is trained completely"
    yield "template", f"{found.template_sha256[:8]}; {whole}"


def explain_lines(plan: Plan, gates: Sequence[Gate], policy: GateSettings) -> Iterator[str]:
    """Yield values, then gates."""
    yield "Values"
    for name, why in plan.because.items():
        by = "   set by a person" if why.by == "person" and not why.text.startswith("set by") else ""
        yield f"  {name} = {getattr(plan.recipe, name)}"
        source = f"   {', '.join(why.source)}" if why.source else ""
        yield f"      {why.text}   [{why.rule}]{source}{by}"
    yield ""
    yield "Gates, in this order; the training process computes each again"
    for gate in gates:
        yield from _explained_gate(gate, policy)


def _explained_gate(gate: Gate, policy: GateSettings) -> Iterator[str]:
    yield f"{gate.symbol} {gate.name:<10} {gate.fact}"
    if gate.rule or gate.why:
        yield f"      rule      {gate.rule or 'passed'}{f': {gate.why}' if gate.why else ''}"
    for name, value in gate.evidence.items():
        yield f"      evidence  {name} = {value}"
    if not gate.evidence:
        yield "      evidence  none: it could not be checked" if gate.passed is None else "      evidence  none"
    if gate.shown:
        yield f"      file      {gate.shown}"
    if gate.override is not None:
        aside = gate.override
        yield f'      override  {aside.by}, {aside.at:%Y-%m-%d %H:%M} UTC: "{aside.reason}"'
    who = f"by {' or '.join(policy.override_by)}" if policy.override_by else "by name"
    may = f"may be overridden {who} with a reason" if gate.name in policy.may_override else "cannot be overridden"
    yield f"      policy    {may}"
    if not gate.opens and gate.opener:
        yield f"      opens by  {gate.opener}"


def dry_run_lines(found: DryRun) -> Iterator[str]:
    """Yield rows, then what was measured beside what was estimated, then findings."""
    yield from token_lines(found.rows)
    yield ""
    for name, value in measured_rows(found):
        yield f"  {name:<14} {value}"
    yield ""
    for finding in found.findings:
        yield f"{'✗' if finding.level == 'blocks' else '!'} {finding.text}"
    if not found.findings:
        yield "✓ nothing to fix"


def sweep_lines(found: Sweep) -> Iterator[str]:
    """Yield the combinations, the best first, with their losses from rung to rung."""
    best = found.best
    values = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in best.values.items()
    )
    yield f"Best on validation: {values}"
    yield ""
    for place, standing in enumerate(found.standings):
        losses = "  ".join("no number" if loss is None else f"{loss:.4f}" for loss in standing.losses)
        shown = ", ".join(f"{name}={value}" for name, value in standing.values.items())
        yield f"{'▸' if place == 0 else ' '} {standing.name}  {shown:<40} {standing.steps:>5} steps   {losses}"
    yield ""
    if not found.told_apart:
        yield "! The lead is within the standard error of validation: the second may be as good."
    if found.stopped:
        yield f"! Stopped early: {found.stopped}."
    took = f"{counted(found.steps, 'step')} in {found.seconds:,.0f} s"
    yield f"{took}. Chosen on validation; the test set was not used."


def managed_lines(found: Sequence[Managed], plan: str, tokens: int) -> Iterator[str]:
    """Yield every provider of tuning with its status and date, and the `tokens` of the `plan` that it would bill."""
    yield "Tuning as a service. Advice with a date; this command uploads nothing."
    if plan:
        yield f"{plan} trains {tokens:,} tokens by its own base model's tokenizer; theirs will differ."
    for one in found:
        until = f", no new jobs after {one.until}" if one.until else ""
        yield ""
        yield f"{one.name}   {one.status}{until}   (read {one.read}{', expired: look again' if one.old else ''})"
        facts = (one.advice, f"models: {', '.join(one.models)}", f"rows:   {one.form}", f"price:  {one.price}")
        yield from (f"  {text}" for text in (*facts, ", ".join(one.source)))


def run_line(run: RunRecord) -> str:
    """Return one run in `rung runs list`."""
    if run.adopted is not None:
        return (
            f"{run.id}  adopted   {run.adopted.source}   {run.method}, {run.dataset}   trained on: {run.adopted.rows}"
        )
    best = "" if run.best_loss is None else f"   best step {run.best_step}, validation {best_words(run)}"
    ending = f"   {run.ending}" if run.ending and run.state in ("failed", "crashed", "stopped") else ""
    made = f"{kind_of(run.method, run.objective)}, {run.dataset}, {run.plan}"
    return f"{run.id}  {run.state:<9} step {run.step} of {run.steps}   {made}{best}{ending}"


def best_words(run: RunRecord) -> str:
    """Return the validation loss of the kept checkpoint, and its score where the metric chose it."""
    score = "" if run.best_score is None else f", score {run.best_score:.1%}"
    return f"{run.best_loss:.3f}{score}"


def spent_words(usd: float | None) -> str:
    """Return the cost of the run's machine so far, ` $0.42 so far`; empty if no price is known."""
    return "" if usd is None else f"   {money(usd)} so far"


def ending_words(run: RunRecord) -> str:
    """Return the end of a run, from its verb on: `finished in 14 min. Best checkpoint: ...`; empty while it runs."""
    if run.adopted is not None:
        return " ".join([f"was adopted from {run.adopted.source}, not trained here.", *run.adopted.unchecked])
    best = "" if run.best_loss is None else f" Best checkpoint: step {run.best_step}, validation {best_words(run)}."
    if run.state == "finished":
        early = f" Ended early: {run.ending}." if run.ending.startswith("over-fitting") else ""
        return f"finished in {duration(run.seconds)}.{early}{best}"
    if run.state in ("stopped", "crashed", "failed"):
        whole = f" Checkpoint {run.step} is complete." if run.step and run.state != "failed" else ""
        return f"{run.state} at step {run.step}: {run.ending}.{whole}{best}"
    return ""


def ending_lines(run: RunRecord) -> list[str]:
    """Return how a run ended, and the next command."""
    ending, after = ending_words(run), f"Next: {after_run(run).command}"
    spent = spent_words(run.usd(now()))
    return [f"{run.id} {ending or f'is {run.state}: step {run.step} of {run.steps}.'}{spent}", after]


def validation_words(line: dict[str, Any], places: int = 3) -> str:
    """Return the validation loss; if the metric was measured, also its score and the best prompted arm's."""
    words = f"{line['loss']:.{places}f}"
    if line.get("score") is None:
        return words
    words += f", score {line['score']:.1%}"
    beat = line.get("beat")
    return words + (f" against {beat['arm'].replace('_', '-')} {beat['score']:.1%}" if beat else "")


EVIDENCE_NAMES = {
    ("leakage", "test"): "leaks into test",
    ("leakage", "validation"): "leaks into validation",
    ("leakage", "dismissed"): "dismissed by name",
    ("dataset", "version"): "dataset",
    ("review", "reviewed"): "decided and kept",
    ("review", "automatic"): "by an automatic reviewer",
    ("review", "person"): "by a person",
    ("machine", "gib"): "planned",
    ("machine", "has"): "available",
}
HASH = 8
"""Characters of a hash."""
FACT = 38
"""Column of a gate's file, and of its rule (two more)."""


def gate_lines(gates: Sequence[Gate]) -> list[str]:
    """Return one line a gate; under a closed one why, rule and the command that opens it."""
    lines = []
    for gate in gates:
        lines.append(_columns(f"{gate.symbol} {gate.name:<10} ", fact_words(gate), FACT, gate.shown))
        if not gate.opens:
            if gate.why:
                lines.append(_columns(" " * 13, f"why: {gate.why}", FACT + 2, f"rule {gate.rule}" if gate.rule else ""))
            if gate.opener:
                lines.append(f"{' ' * 13}do:  {gate.opener}")
    return lines


def fact_words(gate: Gate) -> str:
    """Return the line of a gate: who overrode it and why, else what was found."""
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
    """Return the refusal of `rung train`: count first, six gates, and the next command."""
    first = next(gate for gate in gates if not gate.opens)
    last = f"Nothing was started.  Next: {first.opener}" if first.opener else "Nothing was started."
    return [f"Training is locked: {passed_of(gates)}.", "", *gate_lines(gates), "", last]


def evidence_lines(gate: Gate) -> Iterator[str]:
    """`next step: fine-tune`, `sha256: 41aa90c2`."""
    for key, value in gate.evidence.items():
        yield f"{EVIDENCE_NAMES.get((gate.name, key), key.replace('_', ' '))}: {_said(gate.name, key, value)}"


def _said(gate: str, key: str, value: str | int | float | bool) -> str:
    if key == "next_step":
        return STEP_WORDS.get(str(value), str(value))
    if key == "sha256":
        return str(value)[:HASH]
    if gate == "machine":
        return gib(float(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
