"""Measured against estimated, beside what other rules say of the same runs."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.memory.runs import FITTED

MIB = 1 << 20


def rated(result: dict[str, Any]) -> dict[str, Any]:
    """A measured run with what each rule says of it, in MiB."""
    from advisor.sizing.architecture import architecture_of
    from advisor.sizing.run_estimate import estimate
    from advisor.sizing.setup import Setup
    from workspace.shipped_rules import rule_file

    spec = result["spec"]
    architecture = architecture_of({"model_type": spec["model_type"], **spec["config"]}, spec["name"])
    setup = Setup(**spec["setup"])
    found = estimate(architecture, setup)
    rule = next(entry for entry in rule_file("memory.toml")["rule"] if entry["id"] == "llama-factory")
    key = setup.method if setup.method in ("full", "qlora") else "lora"
    source = {"full": 160, "lora": 20, "qlora": 8}[key] / 7
    # LLaMA-Factory's factors are for 16-bit weights: 32-bit full runs take its mixed rule, other 32-bit runs twice its.
    wide = setup.dtype == "fp32" and key != "qlora"
    factor = rule["full_mixed" if key == "full" and wide else key] * (2 if key == "lora" and wide else 1)
    size = architecture.parameters / MIB
    return {
        "name": spec["name"],
        "expected": found.memory.expected / MIB,
        "low": found.memory.low / MIB,
        "high": found.memory.high / MIB,
        "tensors": result["tensors"] / MIB if result["tensors"] else None,
        "resident": result["resident"] / MIB if result["resident"] else None,
        "llama_factory": size * factor,
        "source": size * source,
        "accelerate": accelerates_own(architecture.parameters, setup.dtype) / MIB,
    }


def accelerates_own(parameters: int, dtype: str) -> int:
    """Return the training memory by `accelerate estimate-memory`'s own function, which takes 32-bit bytes."""
    from accelerate.commands.estimate import estimate_training_usage

    known = estimate_training_usage(parameters * 4, {"fp32": "float32", "bf16": "bfloat16"}.get(dtype, "float16"))
    return int(max(known.values()))


def table(results: list[dict[str, Any]]) -> str:
    head = ["run", "tensors", "resident", "expected", "error", "error resident", "high"]
    head += ["source's table", "LLaMA-Factory", "accelerate"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    rows = [rated(result) for result in results]
    for r in rows:
        cells = [r["name"], number(r["tensors"]), number(r["resident"]), number(r["expected"])]
        cells += [error(r["expected"], r["tensors"]), error(r["expected"], r["resident"]), number(r["high"])]
        cells += [error(r[key], r["tensors"]) for key in ("source", "llama_factory", "accelerate")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *summary(rows)])


def summary(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    unused = [r for r in rows if r["name"] not in FITTED]
    for key, bound, what in (
        ("tensors", 0.10, rows),
        ("resident", 0.15, rows),
        ("tensors", 0.10, unused),
        ("resident", 0.15, unused),
    ):
        sound = [r for r in what if r[key]]
        errors = sorted(abs(r["expected"] / r[key] - 1) for r in sound)
        within = sum(e <= bound for e in errors)
        above = [r["name"] for r in sound if r[key] > r["high"]]
        if errors:
            lines.append(
                f"{key}{', not used for fitting' * (what is unused)}: {within} of {len(errors)} within {bound:.0%}; "
                f"median error {statistics.median(errors):.1%}, "
                f"largest {errors[-1]:.1%}; above high: {', '.join(above) or 'none'}"
            )
    names = {"source": "the source's table", "llama_factory": "LLaMA-Factory's rule"}
    names["accelerate"] = "accelerate estimate-memory (four times the weights, whatever the method)"
    for key, name in names.items():
        errors = sorted(abs(r[key] / r["tensors"] - 1) for r in rows if r["tensors"])
        if errors:
            within = sum(e <= 0.10 for e in errors)
            lines.append(f"{name}: {within} of {len(errors)} within 10%; median error {statistics.median(errors):.0%}")
    return lines


def number(value: float | None) -> str:
    return f"{value:,.0f}" if value else "-"


def error(said: float, measured: float | None) -> str:
    return f"{said / measured - 1:+.1%}" if measured else "-"
