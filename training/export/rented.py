"""The TRL script on a rented machine: by SkyPilot, by dstack, or in a notebook (Colab, Kaggle, any Jupyter)."""

from __future__ import annotations

import json
import math
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


def skypilot(bundle: Bundle) -> dict[str, str]:
    """`sky.yaml`: rents the cheapest card with room, trains, and goes down when idle. Raises Refusal where none has."""
    least = bundle.plan.forecast.high or 0.0
    fitting = {NAMES[card.name]: bundle.cards for card in cards() if card.name in NAMES and card.memory_gib >= least}
    if not fitting:
        raise Refusal(f"{bundle.plan.id} needs {least:.1f} GiB; no card of SkyPilot has that.", "rung plan --card 80GB")
    table: Table = {
        "name": f"rung-{bundle.plan.id.lower()}",
        "workdir": ".",
        "resources": {"accelerators": fitting, "autostop": {"idle_minutes": IDLE_MINUTES, "down": True}},
        "setup": f"pip install {' '.join(_pinned())}",
        "run": _command(bundle),
    }
    if bundle.local:
        table["file_mounts"] = {bundle.base: bundle.base}
    return {"sky.yaml": yaml(table, f"{title(bundle)}\nRun: sky launch -c tuning sky.yaml")}


def dstack(bundle: Bundle) -> dict[str, str]:
    """`tuning.dstack.yml`: a task on the cheapest card with room, which waits for the adapter to be copied, then ends.

    Source: https://dstack.ai/docs/reference/dstack.yml/task/ (read 2026-11-29).
    """
    table: Table = {
        "type": "task",
        "name": f"rung-{bundle.plan.id.lower()}",
        "files": [".:/tuning", *([f"{bundle.base}:{bundle.base}"] if bundle.local else [])],
        "working_dir": "/tuning",
        "python": "3.12",
        "commands": [f"uv pip install {' '.join(_pinned())}", _command(bundle), f"sleep {60 * IDLE_MINUTES}"],
        "resources": {
            "gpu": {"memory": f"{max(1, math.ceil(bundle.plan.forecast.high or 0))}GB..", "count": bundle.cards}
        },
        "max_duration": "24h",
    }
    return {"tuning.dstack.yml": yaml(table, f"{title(bundle)}\nRun: dstack apply -f tuning.dstack.yml")}


def notebook(bundle: Bundle) -> dict[str, str]:
    """`train.ipynb` for one card: it asks for this folder as a zip file unless it runs beside the script."""
    code = (
        "from pathlib import Path\nif not Path('train.py').exists():\n    from google.colab import files\n"
        "    for name in files.upload():\n        !unzip -q {name}",
        f"%pip install -q {' '.join(_pinned()[1:])}",  # torch is there, built for its card
        "%run train.py",
        "!zip -qr adapter.zip output\nif 'google.colab' in str(get_ipython()):\n    files.download('adapter.zip')",
    )
    text = (
        f"{title(bundle)}\n\nChoose a runtime with a GPU. Zip this folder (`zip -r bundle.zip .`), run all cells, and "
        "upload it when asked. At the end `adapter.zip` comes back: unpack it in the folder of the export, then "
        "`rung runs adopt output/adapter`."
    )
    cells: list[Table] = [{"cell_type": "markdown", "id": "about", "metadata": {}, "source": text}]
    cells += [
        {
            "cell_type": "code",
            "id": f"step-{n}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(code, 1)
    ]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "accelerator": "GPU"}
    made = {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": cells}
    return {"train.ipynb": json.dumps(made, indent=1) + "\n"}


def _command(bundle: Bundle) -> str:
    if bundle.cards == 1:
        return "python train.py"
    return f"torchrun --standalone --nproc_per_node {bundle.cards} train.py --processes {bundle.cards}"


def _pinned() -> list[str]:
    """The packages at the versions of this machine, without the part that names a build."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name}=={version(name).partition('+')[0]}")
        except PackageNotFoundError:
            found.append(name)
    return found
