"""Text that was decoded with the wrong table."""

from __future__ import annotations

import re
from collections.abc import Callable

from curation.quality.base import RowCheck, Subject, all_texts
from workspace.extras import installed

_BROKEN = re.compile("�|[\x80-\x9f]|Ã[\x80-\xbf€-™]|Â[\xa0-\xbf]|â€|ï»¿|Ð[\x80-\xbf]Ð")


class Encoding(RowCheck):
    """Mojibake (`Ã©` for `é`), replacement characters and control characters; with ftfy the repaired text beside."""

    name = "encoding"
    title = "Damaged characters"
    reason = "Text decoded with the wrong table teaches the damage."
    action = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.repair = _repairer()

    def fault(self, subject: Subject) -> str | None:
        """What is broken, and how it would read when repaired."""
        for text in all_texts(subject.example):
            if text.isascii():
                continue
            if found := _BROKEN.search(text):
                piece = text[max(0, found.start() - 12) : found.end() + 12]
                repaired = self.repair(piece)
                return f"{piece!r} is probably {repaired!r}" if repaired != piece else f"damaged at {piece!r}"
        return None


def _repairer() -> Callable[[str], str]:
    """Ftfy's repair of an encoding, where it is installed."""
    if not installed("ftfy"):
        return lambda text: text
    import ftfy

    def repair(text: str) -> str:
        return str(ftfy.fix_encoding(text))

    return repair
