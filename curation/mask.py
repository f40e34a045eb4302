"""Personal data and secrets in a text: found by form and check digits, and masked wherever a row is shown.

What is found by its form ends where the form ends, and a form expects white space around it. Addresses and telephone
numbers without a space between them are found in a second pass: the rest of a number is covered too, and a long row of
digits is taken apart where all of it is telephone numbers.
"""

from __future__ import annotations

import bisect
import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import product
from typing import NamedTuple

from workspace.shipped_rules import rule_file

KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "ID", "KEY")
"""Kinds found by their form."""
MASK = re.compile(r"\[(" + "|".join(KINDS) + r")\]")
REACH = 4096
"""Characters beyond a cut in which the end of what it would halve is looked for."""


UNSEEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
                    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]")  # fmt: skip
"""Zero-width characters, joiners, direction marks, fillers and variation selectors."""


class Spot(NamedTuple):
    """Something found: from where to where, what it is, one of KINDS, and of a secret its form."""

    start: int
    end: int
    kind: str
    name: str = ""


Finder = Callable[[str], list[Spot]]
_NAMES: ContextVar[Finder | None] = ContextVar("names", default=None)

_MARKS = r"\u0300-\u036f\u0900-\u0dff\u0e31-\u0e4e"
_LETTER = rf"[^\W\d_]|[{_MARKS}]"
LOCAL = rf"(?<![\w.+-])[\w.%+'{_MARKS}-]{{1,64}}"
"""An address up to its `@`."""
_LAST = rf"(?:xn--[A-Za-z0-9-]{{2,59}}|(?:{_LETTER}){{2,24}})"
DOMAIN = rf"@(?:(?:{_LETTER}|[\d-]){{1,63}}\.){{1,8}}{_LAST}"
"""An address from its `@` on, in any script (RFC 6531): letters with their marks, digits, hyphens."""
_HEAD, _JOINS = re.compile(r"[\d-]*\d"), "/_-"
_DOMAIN = re.compile(rf"(?:{DOMAIN})+")
_ENDING = re.compile(rf"(?:\.{_LAST})+(?=[-_\d])")
_LOCAL = re.compile(r"(?:[\w.%+'-]{1,64}@)+$")
_MAIL = re.compile(rf"{LOCAL}{DOMAIN}(?=[_\d-])")
_CODE = re.compile(r"(?:\+|00)\d{1,3}[ ./-]{0,2}$")
_DIGITS = r"\(?\d+\)?(?:(?:[ ./+-]{1,3}|(?=\())\(?\d+\)?)*"
_ROW = re.compile(rf"(?<![\w.])(?:\+|00)?{_DIGITS}(?![\w]|\.\d)")
_WORD = re.compile(r"(?i)(?<![a-z])(?:tele?(?:fon)?|(?:tele)?phone|fax|mobile?|cell|handy|whatsapp)(?=[+(\d])")
_BEFORE = re.compile(rf"(?:(?<![\w.])|(?<=\n))(?:\+|00)?{_DIGITS}$")
_NUMBER = re.compile(rf"\+?{_DIGITS}")
_ABROAD = re.compile(r"(?<![\w.+/-])\+\d+(?:(?:[ ./-]{1,2}|(?=\())\(?\d+\)?)*(?=[A-Za-z_])")
_LONG = re.compile(r"\d(?:[ ./+()-]{0,3}\d){15}")
LONGEST_PHONE, FULL_PHONE, MOST_GROUPS = 15, 10, 24
"""Digits of a telephone number (ITU-T E.164), of one with its area, and groups of a row that is taken apart."""
_DIGIT = re.compile(r"\d")
_PLAIN: dict[int, int | str] = {
    **{sign: sign - 0xFEE0 for sign in range(0xFF01, 0xFF5F)},
    **{ord(sign): " " for sign in "\u00a0\u2007\u2009\u202f\u3000"},
    **{ord(sign): "-" for sign in "\u2010\u2011\u2012\u2013\u2014\u2212"},
    **{ord(sign): "." for sign in "\u3002\uff61\u00b7\u2022"},
    **{first + digit: ord("0") + digit for first in (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50) for digit in range(10)},
}
"""One character for one, so that places in the text stay."""
_ESCAPED = re.compile(r"\\[nrt]")
_EMAIL = re.compile(rf"{LOCAL}{DOMAIN}(?![\w-])")
_CARD = re.compile(
    r"(?<![\w.-])(?:(?:[3-6]\d|2[2-7])\d{2}(?:[ -]?\d){9,15}"
    r"|[2-6]\d{3}(?:[ ._/-]\d{4}){3}|3\d{3}[._/]\d{6}[._/]\d{5})(?![\w-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ .-]?[A-Za-z0-9])")
