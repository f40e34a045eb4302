"""Row text on a screen is text: markup, escapes, bidi marks and links show as characters and do nothing."""

from __future__ import annotations

import re
import unicodedata

from rich.text import Text

LONGEST = 20_000
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"
NOT_PLAIN = re.compile(r"[^ -~\n]")
"""Characters that are looked at one by one: all but printable ASCII and line breaks."""


def shown(text: str, *, limit: int = LONGEST) -> str:
    """`text` with every control, format and bidi character spelt out; tabs become spaces, newlines stay.

    Emoji joiners stay, since they carry meaning; everything after `limit` characters is counted, not drawn.
    """
    head, rest = text[:limit], len(text) - limit
    drawn = NOT_PLAIN.sub(_spelt, head.replace("\r\n", "\n").expandtabs(4))
    return drawn if rest <= 0 else f"{drawn}\n[{rest:,} more characters]"


def row_text(text: str, *, limit: int = LONGEST) -> Text:
    """`shown` as a Rich text without any markup."""
    return Text(shown(text, limit=limit), no_wrap=False)


def _spelt(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\n" or character in JOINERS:
        return character
    if unicodedata.category(character) in HIDDEN:
        return f"\\u{ord(character):04x}"
    return character
