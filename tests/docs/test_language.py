"""Plain English: idioms that readers asked about do not come back, and the glossary of docs/concepts.md stays short.

Documentation, rules, help, messages and docstrings hold none of these words.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from known_commands import TREE
from parsed import parsed

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("advisor", "chat", "curation", "evaluation", "rung", "training", "workspace")
GENERATED = ("docs/reference", "docs/reports")
"""Made by the program: their words are those of help, docstrings and reports."""

IDIOMS = {
    r"\b(stands?|stood)\b(?!-)": "is, is in, remains: nothing in a file stands",
    r"\banew\b": "again: an old word",
    r"\b(bears?|bore|borne) (\w+ )?out\b": "agrees with: an idiom",
    r"\b(can|cannot|could) be had\b": "is available, can be combined: passive and vague",
    r"\btold\b|\btells? of\b|\b(says?|said) so\b": "shown, reported, recorded: who says it, and where?",
    r"\bmend(s|ed|ing)?\b": "fix: the field's word",
    r"\btake[ns]? over\b(?! (?:the|all|\d))": "recorded, reused: sounds like a takeover",
    r"\bin place of\b": "instead of: word order of another language",
    r"\bdear(er|est)?\b": "expensive: also a greeting",
    r"\b(let|left) (it )?be\b": "leave, ignore: an idiom",
    r"\bcame of\b": "result: an idiom",
    r"\bat last\b": "finally, last: ambiguous",
    r"\bso (much|many) at a time\b": "in batches: says no amount",
    r"\bof like \w+": "of the same: word order of another language",
    r"\bthe same command (again|goes)\b": "rerun the command: no verb",
    r"\bgoes out\b(?! of\b)": "ends, is sent: ambiguous",
    r"\bvouch(es|ed)?\b": "confirm: a rare word",
    r"\bpurse\b": "budget: the field's word",
    r"\bsittings?\b": "session: the field's word",
    r"\bknown items?\b": "gold item: the field's word",
    r"\bledger\b": "log: the field's word",
    r"\blooked at\b": "read, checked, reviewed: says no action",
    r"\bin earnest\b": "seriously: an idiom",
    r"\b(tiers?|data ?points?|contaminat\w+)\b": "gate, example or row, leakage: one word for one thing",
    r"\b(seamless|leverag|effortless|game-chang|blazing)\w*": "(nothing): advertising",
    r"\b(powerful|cutting-edge|world-class|state-of-the-art)\b|\d% better\b|improves? by \d": "a figure: advertising",
}

ANY = re.compile("|".join(IDIOMS), re.I)

SPOKEN = {"because", "short", "text", "why", "settle", "settle_cost", "example", "cost", "counter", "note", "advice"}
"""Keys of rules/*.toml whose values are sentences."""


def idioms(text: str) -> list[str]:
    """Return every idiom in the text, code and output left out."""
    plain = re.sub(r"^ *```.*?^ *```|``.*?``|`[^`\n]*`", " ", text, flags=re.MULTILINE | re.DOTALL)
    plain = " ".join(plain.split())
    return [plain[max(0, m.start() - 30) : m.end() + 30] for m in ANY.finditer(plain)]


def pages() -> list[Path]:
    written = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return sorted(p for p in written if not str(p.relative_to(ROOT)).startswith(GENERATED))


def sentences(value: Any, key: str = "") -> Iterator[str]:
    """Yield the texts of a rules file: values of the keys that people read."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from sentences(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from sentences(each, key)
    elif isinstance(value, str) and key in SPOKEN:
        yield value


def helps(node: Any = TREE, path: str = "rung") -> Iterator[tuple[str, str]]:
    """Yield (place, help) of every command and option."""
    yield path, node.help or ""
    yield from ((f"{path} {p.name}", getattr(p, "help", None) or "") for p in node.params)
    for name, each in getattr(node, "commands", {}).items():
        yield from helps(each, f"{path} {name}")


VALUES = {"told by the server"}
"""Values of a JSON document, which scripts compare: they stay as they were."""


def strings() -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every string of the product that holds words: docstrings, messages and their formats."""
    for path in (p for room in PRODUCT for p in (ROOT / room).rglob("*.py")):
        nodes = list(ast.walk(parsed(path)))
        parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            match node:
                case ast.JoinedStr(values=values):
                    text = "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in values)
                case ast.Constant(value=str(text)) if id(node) not in parts:
                    pass
                case _:
                    continue
            if " " in text and text not in VALUES:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_page_of_docs_has_no_idiom(page: Path) -> None:
    assert not idioms(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((ROOT / "rules").glob("*.toml")), ids=lambda p: p.name)
def test_rules_have_no_idiom(path: Path) -> None:
    assert not [(text, found) for text in sentences(tomllib.loads(path.read_text())) if (found := idioms(text))]


def test_a_report_of_measurements_advertises_nothing() -> None:
    """Its other words are those of its day."""
    never = "|".join(list(IDIOMS)[-3:])
    assert re.search(never, "a seamless tool") and re.search(never, "5% better")
    texts = [path.read_text(encoding="utf-8").lower() for path in (ROOT / "docs" / "reports").glob("*.md")]
    assert len(texts) > 1 and not [found[0] for text in texts if (found := re.search(never, text))]


def test_help_messages_and_docstrings_have_no_idiom() -> None:
    found = [f"{place}: {each}" for place, text in (*helps(), *strings()) for each in idioms(text)]
    assert not found, "\n".join(found)


def test_no_docstring_begins_with_a_question_word() -> None:
    """A docstring says what is returned, or what a thing is: "Return ...", "True if ...", or a noun."""
    pattern = re.compile(r'^ *r?"""(What|Whether|How|Why|Where|Who|Which)\b.*', re.MULTILINE)
    files = [path for room in PRODUCT for path in (ROOT / room).rglob("*.py")]
    assert not [f"{path.name}: {m[0].strip()}" for path in files for m in pattern.finditer(path.read_text("utf-8"))]


def test_the_glossary_is_short_and_every_word_is_used() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/concepts.md").read_text(), re.MULTILINE)
    words = {word: meaning for word, meaning in rows if word != "word"}
    assert 20 <= len(words) <= 40
    others = " ".join(p.read_text(encoding="utf-8") for p in pages() if p.name != "concepts.md").lower()
    assert not [word for word in words if not re.search(rf"\b{word}s?\b", others)]
    long = [
        word for word, text in words.items() if len(text.split()) > 30 or not re.fullmatch(r"[^.]+(\.\w[^.]*)*\.", text)
    ]
    assert not long, "one plain sentence each"
