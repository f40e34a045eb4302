"""An item as the Review screen shows it: masked or not, its origin, the guideline and near rows beside it."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.text import Text

from curation.example import Example, edited_text
from curation.likeness.words import words
from curation.mask import mask
from curation.review import ReviewItem
from curation.review.item import LABEL_KEYS, Found, OtherDecision, Veil, hidden_words
from rung.start import GUIDELINE
from rung.symbols import drawn
from rung.text.message_text import VERBS, marked, turns
from rung.text.review_text import origin
from rung.tui.review.review_session import Aside, ReviewSession
from rung.tui.widgets.lines import LONGEST, TextPart, folded, row_text, shown, wrapped
from workspace.counted import duration

FINDINGS = 4
"""Findings shown beside an item; the rest is counted."""


@dataclass
class ItemView:
    """An item as a person sees it now: masked, or as it is once they asked for that."""

    item: ReviewItem
    session: ReviewSession
    unmasked: bool = False
    """True if this item is shown unmasked; the next one is masked again."""
    typed: str = ""
    """The edit that was typed last while the item is on the screen."""

    @property
    def face(self) -> ReviewItem:
        """The item as it is shown."""
        item = self.item  # masks are made once; how far the review is is newer
        return item if self.unmasked else replace(self._veil.item, decided=item.decided, total=item.total)

    @property
    def _veil(self) -> Veil:
        return self.session.veil(self.item)

    def cover(self, text: str) -> str:
        """Return a text of this item that is stored in no row, as it is shown."""
        return text if self.unmasked else mask(text)

    @property
    def aside(self) -> Aside | None:
        """Return the panel beside the item as shown; None until it is known."""
        known = self.session.asides.get(self.item.id)
        return replace(known, near=known.masked) if known is not None and not self.unmasked else known

    @property
    def found(self) -> Found:
        """Return all masked texts of the item and beside it."""
        aside = self.session.asides.get(self.item.id)
        return self._veil.found | (aside.found if aside is not None and not self.item.blind else frozenset())

    @property
    def hidden_note(self) -> str:
        """Return `Hidden: 1 phone. p shows them; this is recorded in the log`; empty if nothing is masked."""
        hidden = hidden_words(self.found)
        if not hidden:
            return ""
        shows = "p shows them; this is recorded in the log"
        return f"Shown: {hidden}. p hides them" if self.unmasked else f"Hidden: {hidden}. {shows}"

    @property
    def masked_in_edit(self) -> bool:
        """True if an edit would show what is masked now."""
        return not self.unmasked and self._veil.in_edit

    @property
    def start_text(self) -> str:
        """Return the initial text of an edit: what was typed, an earlier draft, the repaired answer, or the answer."""
        if self.typed:
            return self.typed
        if self.item.draft is not None:
            return edited_text(self.item.draft)
        return self.session.proposal(self.item) or edited_text(self.item.row)


def asked(item: ReviewItem) -> list[TextPart]:
    """Return all messages up to the answer, each under its title."""
    parts = [TextPart(Text(""))]
    for turn in turns(item.row):
        parts += [
            TextPart(Text(shown(turn.title), style="bold")),
            TextPart(row_text(turn.text), 2),
            TextPart(Text("")),
        ]
    return parts


def label(item: ReviewItem) -> str:
    """Return the heading of the text under the question."""
    if "rejected" in item.row:
        return "Is the better answer better?"
    return "Proposed answer" if item.messages else "Text"


def answer(item: ReviewItem) -> str | None:
    """Return the text that is decided on; None if there is none yet."""
    return edited_text(item.row) or None


def behind(item: ReviewItem, width: int, hidden: str = "") -> Iterator[Text]:
    """Yield the warnings (`hidden`: what is masked), the source of the row, and the progress."""
    yield Text("")
    if notes := [*([f"!   {hidden}"] if hidden else []), *_notes(item)]:
        yield Text("Look at this", style="bold")
        for note in notes:
            yield from _lines(f"  {note}", width)
        yield Text("")
    if item.passage:
        yield Text("Its passage, [[used words]] marked", style="bold")
        for line in marked(item.passage).splitlines():
            yield from _lines(f"  {shown(line)}", width)
        yield Text("")
    yield Text("Where it comes from", style="bold")
    yield from _lines(f"  {shown(origin(item))}", width)
    yield Text("")
    count = f"  {item.decided:,} of {item.total:,}"
    room = max(width - len(count) - 2, 8)
    filled = round(room * item.decided / max(item.total, 1))
    yield Text(drawn("━" * filled + "─" * (room - filled) + count), no_wrap=True)


def _notes(item: ReviewItem) -> Iterator[str]:
    if item.draft is not None:
        yield "!   You have an unsaved edit: e continues it"
    for side in item.sides:
        what = VERBS.get(side.verdict, side.verdict)
        yield f"!   {shown(side.reviewer)} {what}   {shown(one_line(side.answer), limit=100)}"
    for finding in item.findings[:FINDINGS]:
        yield f"!   {shown(str(finding.get('text', finding)), limit=200)}"
    if len(item.findings) > FINDINGS:
        yield f"    {len(item.findings) - FINDINGS} more: w shows them"


def one_line(text: str | None) -> str:
    """Return a text without its line breaks; `-` where there is none."""
    return " ".join((text or "-").split())


def _lines(text: str, width: int) -> Iterator[Text]:
    yield from (Text(drawn(line)) for line in folded(text, max(width - 2, 20)))


SHORT = 30
"""Lines below which fewer near rows are shown."""
HIDDEN = "Two people decide this row; the other decision is hidden."


Line = str | Text


HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)


def sections(text: str) -> list[tuple[str, str]]:
    """Return (heading, text under it) of each part that has a text; before the first heading the heading is empty."""
    first, *parts = HEADING.split(text)
    pairs = [("", first), *zip(parts[::2], parts[1::2], strict=True)]
    return [(heading, body.strip()) for heading, body in pairs if body.strip()]


def section_for(text: str, item: str) -> tuple[str, str]:
    """Return the part that shares the most and the rarest words with an item; the first one where none shares any."""
    parts = sections(text) or [("", text.strip())]
    sets = [frozenset(words(f"{heading} {body}")) for heading, body in parts]
    common = Counter(word for each in sets for word in each)
    mine = frozenset(words(item))

    def weight(number: int) -> float:
        return sum(math.log(len(parts) / common[word]) for word in mine & sets[number])

    return parts[max(range(len(parts)), key=lambda number: (weight(number), -number))]


def beside(view: ItemView, width: int, height: int) -> Text:
    """Guideline, nearest rows, session: as many lines as there are, the guideline cut first."""
    item, session, aside = view.item, view.session, view.aside
    labels = list(_labels(item, session, width))
    below = [*_near(item, aside, width, height), *_session(item, session, width), *_team(aside, width)]
    guideline = list(_guideline(item, width, max(height - len(below) - len(labels) - 1, 4)))
    lines: list[Line] = ["", *labels, *guideline, *below]
    return Text("\n").join(Text(drawn(line)) if isinstance(line, str) else line for line in lines)


def labels_of(item: ReviewItem, session: ReviewSession) -> tuple[str, ...]:
    """Return answers that a key gives to this item: those in use, where the item has one answer of a few words."""
    if session.series is not None or "rejected" in item.row or not item.messages:
        return ()
    return (session.labels or ())[: len(LABEL_KEYS)]


def _labels(item: ReviewItem, session: ReviewSession, width: int) -> Iterator[Line]:
    if labels := labels_of(item, session):
        yield Text("The answer is", style="bold")
        for key, label in zip(LABEL_KEYS, labels, strict=False):
            yield f"{'▸' if label == answer(item) else ' '} {key}  {_cut(label, width - 5).rstrip()}"
        yield ""


def _guideline(item: ReviewItem, width: int, room: int) -> Iterator[Line]:
    """Yield the part that speaks of the item, cut to the room there is; `g` shows all."""
    if item.guideline is None:
        return
    heading, body = section_for(
        item.guideline.text, f"{Example(item.row).question[:LONGEST]}\n{edited_text(item.row)[:LONGEST]}"
    )
    title = f"Guideline v{item.guideline.version}" + (f", {heading}" if heading else "")
    if item.guideline.text.strip() == GUIDELINE.strip():
        title = "The guideline is still the template: write guideline.md"
    yield from (heads := [Text(line, style="bold") for line in _wrapped(title, width)])
    lines = ["", *_wrapped(body, width)]
    room -= len(heads) + 1
    yield from lines if len(lines) <= room else [*lines[: room - 1], "…  g all of it"]
    yield ""


def _near(item: ReviewItem, aside: Aside | None, width: int, height: int) -> Iterator[Line]:
    """Answer, verdict, name: in one line each where the answers are short, else in two."""
    if item.blind:
        yield from (*_wrapped(HIDDEN, width), "")
        return
    if aside is None or not aside.near:
        return
    yield Text("Nearest decided rows", style="bold")
    names = max(cell_len(shown(row.reviewer)) for row in aside.near)
    room = width - names - 13
    if all(cell_len(one_line(row.answer)) <= room for row in aside.near):
        yield from (f"  {_cut(row.answer, room)} {row.verdict:<8}  {shown(row.reviewer)}" for row in aside.near)
    else:
        for row in aside.near[: 2 if height < SHORT else 4]:
            yield f"  {_cut(row.answer, width - 2)}"
            yield f"    {row.verdict}, {shown(row.reviewer)}"
    yield ""


def _session(item: ReviewItem, session: ReviewSession, width: int) -> Iterator[str]:
    if series := session.series:
        at = f"row {series.found - len(series.left)} of {series.found}"
        yield from (*_wrapped(f"Same repair as {series.repair.row}: {at}", width), "")
    yield f"This session: {len(session.done)} in {session.minutes:.0f} min"
    if session.an_hour:
        open_rows = max(item.total - item.decided, 1)
        left = duration(open_rows / session.an_hour * 3600)
        yield from _wrapped(f"{session.an_hour} an hour, about {left} left", width)


def _team(aside: Aside | None, width: int) -> Iterator[str]:
    """Everyone's rows, where there is more than one person."""
    people = [share for share in aside.team if share.kind == "person"] if aside else []
    if len(people) > 1:
        yield from _wrapped("Team: " + ", ".join(f"{shown(each.name)} {each.decided:,}" for each in people), width)


def near_words(rows: Sequence[OtherDecision]) -> str:
    """Return the nearest decided rows in full, for `v`."""
    parts = []
    for row in rows:
        head = f"{row.row}   {row.verdict} by {row.reviewer}   similarity {row.similarity or 0:.2f}"
        parts.append(f"{head}\n{row.question}\n-> {row.answer or 'rejected'}")
    return "\n\n".join(parts)


def _cut(text: str | None, room: int) -> str:
    line = Text(shown(one_line(text), limit=4 * room).replace("\n", " "))
    line.truncate(room, overflow="ellipsis", pad=True)
    return line.plain


def _wrapped(text: str, width: int) -> list[str]:
    return [line.plain for line in wrapped(Text(shown(text)), max(width, 12))]
