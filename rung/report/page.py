"""One HTML file a page: template, style and plots inside, nothing fetched. Text of rows is shown, never obeyed."""

import re
import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.arms.registry import arm_name
from workspace import counted
from workspace.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
    "|(?<![\u0250-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0250-\U0010ffff])"
)
"""Characters drawn as their code point. A joiner is kept where it joins: in emoji and scripts that use it."""


@cache
def environment() -> Environment:
    """Templates with autoescaping, and the figures of this package as filters."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.filters |= {
        "percent": counted.percent,
        "points": counted.points,
        "interval": lambda pair: counted.interval(*pair),
        "signed_interval": lambda pair: f"({counted.signed(pair[0])} to {counted.signed(pair[1])})",
        "arm": arm_name,
        "duration": counted.duration,
        "money": counted.money,
        "shown": shown,
        "marked": marked,
        "hash8": lambda digest: digest[:8],
    }
    return made


def render(template: str, values: Mapping[str, Any]) -> Markup:
    """Return `template` filled with `values`: a page, or a part of one."""
    return Markup(environment().get_template(template).render(**values))


def write_html(path: Path, template: str, values: Mapping[str, Any]) -> None:
    """Render `template` and write it atomically."""
    write_text(path, render(template, values))


def marked(output: str, expected: str, limit: int = 300) -> Markup:
    """Return the output with unexpected words struck out and missing words underlined."""
    found, wanted = shown(output, limit).split(), shown(expected, limit).split()
    parts: list[str] = []
    for kind, a, b, c, d in SequenceMatcher(None, found, wanted, autojunk=False).get_opcodes():
        kept, missing = escape(" ".join(found[a:b])), escape(" ".join(wanted[c:d]))
        if kind == "equal":
            parts.append(kept)
        else:
            parts += [f"<del>{kept}</del>"] * (b > a) + [f"<ins>{missing}</ins>"] * (d > c)
    return Markup(" ".join(parts))


def shown(text: str, limit: int = 2000) -> str:
    """Return a row's text for a page: control and direction marks as code points, long texts cut with a count."""
    visible = HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", unicodedata.normalize("NFC", text))
    return visible if len(visible) <= limit else f"{visible[:limit]} … ({len(visible) - limit:,} more characters)"
