"""Pages: their commands exist, their links lead somewhere, what programs write of them is current, the site builds."""

import re
import runpy
import shlex
import subprocess
import sys
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


def test_the_reference_is_what_the_code_says() -> None:
    folder = ROOT / "docs" / "reference"
    pages = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["pages"]()
    old = [n for n, text in pages.items() if (folder / n).read_text() != text.rstrip("\n") + "\n"]
    assert not old, f"{old}: make reference"


def test_every_page_stands_in_the_sites_list() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert listed == {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "own")], check=True)
    subprocess.run([tmp_path / "own/bin/pip", "install", "-q", "mkdocs-material"], check=True)
    command = [tmp_path / "own/bin/mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "first-hour" / "index.html").is_file()
    pages = [page.read_text(encoding="utf-8") for page in (tmp_path / "site").rglob("*.html")]
    fetched = [found for page in pages for found in re.findall(r'(?:src|<link[^>]*href)="https?://[^"]*', page)]
    assert not fetched and not [page for page in pages if 'class="mermaid"' in page]


@pytest.mark.slow
def test_every_case_runs_on_a_tiny_model_or_names_what_is_missing(tmp_path: Path) -> None:
    """docs/measured-gpu.md says in its first line where it was measured."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--page", str(tmp_path / "page.md")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=1200)
    lines = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()
    cases = [line for line in lines if line.startswith(("| 8B", "| 0.6B", "| embedded"))]
    assert lines[0].startswith("Run on ") and len(cases) == 13
    assert not [line for line in cases if "failed" in line]
