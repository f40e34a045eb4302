"""Personal data that stands against other personal data or against letters: `a@b.orgc@d.org`, two phones in a row.

What is found by form ends where its form ends, and a form wants air around it. Here is what has none: the rest of what
was found is covered too, and long rows of digits are taken apart where all of them are telephone numbers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence

Found = tuple[int, int, str]
"""From where to where, and its kind."""

_DIGIT, _HEAD, _JOINS = re.compile(r"\d"), re.compile(r"[\d-]*\d"), "/_-"
_DOMAIN = re.compile(r"(?:@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})+")
_ENDING = re.compile(r"(?:\.[A-Za-z]{2,24})+(?=[-_\d])")
_LOCAL = re.compile(r"(?:[\w.%+'-]{1,64}@)+$")
_MAIL = re.compile(r"(?<![\w.+-])[\w.%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?=[_\d-])")
_CODE = re.compile(r"(?:\+|00)\d{1,3}[ ./-]{0,2}$")
_DIGITS = r"\(?\d+\)?(?:(?:[ ./+-]{1,3}|(?=\())\(?\d+\)?)*"
_ROW = re.compile(rf"(?<![\w.])(?:\+|00)?{_DIGITS}(?![\w]|\.\d)")
_WORD = re.compile(r"(?i)(?<![a-z])(?:tele?(?:fon)?|(?:tele)?phone|fax|mobile?|cell|handy|whatsapp)(?=[+(\d])")
_BEFORE = re.compile(rf"(?:(?<![\w.])|(?<=\n))(?:\+|00)?{_DIGITS}$")
_NUMBER = re.compile(rf"\+?{_DIGITS}")
_ABROAD = re.compile(r"(?<![\w.+/-])\+\d+(?:(?:[ ./-]{1,2}|(?=\())\(?\d+\)?)*(?=[A-Za-z_])")
_LONG = re.compile(r"\d(?:[ ./+()-]{0,3}\d){15}")
LONGEST, FULL, MOST_GROUPS = 15, 10, 24
"""Digits of a telephone number (ITU-T E.164), of one with its area, and groups of a row that is taken apart."""


def with_the_rest(text: str, found: Sequence[Found], is_phone: Callable[[str, str], bool]) -> list[Found]:
    """What was found, and what is glued to it or to letters; in order, without overlaps."""
    spots = [_whole(text, spot) for spot in found]
    spots += [head for spot in spots if (head := _number_before(text, spot, is_phone))]
    if "@" in text:
        spots += [(m.start(), m.end(), "EMAIL") for m in _MAIL.finditer(text)]
    more = [*_beside_letters(text, is_phone), *_rows(text, is_phone)] if _DIGIT.search(text) else []
    return _apart([*more, *spots]) if more or spots else []


def without(text: str, found: Sequence[Found]) -> str:
    """The text with each of these, and a sign that joins it to what stands beside it, blank; as long as before."""
    parts, at = [], 0
    for start, end, _ in found:
        start -= start > at and text[start - 1] in _JOINS
        end += end < len(text) and text[end] in _JOINS
        parts += [text[at:start], "\n" * (end - max(start, at))]
        at = max(end, at)
    return "".join(parts) + text[at:]


def _whole(text: str, spot: Found) -> Found:
    """With the half of it that the next one took: the domain of a second address, the country of a second number."""
    start, end, kind = spot
    if kind == "EMAIL":
        rest = _DOMAIN.match(text, end) or _ENDING.match(text, end)
        before = _LOCAL.search(text, max(0, start - 200), start)
        return (before.start() if before else start), (rest.end() if rest else end), kind
    code = _CODE.search(text, max(0, start - 8), start) if kind == "PHONE" else None
    return (code.start() if code else start), end, kind


def _number_before(text: str, spot: Found, is_phone: Callable[[str, str], bool]) -> Found | None:
    """The telephone number whose last digits were taken for the first ones of an address."""
    start, end, kind = spot
    digits = _HEAD.match(text, start, end) if kind == "EMAIL" else None
    if digits is None:
        return None
    row = _BEFORE.search(text[max(0, start - 30) : digits.end()])
    if row is None or not is_phone(row[0], text[: max(0, start - 30) + row.start()][-30:]):
        return None
    return digits.end() - len(row[0]), digits.end(), "PHONE"


def _beside_letters(text: str, is_phone: Callable[[str, str], bool]) -> Iterator[Found]:
    for word in _WORD.finditer(text):
        number = _NUMBER.match(text, word.end())
        if number and is_phone(number[0], f"{word[0]} "):
            yield number.start(), number.end(), "PHONE"
    for number in _ABROAD.finditer(text) if "+" in text else ():
        if is_phone(number[0], ""):
            yield number.start(), number.end(), "PHONE"


def _rows(text: str, is_phone: Callable[[str, str], bool]) -> Iterator[Found]:
    """Numbers of a row of digits that is too long for one and is nothing but telephone numbers."""
    for row in _ROW.finditer(text) if _LONG.search(text) else ():
        if sum(map(str.isdigit, row[0])) > LONGEST:
            before = text[max(0, row.start() - 30) : row.start()]
            for start, end in _taken_apart(row[0], before, is_phone) or ():
                yield row.start() + start, row.start() + end, "PHONE"


def _taken_apart(row: str, before: str, is_phone: Callable[[str, str], bool]) -> list[tuple[int, int]] | None:
    """The row as telephone numbers one after the other; None where a group of digits would be left over."""
    groups = [(m.start(), m.end()) for m in re.finditer(r"(?:\+|(?<!\d)00)?\(?\d+\)?", row)]
    if len(groups) > MOST_GROUPS:
        return None

    @functools.cache
    def rest(first: int) -> tuple[tuple[int, int], ...] | None:
        if first == len(groups):
            return ()
        for last in range(first, min(first + 5, len(groups))):
            start, end = groups[first][0], groups[last][1]
            if _is_one(row[start:end], before, is_phone) and (after := rest(last + 1)) is not None:
                return ((start, end), *after)
        return None

    found = rest(0)
    return list(found) if found else None


def _is_one(number: str, before: str, is_phone: Callable[[str, str], bool]) -> bool:
    """Whether it is a telephone number by itself, or in full length after a word that says so."""
    return is_phone(number, "") or (sum(map(str.isdigit, number)) >= FULL and is_phone(number, before))


def _apart(spots: Sequence[Found]) -> list[Found]:
    """In order; of two that overlap the later one loses what the earlier has."""
    kept: list[Found] = []
    for start, end, kind in sorted(spots, key=lambda spot: (spot[0], -spot[1])):
        begin = max(start, kept[-1][1]) if kept else start
        if begin < end:
            kept.append((begin, end, kind))
    return kept
