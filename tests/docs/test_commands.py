"""Every `rung ...` command in README and docs exists, with its options; every relative link leads somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from known_commands import fault

from rung.cli.tree import examples

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def commands(text: str) -> Iterator[str]:
    """Commands in code blocks, one a line, and in code within a line."""
    for block in re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            for part in re.split(r"&& ", line.strip().removeprefix("$ ")):
                if part.startswith("rung "):
                    yield re.split(r"  +|\s#|\s->|\s\|", part)[0]
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (code for code in re.findall(r"`(rung [a-z-][^`]*)`", outside))


def complaint(command: str) -> str:
    """Return the error in a command: an unknown command, or an unknown option."""
    try:
        return fault(shlex.split(command.replace("[", "").replace("]", ""))[1:])
    except ValueError:
        return "cannot be split"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    wrong = {command: said for command in commands(page.read_text()) if (said := complaint(command))}
    assert not wrong


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page, as MkDocs and GitHub make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / link if link else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            wrong.append((link, anchor))
    assert not wrong


def test_examples_under_help_are_commands_that_exist() -> None:
    lines = [part for each in examples().values() for line in each for part in re.split(" && ", line)]
    said = [re.split("  +", line)[0] for line in lines if line.startswith("rung")]
    assert len(said) > 40 and not {line: wrong for line in said if (wrong := complaint(line))}
    assert not [path for path in examples() if path and complaint(f"rung {path}")]


def test_places_in_the_repository_that_sources_cite_are_there() -> None:
    sources = tomllib.loads((ROOT / "rules" / "sources.toml").read_text())["source"]
    cited = [source["address"] for source in sources if source["address"].startswith("docs/")]
    assert cited and not [place for place in cited if not (ROOT / place).is_file()]
