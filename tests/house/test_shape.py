"""The shape that keeps the code readable: as docs/architecture.md draws it, no import circle, no loose dicts."""

import ast
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from grimp import build_graph
from parsed import parsed

ROOT = Path(__file__).parents[2]
PACKAGES = ("advisor", "chat", "curation", "evaluation", "rung", "training", "workspace")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PRIVATE = re.compile(
    r"^\s*(?:from|import) ((?!_)\w+(?:\.\w+)*\._[a-z]\w*)|^\s*from (\w+(?:\.\w+)*) import (_[a-z]\w*)", re.MULTILINE
)


def test_the_picture_shows_what_the_code_imports():
    graph = build_graph(*PACKAGES, cache_dir=None)
    imports = {
        (name.partition(".")[0], other.partition(".")[0])
        for name in graph.modules
        for other in graph.find_modules_directly_imported_by(name)
    }
    drawn = re.findall(r"^  (\w+) --> (\w+)$", PAGE, re.MULTILINE)
    assert set(drawn) == {(room, other) for room, other in imports if room != other}


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.(?:py|toml))`", PAGE))))
def test_every_file_that_the_page_names_is_there(named):
    line = next(line for line in PAGE.splitlines() if f"`{named}`" in line)
    room = re.match(r"\| `(\w+)/`", line)
    made = {"answers.toml", "rung.toml"}
    assert named in made or (room and (ROOT / room[1] / named).is_file()) or (ROOT / named).is_file(), named


def test_each_question_names_a_function_that_is_in_its_file():
    rows = re.findall(r"^\| .+\? \| `([\w/]+\.py)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 20
    for file, name in rows:
        kinds = (ast.FunctionDef, ast.ClassDef)
        assert name in {node.name for node in ast.walk(parsed(ROOT / file)) if isinstance(node, kinds)}, file


def test_only_the_store_builds_sql():
    """Elsewhere sqlalchemy is named for the types of what the store hands over."""
    types = re.compile(r"^\s*from sqlalchemy(?:\.engine)? import (?:Connection|RowMapping)$")
    found = [
        f"{name}: {line.strip()}"
        for name, path in FILES.items()
        if not {"store", "migrations"} & set(name.split("."))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(?:from|import) (?:sqlalchemy|curation\.store\.tables)\b", line) and not types.match(line)
    ]
    assert found == []


def test_what_was_won_is_kept():
    """Loose dicts, unchecked copies and file names used twice only become fewer: lower a limit with them."""
    texts = [path.read_text(encoding="utf-8") for path in FILES.values()]
    names = Counter(path.stem for path in FILES.values() if not path.stem.startswith("__"))
    classes = Counter(
        node.name
        for path in FILES.values()
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {
        "loose dicts": sum("dict[str, Any]" in line for text in texts for line in text.splitlines()) <= 118,
        "unchecked copies": sum(len(re.findall(r"\.model_copy\(\s*update", text)) for text in texts) <= 12,
        "file names used twice": sum(count > 1 for count in names.values()) <= 8,
        "class names used twice": [name for name, count in classes.items() if count > 1] == [],
    } == dict.fromkeys(("loose dicts", "unchecked copies", "file names used twice", "class names used twice"), True)


def sentences(tree: ast.AST) -> int:
    """Texts of three words or more that something is compared with, or that `match=` or `startswith` looks for.

    The next command (`rung ...`) is a field.
    """
    texts: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            texts += [node.left, *node.comparators]
        elif isinstance(node, ast.Call):
            texts += [each.value for each in node.keywords if each.arg == "match"]
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("startswith", "endswith"):
                texts += node.args
    written = (ast.unparse(node) for node in texts if isinstance(node, ast.Constant | ast.JoinedStr))
    return sum(len(re.findall(r"\S*[^\W\d_]\S*", text)) > 2 and text[:6] != "'rung " for text in written)


def test_fewer_tests_compare_sentences():
    """Sentences may improve freely: tests compare fields. The limit only falls."""
    trees = (parsed(path) for path in (ROOT / "tests").rglob("test_*.py"))
    assert sum(map(sentences, trees)) <= 2


def test_no_private_module_of_another_library_is_used():
    found = {
        (name, match[1] or f"{match[2]}.{match[3]}")
        for name, path in FILES.items()
        for match in PRIVATE.finditer(path.read_text(encoding="utf-8"))
    }
    assert not {(name, each) for name, each in found if each.split(".")[0] not in PACKAGES}


def test_no_module_imports_itself_by_way_of_others():
    """Imports in functions count; imports for types alone do not."""
    graph = build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


NAMED_NEXT = re.compile(r'Next[^."\n]*: (?:rung |\{[^}\n]*\bif\b)')
"""A text that names a command behind "Next", or chooses one there."""


def test_the_next_command_is_decided_in_one_place():
    """Shell, screens and pages show what `rung/status` decides."""
    assert NAMED_NEXT.search('say("Done.  Next: rung plan")') and not NAMED_NEXT.search('say(f"Next: {step}")')
    assert NAMED_NEXT.search("""say(f"Next: {'rung plan' if done else step}")""")
    files = [path for name, path in FILES.items() if not name.startswith("rung.status")]
    files += (ROOT / "rung").rglob("*.html")
    assert not [path for path in files if NAMED_NEXT.search(path.read_text(encoding="utf-8"))]
