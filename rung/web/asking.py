"""One request, read: the visitor, the fields of the form, the look they chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from curation.review import Reviewer, Ruling
from curation.review.reasons import reason_of
from rung.web.door import Visitor
from rung.web.view import plain

THEMES = ("auto", "light", "dark")
SIZES = ("1", "2", "3", "4")
FIELDS = 40
"""Fields of a form that are read at most."""


@dataclass(frozen=True, slots=True)
class Look:
    """Theme and text size (1 to 4; 2 is the usual one), kept in a cookie."""

    theme: str = "auto"
    size: str = "2"

    @classmethod
    def read(cls, cookie: str) -> Look:
        """Out of `dark.3`; anything else is the usual look."""
        theme, _, size = cookie.partition(".")
        return cls(theme, size) if theme in THEMES and size in SIZES else cls()

    def changed(self, wish: str) -> Look:
        """After a press on `bigger`, `smaller`, `light` or `dark`; or a size itself, which the script sends."""
        if wish in SIZES:
            return Look(self.theme, wish)
        step = {"bigger": 1, "smaller": -1}.get(wish, 0)
        size = str(min(4, max(1, int(self.size) + step)))
        return Look(wish if wish in THEMES else self.theme, size)

    def __str__(self) -> str:
        return f"{self.theme}.{self.size}"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a page is given: who asks, what for, and with which fields."""

    request: Request
    visitor: Visitor
    form: Mapping[str, str]
    look: Look

    @property
    def person(self) -> Reviewer:
        """Who asks."""
        return self.visitor.person

    def ruling(self, reasons: tuple[str, ...], before: str | None) -> Ruling:
        """The decision that the form holds; an edit that leaves the text `before` as it was is an approval."""
        verdict = self.form.get("verdict", "")
        text = plain(self.form.get("text", ""))
        if verdict == "edit" and before is not None and text == plain(before):
            verdict = "approve"
        reason = self.form.get("other", "").strip() or self.form.get("reason", "")
        return Ruling(
            verdict,
            text=text if verdict == "edit" else None,
            reason=reason_of(reason, reasons) if verdict == "reject" else "",
            remark=plain(self.form.get("remark", "")).strip(),
        )


def read_form(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; the first of each name. Raises ValueError for too many of them."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS)
    return dict(reversed(pairs))
