"""docs/architecture.md shows the imports of the code, no more and no less."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from grimp import build_graph
from parsed import parsed

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"advisor", "chat", "curation", "evaluation", "rung", "training", "workspace"}
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_picture_shows_what_the_code_imports() -> None:
    graph = build_graph(*ROOMS, cache_dir=None)
    imports = {
        (name.partition(".")[0], other.partition(".")[0])
        for name in graph.modules
        for other in graph.find_modules_directly_imported_by(name)
    }
    drawn = re.findall(r"^  (\w+) --> (\w+)$", PAGE, re.MULTILINE)
    assert set(drawn) == {(room, other) for room, other in imports if room != other}


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.(?:py|toml))`", PAGE))))
def test_every_file_that_the_page_names_is_there(named: str) -> None:
    line = next(line for line in PAGE.splitlines() if f"`{named}`" in line)
    room = re.match(r"\| `(\w+)/`", line)
    made = {"answers.toml", "rung.toml"}
    assert named in made or (room and (ROOT / room[1] / named).is_file()) or (ROOT / named).is_file(), named


def defined_in(file: str) -> set[str]:
    nodes = ast.walk(parsed(ROOT / file))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_each_question_names_a_function_that_is_in_its_file() -> None:
    rows = re.findall(r"^\| .+\? \| `([\w/]+\.py)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 20
    assert [(file, name) for file, name in rows if name not in defined_in(file)] == []


def test_only_the_store_builds_sql() -> None:
    """Elsewhere sqlalchemy is named for the types of what the store hands over."""
    types = re.compile(r"^\s*from sqlalchemy(?:\.engine)? import (?:Connection|RowMapping)$")
    said = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for room in sorted(ROOMS)
        for file in sorted((ROOT / room).rglob("*.py"))
        if not {"store", "migrations"} & set(file.relative_to(ROOT / room).parts)
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(?:from|import) (?:sqlalchemy|curation\.store\.tables)\b", line) and not types.match(line)
    ]
    assert said == []
