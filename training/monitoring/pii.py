"""Personal data and secrets out of everything that is kept of a request, before anything is kept."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from curation.mask import MASK, mask
from workspace.files import sha256_bytes

LONGEST_NAME = 200
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)("|\\?$)', re.DOTALL)
"""A string of JSON, the last one perhaps cut off; group 1 is its content, escaped."""
_HALF = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"(\\[nrt])")


class Masker:
    """Masks texts and counts by kind what it took out."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """Return the text with what was found replaced by its kind: `[PHONE]`; found inside strings of JSON, too."""
        masked = masked_text(text)
        if masked != text:
            self.counts += Counter(MASK.findall(masked)) - Counter(MASK.findall(text))
        return masked

    def inside(self, value: Any) -> Any:
        """Return a JSON value with every text and number in it masked, texts of JSON and keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.inside(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.inside(part) for part in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            masked = self.text(str(value))
            return value if masked == str(value) else masked
        return value

    def name(self, name: str) -> str:
        """Return an id; a long one, or one with personal data, as a hash, by which lines can still be joined."""
        plain = len(name) <= LONGEST_NAME and masked_text(name) == name
        return name if plain else f"sha256:{sha256_bytes(name.encode())[:16]}"


def masked_text(text: str) -> str:
    """Return the text masked, as it is and as it reads where strings of JSON in it are unescaped, however often."""
    if "\\" not in text:
        return mask(text)
    masked = mask(_QUOTED.sub(_unescaped, text))
    return "".join(part if _ESCAPED.fullmatch(part) else mask(part) for part in _ESCAPED.split(masked))


def _unescaped(found: re.Match[str]) -> str:
    """Return the string as it was, or escaped again after something in it was masked."""
    if "\\" not in found[1]:
        return found[0]
    try:
        plain = json.loads(f'"{found[1]}"')
    except ValueError:
        return found[0]
    masked = masked_text(plain)
    if masked == plain:
        return found[0]
    return json.dumps(masked, ensure_ascii=bool(_HALF.search(masked)))[:-1] + found[2]
