"""Trust of this account in a project: run its code, start its programs, connect to the hosts that it names.

A project folder may come from anybody. What it asks for is trusted item by item: code and programs by SHA-256, hosts by
name. So a changed file, or another host in rung.toml, asks again. The list is kept with the account, outside every
project, so that no project trusts itself. Values from the environment or a flag are the person's own: they need none.
"""

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workspace.errors import InputError, Refusal
from workspace.files import sha256_bytes, sha256_file, write_private
from workspace.folder import SETTINGS_FILE, links_out
from workspace.settings_file import read_file

CODE, PROGRAM, HOST, STORE, TRACKER, REMOTE = "code", "program", "host", "database", "tracker", "remote"
LINK = "link"
METRICS, ARMS = "metrics", "arms"
"""Folders of a project with code of its own."""
VENDORS = {"anthropic": "api.anthropic.com", "openai": "api.openai.com"}
"""The host that a hosted provider's calls go to where no `base_url` is named."""
MODELS = ("model", "judge", "bigger_model")
ON_THIS_MACHINE = frozenset({"tensorboard", "codecarbon", "dvclive"})
"""Trackers that write files and send nothing."""


LOCAL_STORE = re.compile(
    r"postgresql(\+\w+)?://([\w.~%+-]*(:[\w.~%+!$*=-]*)?@)?(localhost|127(\.\d+){3}|\[::1\])?(:\d+)?/[\w.-]*"
)
"""Database URLs that can lead to no other machine, however they are read: no host in a query, nothing odd anywhere."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a project asks for: `KIND NAME`. `sha256` is empty if the name is all there is to trust."""

    name: str
    what: str
    sha256: str = ""
    here: bool = False
    """A host on this machine: it may be asked without trust, but gets no key."""


def claims(root: Path, kind: str = "") -> list[Claim]:
    """Return all that the project's own files ask for, or one kind of it. The environment is the person's own."""
    try:
        table = read_file(root / SETTINGS_FILE, {}).table
    except InputError:
        table = {}
    found = [claim for name, ask in _KINDS.items() if kind in ("", name) for claim in ask(root, table)]
    return list({claim.name: claim for claim in found}.values())


def untrusted(root: Path, kind: str = "") -> list[Claim]:
    """Return the project's requests that this account has not trusted in their present form."""
    known = _read().get(str(root.resolve()), {})
    return [claim for claim in claims(root, kind) if known.get(claim.name) != claim.sha256]


def trust(root: Path, asked: Sequence[Claim] | None = None) -> None:
    """Trust what the project asks for now (or the part that was shown); what it no longer asks for is forgotten."""
    shown = claims(root) if asked is None else asked
    _write({**_read(), str(root.resolve()): {claim.name: claim.sha256 for claim in shown}})


def distrust(root: Path) -> None:
    """Forget a folder. Nothing happens where it was not trusted."""
    _write({name: items for name, items in _read().items() if name != str(root.resolve())})


def is_trusted(root: Path, kind: str, name: str) -> bool:
    """True if the project does not ask for `KIND NAME`, or this account trusts it as it is now."""
    return all(claim.name != f"{kind} {name}" for claim in untrusted(root, kind))


def demand(root: Path, kind: str, name: str) -> None:
    """Raise Refusal if the project asks for `KIND NAME`, not on this machine, and this account does not trust it."""
    for claim in untrusted(root, kind):
        if claim.name == f"{kind} {name}" and not claim.here:
            raise _refusal(claim)


def demand_code(root: Path, path: Path) -> bytes:
    """Return the bytes of a code file of the project. Raises Refusal unless this account trusts these very bytes."""
    code = path.read_bytes()
    claim = _code(path, sha256_bytes(code))
    if _read().get(str(root.resolve()), {}).get(claim.name) != claim.sha256:
        raise _refusal(claim)
    return code


def demand_store(root: Path, url: str) -> None:
    """Raise Refusal if rung.toml itself names this database, beyond this machine, and nobody here trusted it."""
    for claim in untrusted(root, STORE):
        if claim.sha256 == sha256_bytes(url.encode()) and not claim.here:
            raise _refusal(claim)


def demand_links(root: Path) -> None:
    """Raise Refusal where a file or folder of the project leads out of it, and this account did not trust that."""
    for claim in untrusted(root, LINK):
        raise _refusal(claim)


def _refusal(claim: Claim) -> Refusal:
    kind, _, name = claim.name.partition(" ")
    return Refusal(
        f"This account has not trusted {claim.name}, which the project asks for ({claim.what}).",
        "rung trust   (shows all that the project asks for)",
        where=name if kind in (CODE, LINK) else SETTINGS_FILE,
        found=claim.name,
    )


def codes(root: Path, kind: str) -> list[Path]:
    """Return the project's files of code in the folder `kind`; links that lead out of the folder are left out."""
    folder = root / kind
    files = [p for p in sorted(folder.glob("*.py")) if re.fullmatch(r"[a-z][a-z0-9_]*", p.stem)]
    return [p for p in files if p.is_file() and p.resolve().parent == folder.resolve()]


