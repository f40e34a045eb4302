"""The locked versions are those that pyproject.toml allows, each with its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(.*?)(?=^[A-Za-z]|\Z)", re.S | re.M)


def test_locked_versions_fit_and_have_hashes() -> None:
    text = (ROOT / "requirements" / "locked.txt").read_text()
    locked = {canonicalize_name(name): (version, rest) for name, version, rest in ENTRY.findall(text)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(line) for line in [*project["dependencies"], *extras["dev"]] if not line.startswith("rung[")]
    for group in ("llm", "web", "postgres", "quality", "train", "demo", "keyring", "mcp"):
        wanted += [Requirement(line) for line in extras[group]]
    missing = {canonicalize_name(w.name) for w in wanted} - locked.keys() - {"torch", "rung"}
    assert not missing, "make lock"
    for one in wanted:
        if one.name != "torch":
            assert one.specifier.contains(locked[canonicalize_name(one.name)][0]), one
    assert len(locked) > 100 and all("--hash=sha256:" in rest for _, rest in locked.values())
