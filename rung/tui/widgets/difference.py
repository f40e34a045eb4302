"""Draft and edit, word by word: what goes is marked with `-`, what comes with `+`, each on a line of its own."""

from __future__ import annotations

import difflib
import re

from rich.text import Text

from rung.tui.text import shown


def difference(old: str, new: str) -> Text:
    """Two lines (or blocks): the draft with what goes struck, the edit with what comes in bold."""
    before, after = _words(old), _words(new)
    gone, come = Text("- "), Text("+ ")
    for kind, a, b, c, d in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        gone.append(shown("".join(before[a:b])), style="" if kind == "equal" else "strike")
        come.append(shown("".join(after[c:d])), style="" if kind == "equal" else "bold underline")
    return Text("\n").join([gone, come]) if old != new else Text(f"  {shown(old)}")


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)
