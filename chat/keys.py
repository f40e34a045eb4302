"""Keys of servers: from the environment, else from the keyring of the system. Never from a file or a command line.

A key goes to the host that it was made for: `ANTHROPIC_API_KEY` and `OPENAI_API_KEY` to their vendor's own host alone,
`RUNG_API_KEY` to hosts that the person named or trusted. None goes over plain http to another machine.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult

from workspace.errors import RungError
from workspace.extras import installed
from workspace.trust import VENDORS, is_this_machine

SERVICE = "rung"
"""Under which name the keyring holds them: `keyring set rung OPENAI_API_KEY`."""
NAMES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "RUNG_API_KEY", "HF_TOKEN",
         "TOGETHER_API_KEY", "FIREWORKS_API_KEY")  # fmt: skip
KEYS = {VENDORS["anthropic"]: "ANTHROPIC_API_KEY", VENDORS["openai"]: "OPENAI_API_KEY"}
"""The key of each vendor's own host."""
OTHER = "RUNG_API_KEY"
NONE = "none"
"""Placeholder key for a server that needs none: the SDKs require one."""
SHORTEST = 8
""""Keys" such as `none` and `test` are words that messages hold anyway."""
_given: set[str] = set()


def key_of(name: str) -> str:
    """Return the key of that name; empty if there is none. Raises RungError if the keyring cannot be read."""
    return os.environ.get(name, "").strip() or _in_keyring(name)


def key_for(place: SplitResult, *, may_have_key: bool) -> tuple[str, str]:
    """Return the key to send to an address (NONE where there is none), and why `RUNG_API_KEY` is kept back, if it is.

    Raises RungError if the host is a vendor's own and its key is missing or would travel in clear text.
    """
    host = place.hostname or ""
    clear = place.scheme != "https" and not is_this_machine(host)
    if name := KEYS.get(host):
        if clear:
            said = f'"{place.scheme}://{host}" would send {name} in clear text.'
            raise RungError(
                said, f'base_url = "https://{host}/..."', where="rung.toml", found=f"{place.scheme}://{host}"
            )
        if not (key := key_of(name)):
            hint = f"{how_to_give(name)}, --provider local, or your own server: [model] base_url in rung.toml"
            said = f"No key for {host}: {name} is neither in the environment nor in the keyring."
            raise RungError(said, hint, where=name)
        return key, ""
    if clear:
        why = f"{OTHER} is not sent to {host}: plain http. Use https, or a tunnel to this machine."
    elif not may_have_key:
        why = f"{OTHER} is not sent to {host} before: rung trust"
    else:
        return key_of(OTHER) or NONE, ""
    return NONE, why if key_of(OTHER) else ""


def only_for(client: Any, place: SplitResult, *, keep_headers: bool) -> None:
    """Take out of an SDK's client what it read from the environment by itself and what may name its owner: headers,
    organisation and project are for the vendor's own host (with `keep_headers` also for one of the environment).

    Raises RungError if the SDK would connect to another host than the one that was checked.
    """
    if client.base_url.host.lower() != place.hostname:
        said = f"The address of {place.hostname} can be read as another host's ({client.base_url.host})."
        raise RungError(said, 'base_url = "https://HOST:PORT/v1" in rung.toml', where="rung.toml")
    if place.hostname in KEYS or keep_headers:
        return
    client._custom_headers = {}
    for name in ("organization", "project"):
        if hasattr(client, name):
            setattr(client, name, None)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a program of somebody else: without the keys."""
    return {name: value for name, value in environment.items() if name not in NAMES}


def how_to_give(name: str) -> str:
    """Return the command that gives a key."""
    return f"export {name}=...   (or, with rung[keyring]: keyring set {SERVICE} {name})"


def without_keys(text: str) -> str:
    """Remove the keys that some servers repeat in a refusal: none is in a message or log."""
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
            f"The keyring could not be read for {name}: {str(error) or type(error).__name__}.",
            f"Unlock it, or: export {name}=...",
            where=name,
        ) from error
    _given.add(key)
    return key
