"""Model folders that somebody else made: checks before anything of them is loaded or run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from workspace.errors import RungError
from workspace.json_types import JsonObject

PATIENCE = 60.0
"""Seconds of the wall for the trial of a template, of which it may use two of the processor."""
PER_BYTE = 2
"""The most weights that one byte holds: four bits each."""
MOST_LAYERS = 1_000


def check_sizes(folder: Path) -> None:
    """Raises RungError if config.json describes a model that its weights cannot be: nothing is allocated for it."""
    held = PER_BYTE * sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    config = _config(folder / "config.json")
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        width, words, layers = (_whole(part.get(key)) for key in ("hidden_size", "vocab_size", "num_hidden_layers"))
        for key, least in (("vocab_size", width * words), ("num_hidden_layers", width * layers)):
            if least > held or layers > MOST_LAYERS:
                raise RungError(
                    f"{folder}: config.json and the weights do not belong together: {key} = {part[key]} needs more "
                    f"than the {held // PER_BYTE:,} bytes of weights hold.",
                    "Get the folder from its source again.",
                    where=str(folder / "config.json"),
                )


def _config(path: Path) -> JsonObject:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def try_template(tokenizer: Any) -> None:
    """Raises RungError if the tokenizer's chat template does not come to an end on a short talk."""
    template = getattr(tokenizer, "chat_template", None)
    for text in template.values() if isinstance(template, dict) else [template]:
        if isinstance(text, str) and not _ends(text):
            raise RungError(
                "The model's chat template does not end: four short messages took it more than 2 seconds, "
                "1 GiB or a million characters.",
                "Get the model from its source again, or put another chat_template.jinja into its folder.",
                where="chat_template",
            )


@cache
def _ends(template: str) -> bool:
    if os.name != "posix":
        return True
    command = [sys.executable, "-P", "-m", "chat.local.trial"]
    try:
        done = subprocess.run(command, input=template.encode(errors="replace"), timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
