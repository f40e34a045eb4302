"""The reference is what the code says, and the site builds strictly without asking anybody."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
assert SPEC and SPEC.loader
MAKER = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MAKER)


def test_the_reference_is_what_the_code_says() -> None:
    folder = ROOT / "docs" / "reference"
    old = [n for n, text in MAKER.pages().items() if (folder / n).read_text() != text.rstrip("\n") + "\n"]
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


NEVER = re.compile(
    r"\b(tiers?|data ?points?|contaminat\w+|seamless\w*|powerful|blazing\w*|leverag\w+|effortless\w*|cutting-edge"
    r"|world-class|state-of-the-art|game-chang\w+)\b|\d% better\b|improves? by \d"
)
"""Words that the vocabulary leaves to others, and those of advertising."""


def test_prose_keeps_to_the_vocabulary() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    told = [p for p in pages if "reference" not in p.parts]
    assert NEVER.search("a powerful tool") and NEVER.search("5% better")
    found = {str(p.relative_to(ROOT)): m[0] for p in told if (m := NEVER.search(p.read_text(encoding="utf-8").lower()))}
    assert not found
