"""The data-only rules: `rules/` beside the packages, or inside `advisor/` in an installed wheel."""

import tomllib
from functools import cache
from pathlib import Path

from workspace.errors import RungError
from workspace.json_types import JsonObject

_TOP = Path(__file__).resolve().parent.parent


def rules_folder() -> Path:
    """Return the folder of the rules that came with this program."""
    installed = _TOP / "advisor" / "rules"
    return installed if installed.is_dir() else _TOP / "rules"


@cache
def rule_file(name: str) -> JsonObject:
    """Return the table in `rules/NAME`, read once. Raises RungError if it is missing or not TOML."""
    path = rules_folder() / name
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RungError(f"{path}: cannot be read ({error}).", "Install rung again.", where=str(path)) from error
