"""Keys of servers: from the environment, else from the keyring of the system. Never from a file or a command line."""

from __future__ import annotations

import importlib
import os

from workspace.errors import RungError
from workspace.extras import installed

SERVICE = "rung"
"""Under which name the keyring holds them: `keyring set rung OPENAI_API_KEY`."""
NAMES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "RUNG_API_KEY", "HF_TOKEN")
SHORTEST = 8
""""Keys" such as `none` and `test` are words that stand in messages anyway."""
_given: set[str] = set()


def key_of(name: str) -> str:
    """The key of that name; empty where there is none.

    Raises RungError where the keyring is there but cannot be read (it is locked, say).
    """
    return os.environ.get(name, "").strip() or _in_keyring(name)


def how_to_give(name: str) -> str:
    """The command that gives a key."""
    return f"export {name}=...   (or, with rung[keyring]: keyring set {SERVICE} {name})"


def without_keys(text: str) -> str:
    """Some servers repeat the key that they refuse: it ends in no message and no log."""
    for key in {*(os.environ.get(name, "").strip() for name in NAMES), *_given}:
        if len(key) >= SHORTEST:
            text = text.replace(key, "[KEY]")
    return text


def _in_keyring(name: str) -> str:
    if not installed("keyring"):
        return ""
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        key = (keyring.get_password(SERVICE, name) or "").strip()
    except errors.NoKeyringError:
        return ""
    except errors.KeyringError as error:
        raise RungError(
            f"The keyring could not be read for {name}: {error or type(error).__name__}.",
            f"Unlock it, or: export {name}=...",
            where=name,
        ) from error
    _given.add(key)
    return key
