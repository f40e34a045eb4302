"""Which model is trained: a name in rung.toml turned into a folder or a hub id, and a fingerprint of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from workspace.errors import RungError

EMBEDDED = "embedded"
EDGE = 1 << 20


def resolve_base(base: str) -> str:
    """The local folder of `embedded` or of a folder's name; a hub id as it is.

    Raises RungError for a path that is not there.
    """
    if base == EMBEDDED:
        from chat.local.embedded import embedded_model

        return str(embedded_model())
    if Path(base).expanduser().is_dir():
        return str(Path(base).expanduser().resolve())
    if base.startswith((".", "/", "~")):
        raise RungError(f"[model] base = {base}: no such folder.", "Name a model folder, a hub id, or embedded")
    return base


def hub_allowed(resolved: str) -> bool:
    """Whether a hub may be asked: only where the user named a hub id."""
    return not Path(resolved).is_dir()


def fingerprint(resolved: str) -> str:
    """Hex SHA-256 over config, tokenizer and the weights' sizes and edges; empty for a hub id.

    Of each weights file the first and last MiB count: enough to tell two models apart, in milliseconds.
    """
    folder = Path(resolved)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.name in {"config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}:
            digest.update(path.name.encode() + path.read_bytes())
        elif path.suffix == ".safetensors":
            digest.update(f"{path.name} {path.stat().st_size}".encode() + _edges(path))
    return digest.hexdigest()


def _edges(path: Path) -> bytes:
    with path.open("rb") as file:
        first = file.read(EDGE)
        file.seek(max(0, path.stat().st_size - EDGE))
        return first + file.read(EDGE)
