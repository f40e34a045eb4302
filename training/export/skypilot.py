"""The TRL script for SkyPilot: one YAML that rents the cheapest card with room, trains, and goes down when idle."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from advisor.sizing.cards import cards
from training.export.bundle import Bundle, Table
from training.export.values import title, yaml
from workspace.errors import Refusal

NAMES = {
    "T4 16GB": "T4",
    "RTX 3090 24GB": "RTX3090",
    "RTX 4090 24GB": "RTX4090",
    "L4 24GB": "L4",
    "A10G 24GB": "A10G",
    "L40S 48GB": "L40S",
    "A100 40GB": "A100",
    "A100 80GB": "A100-80GB",
    "H100 80GB": "H100",
    "H200 141GB": "H200",
    "B200 180GB": "B200",
}
"""SkyPilot's names of cards, by those of rules/hardware.toml."""
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes")
IDLE_MINUTES = 10
"""Minutes without a job after which the machine goes down: time to copy the adapter."""


def task(bundle: Bundle) -> dict[str, str]:
    """`sky.yaml` by name. Raises Refusal where the plan fits no card that SkyPilot is asked for."""
    least = bundle.plan.forecast.high or 0.0
    fitting = {NAMES[card.name]: bundle.cards for card in cards() if card.name in NAMES and card.memory_gib >= least}
    if not fitting:
        raise Refusal(f"{bundle.plan.id} needs {least:.1f} GiB; no card of SkyPilot has that.", "rung plan --card 80GB")
    several = f"torchrun --standalone --nproc_per_node {bundle.cards} train.py --processes {bundle.cards}"
    table: Table = {
        "name": f"rung-{bundle.plan.id.lower()}",
        "workdir": ".",
        "resources": {"accelerators": fitting, "autostop": {"idle_minutes": IDLE_MINUTES, "down": True}},
        "setup": f"pip install {' '.join(_pinned())}",
        "run": "python train.py" if bundle.cards == 1 else several,
    }
    if bundle.local:
        table["file_mounts"] = {bundle.base: bundle.base}
    return {"sky.yaml": yaml(table, f"{title(bundle)}\nRun: sky launch -c tuning sky.yaml")}


def _pinned() -> list[str]:
    """The packages at the versions of this machine, without the part that names a build."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name}=={version(name).partition('+')[0]}")
        except PackageNotFoundError:
            found.append(name)
    return found
