"""Rung's symbols with an ASCII twin, for terminals without UTF-8 and for those that draw them two cells wide."""

import locale
import os

ASCII = str.maketrans(
    {
        "✓": "+",
        "○": "o",
        "…": "~",
        "✗": "x",
        "▸": ">",
        "─": "-",
        "│": "|",
        "┬": "+",
        "┴": "+",
        "┼": "+",
        "├": "|",
        "┤": "|",
        "└": "+",
        "━": "=",
        "█": "#",
        "·": "-",
    }
)


def is_plain() -> bool:
    """True if drawing is in ASCII: no UTF-8 here, or RUNG_ASCII is set."""
    if os.environ.get("RUNG_ASCII"):
        return True
    return "utf" not in (locale.getpreferredencoding(False) or "").lower()


def drawn(text: str) -> str:
    """`text` with its symbols as this terminal can draw them."""
    return text.translate(ASCII) if is_plain() else text
