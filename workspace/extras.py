"""Optional parts: a missing one is a sentence with the pip command, never a traceback."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from workspace.errors import RungError

PURPOSE = {
    "llm": "Talking to a hosted model",
    "web": "The review page in a browser",
    "postgres": "A PostgreSQL store",
    "quality": "This format or check",
    "argilla": "Argilla's dataset format",
    "ray": "The Ray engine",
    "train": "Running a local model and training",
    "demo": "The demo",
}
SIZE = {"train": " (about 1.7 GB with torch's CPU build, 6 GB with CUDA)"}
"""Installed size, measured: docs/how-to/install.md."""


def require(extra: str, module: str) -> ModuleType:
    """Import `module`, which the extra `extra` installs.

    Raises RungError that names the extra and the pip command where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name.split(".")[0]):
            raise
        raise RungError(
            f'{PURPOSE[extra]} needs the "{extra}" extra{SIZE.get(extra, "")}.', f'pip install "rung[{extra}]"'
        ) from error


def installed(module: str) -> bool:
    """Whether `module` can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None
