"""Row text on a screen is text: markup, escapes, bidi marks and links show as characters and do nothing."""

from __future__ import annotations

import unicodedata

from rich.text import Text

LONGEST = 20_000
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"


class _Spelt(dict[int, str]):
    """For `str.translate`: what a character is drawn as, looked up once for each that was ever met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = character == "\n" or character in JOINERS or unicodedata.category(character) not in HIDDEN
        self[code] = character if plain else f"\\u{code:04x}"
        return self[code]


SPELT = _Spelt()


def shown(text: str, *, limit: int = LONGEST) -> str:
    """`text` with every control, format and bidi character spelt out; tabs become spaces, newlines stay.

    Emoji joiners stay, since they carry meaning; everything after `limit` characters is counted, not drawn.
    """
    head, rest = text[:limit], len(text) - limit
    drawn = head.replace("\r\n", "\n").expandtabs(4).translate(SPELT)
    return drawn if rest <= 0 else f"{drawn}\n[{rest:,} more characters]"


def row_text(text: str, *, limit: int = LONGEST) -> Text:
    """`shown` as a Rich text without any markup."""
    return Text(shown(text, limit=limit), no_wrap=False)
