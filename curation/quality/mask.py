"""Personal data and secrets in a text: found by form and check digits, and masked wherever a row is shown."""

from __future__ import annotations

import bisect
import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from curation.quality.glued import with_the_rest, without
from curation.quality.rules import quality_rules, secret_patterns

KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "ID", "KEY")
"""What is found by its form."""
REACH = 4096
"""Characters beyond a cut in which the end of what it would halve is looked for."""


class Spot(NamedTuple):
    """Something found: from where to where, and what it is, one of KINDS."""

    start: int
    end: int
    kind: str
    name: str


Finder = Callable[[str], list[Spot]]
_NAMES: ContextVar[Finder | None] = ContextVar("names", default=None)

_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?= ?[A-Z0-9])")
_IBAN_GLUED = re.compile(r"[A-Z]{2}\d{2}(?= ?[A-Z0-9])")
_IP4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_PHONE = re.compile(
    r"(?:(?<![\w.+/-])|(?<=[/-])(?=[+(]))(?:\+|00)?\(?\d{1,4}\)?(?:[ ./-]{0,2}\(?\d{2,5}\)?){1,6}"
    r"(?!\w|[/-](?! ?[+(])|\.\d)"
)
_PHONE_WORD = re.compile(
    r"(?i)(?:phone|tel|telephone|mobile|cell|call|fax|whatsapp|dial|number)\W{0,3}(?:\w+\W{1,2}){0,2}$"
)
_VERSION = re.compile(r"(?i)(?:\b(?:version|ver|v|release|section|chapter)|§)\.?\s*$")


def find_personal(text: str) -> list[Spot]:
    """Personal data in a text, in order, without overlaps; what is glued to it is looked for again."""
    found = with_the_rest(text, _by_form(text), is_phone)
    while found and (more := _by_form(without(text, found))):
        found = with_the_rest(text, [*found, *more], is_phone)
    return [Spot(start, end, kind, kind) for start, end, kind in found]


def _by_form(text: str) -> list[tuple[int, int, str]]:
    spots: list[Spot] = []
    if "@" in text:
        spots += _matches(_EMAIL, text, "EMAIL", lambda m: True)
    if _DIGIT.search(text):
        spots += [*_ibans(text, _IBAN, _iban_of), *_ibans(text, _IBAN_GLUED, _glued_iban_of)]
        spots += _matches(_CARD, text, "CARD", lambda m: is_card(m[0]))
        spots += _matches(_SSN, text, "ID", lambda m: True)
        spots += _matches(_IP4, text, "IP", lambda m: is_address(m[0], text[max(0, m.start() - 12) : m.start()]))
        spots += _matches(_IP6, text, "IP", lambda m: is_address(m[0], ""))
        spots += _matches(_PHONE, text, "PHONE", lambda m: is_phone(m[0], text[max(0, m.start() - 30) : m.start()]))
    return [(spot.start, spot.end, spot.kind) for spot in _apart(spots)]


def find_secrets(text: str) -> list[Spot]:
    """Keys and passwords of known forms in a text, in order, without overlaps."""
    spots: list[Spot] = []
    if _may_hold_secret()(text):
        for name, pattern in secret_patterns():
            spots += [Spot(m.start(), m.end(), "KEY", name) for m in pattern.finditer(text)]
    return _apart(spots)


@contextmanager
def names_masked(find: Finder | None) -> Iterator[None]:
    """Inside, `mask` covers what this finds, too: names of persons, where somebody looks for them."""
    before = _NAMES.set(find)
    try:
        yield
    finally:
        _NAMES.reset(before)


def mask(text: str) -> str:
    """The text with personal data and secrets replaced by what they are: `[PHONE]`, `[KEY]`."""
    return covered(text, spots_in(text))


def spots_in(text: str) -> list[Spot]:
    """All that `mask` covers, in order, without overlaps."""
    find = _NAMES.get()
    return _apart(find_secrets(text) + find_personal(text) + (find(text) if find else []))


def covered(text: str, spots: Iterable[Spot]) -> str:
    """The text with these spots replaced by what they are."""
    parts, at = [], 0
    for spot in spots:
        parts += [text[at : spot.start], f"[{spot.kind}]"]
        at = spot.end
    return "".join(parts) + text[at:]