def is_this_machine(host: str) -> bool:
    """True for a loopback address and for `localhost`. Names are not looked up."""
    try:
        name = (host if host.count(":") > 1 and "[" not in host else urlsplit(f"//{host}").hostname or "").lower()
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def state_file() -> Path:
    """Return the file of the list: in the account's state folder, or `RUNG_STATE_DIR`."""
    import platformdirs

    return Path(os.environ.get("RUNG_STATE_DIR") or platformdirs.user_state_dir("rung")) / "trusted.json"


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = table.get(name)
    return found if isinstance(found, dict) else {}


def _text(table: Mapping[str, Any], name: str) -> str:
    found = table.get(name)
    return found if isinstance(found, str) else ""


def _codes(root: Path, _: Mapping[str, Any]) -> Iterator[Claim]:
    yield from (_code(path, sha256_file(path)) for kind in (METRICS, ARMS) for path in codes(root, kind))


def _code(path: Path, digest: str) -> Claim:
    return Claim(f"{CODE} {path.parent.name}/{path.name}", "it runs with your rights", digest)


def _links(root: Path, _: Mapping[str, Any]) -> Iterator[Claim]:
    for name, end in links_out(root).items():
        yield Claim(f"{LINK} {name}", f"a link to {end}: that is read and written", sha256_bytes(os.fsencode(end)))


def _hosts(_: Path, table: Mapping[str, Any]) -> Iterator[Claim]:
    for section in MODELS:
        asked = _table(table, section)
        if host := bare_host(_text(asked, "base_url")) or VENDORS.get(_text(asked, "provider"), ""):
            yield Claim(f"{HOST} {host}", f"[{section}] sends it rows", here=is_this_machine(host))
    for name in (systems := _table(table, "arms")):
        if host := bare_host(_text(_table(systems, name), "url")):
            yield Claim(f"{HOST} {host}", f"[arms.{name}] sends it rows", here=is_this_machine(host))


def bare_host(address: str) -> str:
    """Return the host and port of an address, as the list of trusted hosts names them; other text as it is."""
    try:
        return (urlsplit(address).netloc or address).rpartition("@")[2].lower()
    except ValueError:
        return address


def _stores(_: Path, table: Mapping[str, Any]) -> Iterator[Claim]:
    if url := _text(_table(table, "store"), "url"):
        here = LOCAL_STORE.fullmatch(url) is not None
        yield Claim(
            f"{STORE} {bare_host(url)}", "[store] url: all rows are kept there", sha256_bytes(url.encode()), here
        )


def _programs(root: Path, table: Mapping[str, Any]) -> Iterator[Claim]:
    if named := _text(_table(table, "release"), "llama_cpp"):
        folder = root / os.path.expanduser(named)  # noqa: PTH111  a name that is nobody's home stays as it is
        yield Claim(f"{PROGRAM} {named}", "[release] llama_cpp: it is started with your rights", _folder_hash(folder))


def _folder_hash(folder: Path) -> str:
    """Return SHA-256 over the files of a folder: a program, and the libraries that are loaded from beside it."""
    digest = sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file():
            digest.update(f"{path.name}\0{sha256_file(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _remotes(_: Path, table: Mapping[str, Any]) -> Iterator[Claim]:
    """Yield machines that train: a program is started there, and rows and reviews are copied there."""
    for name, place in _table(table, "remotes").items():
        if isinstance(place, dict):
            what = f"[remotes.{name}] host = {place.get('host')}: rows and reviews go there, Python is started there"
            if provider := place.get("provider"):
                what = f"[remotes.{name}] provider = {provider}: rows go there, and its jobs cost money"
            yield Claim(f"{REMOTE} {name}", what, sha256_bytes(json.dumps(place, sort_keys=True, default=str).encode()))


def _trackers(root: Path, table: Mapping[str, Any]) -> Iterator[Claim]:
    """Yield the trackers of rung.toml, and of every plan that came with the folder."""
    files = [*(root / "plans").glob("*.toml"), *(root / "runs").glob("*/plan.toml")]
    plans = [_plan(path) for path in sorted(files)]
    for place, asked in (("[training]", _table(table, "training")), *plans):
        named = asked.get("report_to")
        for name in named if isinstance(named, list) else [named]:
            if isinstance(name, str) and name and name not in ON_THIS_MACHINE:
                yield Claim(f"{TRACKER} {name}", f"{place} report_to: it gets the figures of each run")


def _plan(path: Path) -> tuple[str, Mapping[str, Any]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        table = {}
    return path.name, {**table, **_table(table, "recipe")}


_KINDS: Mapping[str, Callable[[Path, Mapping[str, Any]], Iterator[Claim]]] = {
    CODE: _codes,
    PROGRAM: _programs,
    HOST: _hosts,
    STORE: _stores,
    TRACKER: _trackers,
    REMOTE: _remotes,
    LINK: _links,
}


def _read() -> dict[str, dict[str, str]]:
    """Return the list of trust. A list that cannot be read trusts nothing; nor does an older one of bare folders."""
    try:
        found = json.loads(state_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {root: items for root, items in found.items() if isinstance(items, dict)}


def _write(folders: Mapping[str, Mapping[str, str]]) -> None:
    path = state_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, json.dumps(folders, sort_keys=True))
