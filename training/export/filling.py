"""The files of an export: templates with the plan's values in them."""

import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pprint import pformat

from advisor.sizing.cards import cards
from training.export.bundle import Bundle
from training.templates import templates
from workspace.errors import Refusal

FOLDER = Path(__file__).with_name("templates")
ATTENTION = ("sdpa", "eager", "flash_attention_2")
"""What every trainer knows; packed rows are kept apart here by an attention of Rung's own, elsewhere by this one."""
KEPT = (
    "method", "rank", "alpha", "dropout", "targets", "quantisation", "learning_rate", "schedule", "warmup",
    "weight_decay", "grad_norm", "batch", "epochs", "steps", "max_length", "packing", "evals", "patience", "keep_last",
    "seed", "attention", "checkpointing",
)  # fmt: skip
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes")
SKYPILOT = {
    "T4 16GB": "T4", "RTX 3090 24GB": "RTX3090", "RTX 4090 24GB": "RTX4090", "L4 24GB": "L4", "A10G 24GB": "A10G",
    "L40S 48GB": "L40S", "A100 40GB": "A100", "A100 80GB": "A100-80GB", "H100 80GB": "H100", "H200 141GB": "H200",
    "B200 180GB": "B200",
}  # fmt: skip
"""SkyPilot's names of cards, by those of rules/hardware.toml."""


def filled(bundle: Bundle, *folders: str, **more: object) -> dict[str, str]:
    """Every file of these folders of templates, by its name in the export.

    Raises Refusal where SkyPilot has no card with room.
    """
    pages = templates(FOLDER)
    known = {**_values(bundle), **_surroundings(bundle), **more}
    if "skypilot" in folders:
        known["accelerators"] = _accelerators(bundle)
    found = {}
    for folder in folders:
        for path in sorted((FOLDER / folder).rglob("*.j2")):
            name = path.relative_to(FOLDER if folder == "launch" else FOLDER / folder).with_suffix("").as_posix()
            found[name] = pages.get_template(path.relative_to(FOLDER).as_posix()).render(known)
    return found


def _values(bundle: Bundle) -> dict[str, object]:
    """The recipe as a plain table; `values` is this table as Python writes it."""
    recipe = bundle.recipe
    chosen = recipe.model_dump(include=set(KEPT))
    table = {
        "plan": bundle.plan.id,
        "dataset": bundle.plan.dataset,
        "base": bundle.base,
        **{name: chosen[name] for name in KEPT},
        "attention": recipe.attention if recipe.attention in ATTENTION else "flash_attention_2",
        "rows_a_step": recipe.rows_a_step,
        "rslora": recipe.rslora or recipe.method == "rslora",
        "dora": recipe.method in ("dora", "qdora"),
        "stream_over": bundle.stream_over,
        "rows": {split: len(rows) for split, rows in bundle.rows.items()},
    }
    return {**table, "values": pformat(table, width=100, sort_dicts=False)}


def _surroundings(bundle: Bundle) -> dict[str, object]:
    """What templates read besides the recipe; `every` counts steps between two evaluations."""
    recipe, rows, shared_by = bundle.recipe, len(bundle.rows["train"]), max(2, bundle.cards)
    share = recipe.rows_a_step // shared_by
    several = f"torchrun --standalone --nproc_per_node {bundle.cards} train.py --processes {bundle.cards}"
    return {
        "title": f"Trains plan {bundle.plan.id} of Rung: {recipe.method} on {bundle.plan.recipe.base}, "
        f"dataset {bundle.plan.dataset}, {rows:,} rows.",
        "accumulation": recipe.accumulation,
        "loss": recipe.loss,
        "every": max(1, math.ceil(math.ceil(rows / recipe.rows_a_step) / recipe.evals)),
        "local": bundle.local,
        "tools": any("tools" in row for row in bundle.rows["train"]),
        "cards": bundle.cards,
        "shared_by": shared_by,
        "micro_batch": next((n for n in range(min(share, recipe.batch), 0, -1) if share % n == 0), 1),
        "command": "python train.py" if bundle.cards == 1 else several,
        "packages": [_pinned(name) for name in PACKAGES],
        "forecast": bundle.plan.forecast,
        "gates": bundle.clearance.gates,
        "left_out": bundle.left_out,
    }


def _accelerators(bundle: Bundle) -> dict[str, int]:
    """Every card with room: SkyPilot rents the cheapest."""
    least = bundle.plan.forecast.high or 0.0
    fitting = [SKYPILOT[card.name] for card in cards() if card.name in SKYPILOT and card.memory_gib >= least]
    if not fitting:
        raise Refusal(f"{bundle.plan.id} needs {least:.1f} GiB; no card of SkyPilot has that.", "rung plan --card 80GB")
    return dict.fromkeys(fitting, bundle.cards)


def _pinned(package: str) -> str:
    """The package at the version of this machine, without the part that names a build."""
    try:
        return f"{package}=={version(package).partition('+')[0]}"
    except PackageNotFoundError:
        return package