def cut_apart(text: str, most: int) -> str:
    """The first `most` characters; what would be masked and lies over the end is left out whole, not halved."""
    if len(text) > most:
        for spot in spots_in(text[: most + REACH]):
            if spot.start < most < spot.end:
                return text[: spot.start]
    return text[:most]


def is_card(number: str) -> bool:
    """Whether digits have a card's length and a right Luhn digit, and are not one digit again and again."""
    digits = [int(sign) for sign in number if sign.isdigit()]
    if len(digits) not in (13, 14, 15, 16, 19) or len(set(digits)) < 2:
        return False
    doubled = [2 * digit for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether the length is the country's and the number modulo 97 is 1 (ISO 13616)."""
    plain = text.replace(" ", "")
    if len(plain) != quality_rules()["iban"]["lengths"].get(plain[:2]):
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def is_address(text: str, before: str) -> bool:
    """Whether it is an IP address of a machine: no loopback, no net mask, no version number."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4 and (text.startswith(("0.", "255.")) or _VERSION.search(before[-12:])):
        return False
    return not (address.is_loopback or address.is_unspecified)


def is_phone(text: str, before: str) -> bool:
    """Whether digits are written as a telephone number: with +, as 3-3-4, with a leading 0, or after such a word."""
    groups = re.findall(r"\d+", text)
    digits = sum(map(len, groups))
    if not 7 <= digits <= 15 or re.fullmatch(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}.*", text):
        return False
    if text.startswith(("+", "00")):
        return digits >= 9
    lengths = [len(group) for group in groups]
    if lengths in ([3, 3, 4], [1, 3, 3, 4]) and re.search(r"[-.) ]", text):
        return groups[-3][0] not in "01" and groups[0] != "000"
    if text.lstrip("(").startswith("0") and len(groups) > 1 and digits >= 9:
        return True
    return bool(_PHONE_WORD.search(before)) and "." not in text


def _matches(pattern: re.Pattern[str], text: str, kind: str, holds: Callable[[re.Match[str]], bool]) -> Iterator[Spot]:
    for match in pattern.finditer(text):
        if holds(match):
            yield Spot(match.start(), match.end(), kind, kind)


def _ibans(text: str, start: re.Pattern[str], form: Callable[[int], re.Pattern[str]]) -> Iterator[Spot]:
    """Each country code with as many letters and digits as its IBANs have, spaces between or not."""
    for match in start.finditer(text):
        length = quality_rules()["iban"]["lengths"].get(match[0][:2], 0)
        whole = form(max(length, 2)).match(text, match.start())
        if whole and is_iban(whole[0]):
            yield Spot(whole.start(), whole.end(), "IBAN", "IBAN")


@functools.cache
def _iban_of(signs: int) -> re.Pattern[str]:
    """So many letters and digits and no more, spaces between or not."""
    return re.compile(rf"{_glued_iban_of(signs).pattern}(?![A-Za-z0-9])")


@functools.cache
def _glued_iban_of(signs: int) -> re.Pattern[str]:
    """So many letters and digits, whatever follows: the check digits tell that it is one."""
    return re.compile(rf"(?:[A-Z0-9] ?){{{signs - 1}}}[A-Z0-9]")


def _apart(spots: list[Spot]) -> list[Spot]:
    """In order of the text; of two that overlap the one that was found first stays."""
    kept: list[Spot] = []
    for spot in spots:
        place = bisect.bisect_left(kept, spot)
        before, after = kept[max(place - 1, 0) : place], kept[place : place + 1]
        if all(other.end <= spot.start for other in before) and all(spot.end <= other.start for other in after):
            kept.insert(place, spot)
    return kept


@functools.cache
def _may_hold_secret() -> Callable[[str], object]:
    """A quick look for the letters with which a known key begins."""
    starts = (
        r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|k_live_|k_test_|sk-|AIza|hf_|npm_|pypi-|SG\.|eyJ|"
        r"PRIVATE KEY|://"
    )
    return re.compile(starts).search