_IBAN_GLUED = re.compile(r"[A-Z]{2}\d{2}(?= ?[A-Z0-9])")
_IP4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_PHONE = re.compile(
    r"(?:(?<![\w.+/-])|(?<=[/-])(?=[+(]))(?:\+|00)?\(?\d{1,4}\)?(?:[ ./-]{0,2}\(?\d{2,5}\)?){1,6}"
    r"(?!\w|[/-](?! ?[+(])|\.\d)"
)
_VERSION = re.compile(r"(?i)(?:\b(?:version|ver|v|release|section|chapter)|§)\.?\s*$")


def find_personal(text: str) -> list[Spot]:
    """Personal data in a text, in order, without overlaps; what is glued to it is looked for again."""
    return _seen_and_unseen(plain(text), _personal)


def _seen_and_unseen(text: str, find: Finder) -> list[Spot]:
    """Return the matches of `find` in the text with and without zero-width characters, which no reader sees."""
    if text.isascii() or not UNSEEN.search(text):
        return find(text)
    places = [place for place, sign in enumerate(text) if not UNSEEN.match(sign)]
    seen = find("".join(text[place] for place in places))
    spots = [spot._replace(start=places[spot.start], end=places[spot.end - 1] + 1) for spot in seen]
    return _apart([*spots, *find(text)])


def _personal(text: str) -> list[Spot]:
    found = with_the_rest(text, _by_form(text))
    while found and (more := _by_form(without(text, found))):
        found = with_the_rest(text, [*found, *more])
    return found


def _by_form(text: str) -> list[Spot]:
    spots: list[Spot] = []
    if "@" in text:
        spots += _matches(_EMAIL, text, "EMAIL")
    if _DIGIT.search(text):
        spots += [*_ibans(text, _IBAN, glued=False), *_ibans(text, _IBAN_GLUED, glued=True)]
        spots += _matches(_CARD, text, "CARD", lambda m: is_card(m[0]))
        spots += _matches(_SSN, text, "ID")
        spots += _matches(_IP4, text, "IP", lambda m: is_address(m[0], text[max(0, m.start() - 12) : m.start()]))
        spots += _matches(_IP6, text, "IP", lambda m: is_address(m[0], ""))
        spots += _matches(_bare_mobile(), text, "PHONE")
        spots += _phones(text)
    return _apart(spots)


def find_secrets(text: str) -> list[Spot]:
    """Return keys and passwords of known forms in a text, in order, without overlaps."""
    return _seen_and_unseen(plain(text), _secrets)


def _secrets(text: str) -> list[Spot]:
    spots: list[Spot] = []
    if any(start in text for start in _secret_starts()):
        for name, pattern in _secret_patterns():
            part = "key" if "key" in pattern.groupindex else 0
            spots += [Spot(*m.span(part), "KEY", name) for m in pattern.finditer(text)]
    return _apart(spots)


def plain(text: str) -> str:
    r"""Return the text, as long as before, with full-width signs, digits of other scripts, odd spaces and dashes as
    ASCII, and line ends as a text of JSON or a program writes them (`\n`) as line ends.
    """
    text = text if text.isascii() else text.translate(_PLAIN)
    return _ESCAPED.sub("\n\n", text) if "\\" in text else text


