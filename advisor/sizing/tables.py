"""The dated tables below `rules/`: found in a checkout and in an installed wheel alike, read once."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any

from workspace.errors import RungError


def rules_folder() -> Path:
    """Where `rules/` stands: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "rules"
    return inside if inside.is_dir() else package.parent / "rules"


@functools.cache
def load_table(name: str) -> dict[str, Any]:
    """`rules/NAME.toml` as a table; treat it as read-only, it is shared.

    Raises RungError where it is missing or broken.
    """
    path = rules_folder() / f"{name}.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RungError(f"{path}: the table cannot be read ({error}).", "pip install --force-reinstall rung") from error
