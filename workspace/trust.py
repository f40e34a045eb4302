"""Folders whose code this account may run. Kept with the account, outside every project, so that none trusts itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

from workspace.files import write_private


def state_file() -> Path:
    """Where the list is kept: the account's state folder, or `RUNG_STATE_DIR`."""
    import platformdirs

    return Path(os.environ.get("RUNG_STATE_DIR") or platformdirs.user_state_dir("rung")) / "trusted.json"


def is_trusted(folder: Path) -> bool:
    """Whether the account's owner trusted this very folder."""
    return str(folder.resolve()) in _read()


def trust(folder: Path) -> None:
    """Trust a folder from now on."""
    _write([*_read(), str(folder.resolve())])


def distrust(folder: Path) -> None:
    """Take the trust back; nothing happens where there was none."""
    _write([name for name in _read() if name != str(folder.resolve())])


def _read() -> list[str]:
    """What cannot be read trusts nothing."""
    try:
        found = json.loads(state_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _write(folders: list[str]) -> None:
    path = state_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, json.dumps(sorted(set(folders)), indent=1) + "\n")