@contextmanager
def names_masked(find: Finder | None) -> Iterator[None]:
    """Inside, `mask` covers what this finds, too: names of persons, where somebody looks for them."""
    before = _NAMES.set(find)
    try:
        yield
    finally:
        _NAMES.reset(before)


def mask(text: str) -> str:
    """Return the text with personal data and secrets replaced by what they are: `[PHONE]`, `[KEY]`."""
    return covered(text, spots_in(text))


def spots_in(text: str) -> list[Spot]:
    """Return all that `mask` covers, in order, without overlaps."""
    find = _NAMES.get()
    return _apart(find_secrets(text) + find_personal(text) + (find(text) if find else []))


def covered(text: str, spots: Iterable[Spot]) -> str:
    """Return the text with these spots replaced by what they are."""
    parts, at = [], 0
    for spot in spots:
        parts += [text[at : spot.start], f"[{spot.kind}]"]
        at = spot.end
    return "".join(parts) + text[at:]


def cut_apart(text: str, most: int) -> str:
    """Return the first `most` characters; what would be masked and lies over the end is left out whole, not halved."""
    if len(text) > most:
        for spot in spots_in(text[: most + REACH]):
            if spot.start < most < spot.end:
                return text[: spot.start]
    return text[:most]


def is_card(number: str) -> bool:
    """True if digits have a card's length and a correct Luhn digit, and are not one repeated digit."""
    digits = [int(sign) for sign in number if sign.isdigit()]
    if len(digits) not in (13, 14, 15, 16, 19) or len(set(digits)) < 2:
        return False
    doubled = [2 * digit for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """True if the length is the country's and the number modulo 97 is 1 (ISO 13616)."""
    signs = re.sub(r"[ .-]", "", text).upper()
    if len(signs) != rule_file("quality.toml")["iban"]["lengths"].get(signs[:2]):
        return False
    return int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1


def is_address(text: str, before: str) -> bool:
    """True if it is an IP address of a machine: no loopback, no net mask, no version number."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4 and (text.startswith(("0.", "255.")) or _VERSION.search(before[-12:])):
        return False
    return not (address.is_loopback or address.is_unspecified)


def is_phone(text: str, before: str) -> bool:
    """True if digits are written as a telephone number: with +, as 3-3-4, with a leading 0, or after such a word."""
    groups = re.findall(r"\d+", text)
    digits = sum(map(len, groups))
    if not 7 <= digits <= 15 or re.fullmatch(r"\(?000.*|\d{4}[-./]\d{1,2}[-./]\d{1,2}.*", text):
        return False
    if text.startswith(("+", "00")):
        return digits >= 9
    lengths = [len(group) for group in groups]
    if lengths in ([3, 3, 4], [1, 3, 3, 4]) and groups[-3][0] not in "01" and re.search(r"[-.) ]", text):
        return True
    if text.lstrip("(").startswith("0") and len(groups) > 1 and digits >= 9:
        return True
    return bool(_phone_words().search(before)) and "." not in text


def _phones(text: str) -> Iterator[Spot]:
    """Yield telephone numbers; of a row of numbers (`room 12 (415) 555-0132`) those that are one by themselves."""
    for row in _PHONE.finditer(text):
        if is_phone(row[0], text[max(0, row.start() - 30) : row.start()]):
            yield Spot(row.start(), row.end(), "PHONE")
            continue
        whole, gaps = row[0], [gap.start() for gap in re.finditer(" ", row[0])]
        parts = product((0, *(gap + 1 for gap in gaps)), (*gaps, len(whole)))
        found = [(start, end) for start, end in parts if end > start and _is_alone(whole[start:end])]
        begins = {len(whole) + 1, *(start for start, _ in found)}
        done = 0
        # of two with one begin the one behind which another number begins, or nothing more is; then the longest
        for start, end in sorted(found, key=lambda part: (part[0], part[1] + 1 not in begins, -part[1])):
            if start >= done:
                yield Spot(row.start() + start, row.start() + end, "PHONE")
                done = end


def _is_alone(text: str) -> bool:
    """True if it is a telephone number without a word before it; of several groups only with a 0 or a bracket."""
    return (text[0] in "0(" or " " not in text) and is_phone(text, "")


def _matches(
    pattern: re.Pattern[str], text: str, kind: str, holds: Callable[[re.Match[str]], bool] = lambda _: True
) -> Iterator[Spot]:
    for match in pattern.finditer(text):
        if holds(match):
            yield Spot(match.start(), match.end(), kind)


def _ibans(text: str, start: re.Pattern[str], *, glued: bool) -> Iterator[Spot]:
    """Yield each country code with as many letters and digits as its IBANs have, spaces between or not."""
    for match in start.finditer(text):
        length = rule_file("quality.toml")["iban"]["lengths"].get(match[0][:2].upper(), 0)
        whole = _iban_of(max(length, 2), glued).match(text, match.start())
        if whole and is_iban(whole[0]):
            yield Spot(whole.start(), whole.end(), "IBAN")


@functools.cache
def _iban_of(signs: int, glued: bool) -> re.Pattern[str]:
    """So many letters and digits and no more, in groups or not; `glued` whatever follows: the check digits tell."""
    if glued:
        return re.compile(rf"(?:[A-Z0-9] ?){{{signs - 1}}}[A-Z0-9]")
    return re.compile(rf"(?:[A-Za-z0-9][ .-]?){{{signs - 1}}}[A-Za-z0-9](?![A-Za-z0-9])")


def _apart(spots: list[Spot]) -> list[Spot]:
    """Return the spots in text order; of two that overlap the first found stays."""
    kept: list[Spot] = []
    for spot in spots:
        place = bisect.bisect_left(kept, spot)
        before, after = kept[max(place - 1, 0) : place], kept[place : place + 1]
        if all(other.end <= spot.start for other in before) and all(spot.end <= other.start for other in after):
            kept.insert(place, spot)
    return kept


def with_the_rest(text: str, found: Sequence[Spot]) -> list[Spot]:
    """Return the matches, extended by what is glued to them or to letters; in order, without overlaps."""
    spots = [_whole(text, spot) for spot in found]
    spots += [head for spot in spots if (head := _number_before(text, spot))]
    if "@" in text:
        spots += _matches(_MAIL, text, "EMAIL")
    more = [*_beside_letters(text), *_rows(text)] if _DIGIT.search(text) else []
    return _trimmed([*more, *spots]) if more or spots else []


def without(text: str, found: Sequence[Spot]) -> str:
    """Return the text with each of these, and a sign that joins it to its neighbour, blank; as long as before."""
    parts, at = [], 0
    for start, end, *_ in found:
        start -= start > at and text[start - 1] in _JOINS
        end += end < len(text) and text[end] in _JOINS
        parts += [text[at:start], "\n" * (end - max(start, at))]
        at = max(end, at)
    return "".join(parts) + text[at:]


def _whole(text: str, spot: Spot) -> Spot:
    """Return the spot with the half that the next one took: a second address's domain, a second number's country."""
    start, end, kind, _ = spot
    if kind == "EMAIL":
        rest = _DOMAIN.match(text, end) or _ENDING.match(text, end)
        before = _LOCAL.search(text, max(0, start - 200), start)
        return Spot(before.start() if before else start, rest.end() if rest else end, kind)
    code = _CODE.search(text, max(0, start - 8), start) if kind == "PHONE" else None
    return Spot(code.start() if code else start, end, kind)


def _number_before(text: str, spot: Spot) -> Spot | None:
    """Return the telephone number whose last digits were taken for the first ones of an address."""
    start, end, kind, _ = spot
    digits = _HEAD.match(text, start, end) if kind == "EMAIL" else None
    if digits is None:
        return None
    row = _BEFORE.search(text[max(0, start - 30) : digits.end()])
    if row is None or not is_phone(row[0], text[: max(0, start - 30) + row.start()][-30:]):
        return None
    return Spot(digits.end() - len(row[0]), digits.end(), "PHONE")


def _beside_letters(text: str) -> Iterator[Spot]:
    for word in _WORD.finditer(text):
        number = _NUMBER.match(text, word.end())
        if number and is_phone(number[0], f"{word[0]} "):
            yield Spot(number.start(), number.end(), "PHONE")
    for number in _ABROAD.finditer(text) if "+" in text else ():
        if is_phone(number[0], ""):
            yield Spot(number.start(), number.end(), "PHONE")


def _rows(text: str) -> Iterator[Spot]:
    """Yield numbers of a row of digits that is too long for one and is nothing but telephone numbers."""
    for row in _ROW.finditer(text) if _LONG.search(text) else ():
        if sum(map(str.isdigit, row[0])) > LONGEST_PHONE:
            before = text[max(0, row.start() - 30) : row.start()]
            for start, end in _taken_apart(row[0], before):
                yield Spot(row.start() + start, row.start() + end, "PHONE")


def _taken_apart(row: str, before: str) -> tuple[tuple[int, int], ...]:
    """Return the row as telephone numbers one after the other; none if a group of digits would be left over."""
    groups = [(m.start(), m.end()) for m in re.finditer(r"(?:\+|(?<!\d)00)?\(?\d+\)?", row)]
    if len(groups) > MOST_GROUPS:
        return ()

    @functools.cache
    def rest(first: int) -> tuple[tuple[int, int], ...] | None:
        if first == len(groups):
            return ()
        for last in range(first, min(first + 5, len(groups))):
            start, end = groups[first][0], groups[last][1]
            if _is_one(row[start:end], before) and (after := rest(last + 1)) is not None:
                return ((start, end), *after)
        return None

    return rest(0) or ()


def _is_one(number: str, before: str) -> bool:
    """True if it is a telephone number by itself, or one of full length after a word such as "phone"."""
    return is_phone(number, "") or (sum(map(str.isdigit, number)) >= FULL_PHONE and is_phone(number, before))


def _trimmed(spots: Sequence[Spot]) -> list[Spot]:
    """Return the spots in order; of two that overlap the later one loses the overlap."""
    kept: list[Spot] = []
    for start, end, kind, _ in sorted(spots, key=lambda spot: (spot.start, -spot.end)):
        begin = max(start, kept[-1].end) if kept else start
        if begin < end:
            kept.append(Spot(begin, end, kind))
    return kept


@functools.cache
def _secret_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Name and pattern of each known key format; a group `key` in it is the key, the rest its surroundings."""
    return tuple((each["id"], re.compile(each["pattern"])) for each in rule_file("quality.toml")["secret"])


@functools.cache
def _secret_starts() -> tuple[str, ...]:
    """Character strings of which a text with a secret holds at least one."""
    return tuple(dict.fromkeys(start for each in rule_file("quality.toml")["secret"] for start in each["starts"]))


@functools.cache
def _phone_words() -> re.Pattern[str]:
    """Return the pattern of a word that announces a telephone number, up to the number."""
    words = "|".join(rule_file("quality.toml")["phone"]["words"])
    return re.compile(rf"(?i)(?:{words})\W{{0,3}}(?:\w+\W{{1,2}}){{0,2}}$")


@functools.cache
def _bare_mobile() -> re.Pattern[str]:
    """Return the pattern of a mobile number that is known without a word before it."""
    return re.compile(rf"(?<![\w.+/-]){rule_file('quality.toml')['phone']['mobile']}(?![\w-]|\.\d)")
