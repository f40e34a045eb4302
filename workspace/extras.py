"""Optional parts: a missing one is a sentence with the command that brings it, never a traceback."""

import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

from workspace.errors import RungError

PURPOSE = {
    "llm": "Talking to a hosted model",
    "web": "The review page in a browser",
    "postgres": "A PostgreSQL store",
    "quality": "This format or check",
    "keyring": "Keys from the system's keyring",
    "hub": "A dataset of the Hub",
    "optimise": "Rewriting a prompt",
    "ray": "The Ray engine",
    "train": "Running a local model and training",
    "demo": "The demo",
    "mcp": "The server for agents",
    "managed": "Tuning at a provider",
}
SIZE = {"train": " (about 1.7 GB with torch's CPU build, 6 GB with CUDA)"}
"""Installed size, measured: docs/how-to/install.md."""


def require(extra: str, module: str) -> ModuleType:
    """Import a module of an extra. Raises RungError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name.split(".")[0]):
            raise
        raise _missing(extra) from error


def need(extra: str, module: str) -> None:
    """Require an extra, as `require`, without importing it."""
    if not installed(module):
        raise _missing(extra)


def install_command(extra: str, prefix: Path = Path(sys.prefix)) -> str:
    """Return the command that installs the extra here: by uv tool, by pipx, else by pip, from the program's origin.

    uv and pipx replace the extras of a tool, so those that their notes in `prefix` name are named again.
    """
    source = _origin()
    where = f" @ {source}" if source else ""
    receipt = prefix / "uv-receipt.toml"
    if receipt.is_file():
        return f'uv tool install "rung[{",".join(sorted({extra, *_extras_of(receipt)}))}]{where}"'
    pipx = prefix / "pipx_metadata.json"
    if pipx.is_file():
        return f'pipx install --force "rung[{",".join(sorted({extra, *_extras_of_pipx(pipx)}))}]{where}"'
    return f'pip install "rung[{extra}]{where}"'


def _origin() -> str:
    """Return the pip address of the wheel, folder or repository that Rung was installed from; empty for an index or a
    checkout. Notes: https://packaging.python.org/en/latest/specifications/direct-url-data-structure/
    """
    import importlib.metadata  # 30 ms that no other command needs

    try:
        noted = json.loads(importlib.metadata.distribution("rung").read_text("direct_url.json") or "{}")
        if not noted or noted.get("dir_info", {}).get("editable"):
            return ""
        address, within = str(noted["url"]), noted.get("subdirectory")
        if kept := noted.get("vcs_info"):
            address = f"{kept['vcs']}+{address}@{kept['commit_id']}"
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f"{address}#subdirectory={within}" if within else address


def _extras_of(receipt: Path) -> list[str]:
    import tomllib

    try:
        asked = tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]
        return [str(extra) for each in asked if each["name"] == "rung" for extra in each.get("extras", [])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _extras_of_pipx(notes: Path) -> list[str]:
    try:
        asked = json.loads(notes.read_text(encoding="utf-8"))["main_package"]["package_or_url"]
        found = re.search(r"\[([\w, -]+)\]", asked)
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [extra.strip() for extra in found[1].split(",")] if found else []


def _missing(extra: str) -> RungError:
    return RungError(f'{PURPOSE[extra]} needs the "{extra}" extra{SIZE.get(extra, "")}.', install_command(extra))


def installed(module: str) -> bool:
    """True if `module` can be imported. Does not import it."""
    return importlib.util.find_spec(module) is not None
