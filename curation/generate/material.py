"""Input of generation: approved rows, classes, documents, unanswered inputs, reviewers' remarks, prompt templates."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from string import Template

from curation.checks.phrases import order_in, order_in_text
from curation.documents import document_files, paragraphs_of
from curation.example import text_of
from curation.likeness.words import words
from curation.store import Store, StoredRow
from curation.store.decision_log import remarks_of
from workspace.errors import InputError, Problem, Refusal, did_you_mean
from workspace.files import sha256_bytes
from workspace.folder import Project
from workspace.settings import Settings

PASSAGE = 800
"""Characters of a passage: whole paragraphs up to this length."""
SHOWN = 4
LABELS_LISTED = 60


@dataclass(frozen=True, slots=True)
class DocumentPassage:
    """A piece of a document and its place: `documents/rules.md:12`."""

    text: str
    place: str

    @property
    def name(self) -> str:
        """Return its file below documents/ and the page of a PDF, as the rag arm shows it."""
        file, _, start = self.place.partition("/")[2].rpartition(":")
        return f"{file}, {start}" if start.startswith("p. ") else file


@dataclass(frozen=True)
class DraftMaterial:
    """Seeds in a fixed mixed order, small classes first, and everything else that a prompt may show.

    `reviewed` is False if no row was reviewed yet: then the user's own pool rows serve.
    """

    seeds: Sequence[StoredRow]
    reviewed: bool
    unanswered: Sequence[StoredRow]
    drafts: Sequence[StoredRow]
    passages: Sequence[DocumentPassage]
    guideline: str
    label_limit: int
    reasons: Mapping[int, str]
    """Reviewers' reasons for rejecting drafts, by decision."""
    ordering: int = 0
    """Rows and passages that are left out because they hold orders to a model (the check `orders`)."""
    reasons_alone: bool = False
    """True if prompts name only the reasons of rejections, not the rejected drafts."""

    @cached_property
    def words(self) -> Sequence[frozenset[str]]:
        """The words of each passage."""
        return [frozenset(words(passage.text)) for passage in self.passages]

    @cached_property
    def by_answer(self) -> Mapping[str, Sequence[StoredRow]]:
        """Seeds by their answer, in seed order."""
        found: dict[str, list[StoredRow]] = defaultdict(list)
        for row in self.seeds:
            found[row.example.answer or ""].append(row)
        return found

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The closed set, rarest first, where most rows share their answer with another; empty for free answers."""
        counts = Counter({answer: len(rows) for answer, rows in self.by_answer.items() if answer})
        shared = sum(n for n in counts.values() if n > 1)
        if len(counts) > self.label_limit or 2 * shared <= counts.total():
            return ()
        return tuple(sorted(counts, key=lambda answer: (counts[answer], answer)))

    def drafts_of(self, strategy: str) -> list[StoredRow]:
        """Return the drafts of this strategy, the newest first."""
        return [row for row in reversed(self.drafts) if row.meta.get("strategy") == strategy]


def gather(store: Store, project: Project, settings: Settings) -> DraftMaterial:
    """Read the material of a project. No test row, no validation row and no generated row is ever a seed, and no row
    or passage that forges a turn of the chat or orders a model about.
    """
    own = store.rows(role=("pool", "train"), origin="import")
    usable = [row for row in own if row.mark != "validation" and row.example.messages]
    sound = [row for row in usable if not order_in(row.example)]
    found = passages_of(project.documents, project)
    passages = [passage for passage in found if not order_in_text(passage.text)]
    answered = [row for row in sound if row.example.is_answered and row.example.question.strip()]
    kept = [row for row in answered if row.is_reviewed]
    seeds = kept or [row for row in answered if row.state not in ("rejected", "unsure")]
    drafts, guideline = store.rows(role="candidates", origin="generated"), project.guideline_file
    with store.read() as connection:
        said = remarks_of(connection, [row.decision for row in drafts if row.state == "rejected" and row.decision])
    return DraftMaterial(
        seeds=in_turn(seeds, settings.dataset.seed),
        reviewed=bool(kept),
        unanswered=[row for row in sound if not row.example.is_answered and row.state != "rejected"],
        drafts=drafts,
        passages=passages,
        guideline=guideline.read_text(encoding="utf-8-sig", errors="replace") if guideline.is_file() else "",
        label_limit=settings.evaluation.label_limit,
        reasons={number: ": ".join(filter(None, told)) for number, told in said.items()},
        ordering=len(usable) - len(sound) + len(found) - len(passages),
    )


def in_turn(rows: Sequence[StoredRow], seed: int) -> list[StoredRow]:
    """Return one row of each answer in turn, answers with few rows first; mixed by seed, the same at every call."""
    mixed = sorted(rows, key=lambda row: row.content_hash)
    random.Random(seed).shuffle(mixed)
    groups: dict[str, list[StoredRow]] = defaultdict(list)
    for row in mixed:
        groups[row.example.answer or ""].append(row)
    ordered = sorted(groups.values(), key=len)
    return [row for turn in zip_longest(*ordered) for row in turn if row is not None]


def need(found: Sequence[object], what: str, hint: str) -> None:
    """Raises Refusal if a strategy has nothing to start from."""
    if not found:
        raise Refusal(f"Nothing to start from: {what}.", hint)


def passages_of(folder: Path, project: Project) -> list[DocumentPassage]:
    """Return paragraphs of all documents, joined up to PASSAGE characters within a page, in order of their paths."""
    found = []
    for path in document_files(folder):
        start, block = "", ""
        for paragraph in paragraphs_of(path, project.relative(path)):
            turned = paragraph.start.startswith("p. ") and paragraph.start != start
            if block and (turned or len(block) + len(paragraph.text) > PASSAGE):
                found.append(DocumentPassage(block.strip(), f"{paragraph.file}:{start}"))
                block = ""
            start = start if block else paragraph.start
            block += paragraph.text + "\n\n"
        if block.strip():
            found.append(DocumentPassage(block.strip(), f"{project.relative(path)}:{start}"))
    return found


def shown(rows: Sequence[StoredRow], most: int = SHOWN) -> str:
    """Return rows as a prompt shows them."""
    return "\n".join(f"Input: {row.example.question}\nAnswer: {row.example.answer}" for row in rows[:most])


def last_user(row: StoredRow) -> str:
    """Return the last user message: what a paraphrase replaces."""
    turns = [turn for turn in row.example.asked if turn.get("role") == "user"]
    return text_of(turns[-1].get("content")) if turns else ""


FOLDER = Path(__file__).parent / "prompts"
PLACES = (
    "question",
    "answer",
    "label",
    "labels",
    "samples",
    "examples",
    "avoid",
    "variation",
    "guideline",
    "document",
)


HEADING = re.compile(r"#\s*(system|user|assistant)\s*", re.IGNORECASE)
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template's messages; `source` (its file) and `sha256` (of its bytes) are kept with each candidate."""

    parts: tuple[tuple[str, Template], ...]
    source: str
    sha256: str

    def turns(self, values: Mapping[str, str], examples: Sequence[tuple[str, str]] = ()) -> tuple[dict[str, str], ...]:
        """Return the filled messages; places without a value vanish, and so do the blank lines that they leave.

        `examples` (text, what was made of it) go in as turns of their own before the last one, where that is the bare
        text; `$examples` is empty then.
        """
        if examples and self.is_bare:
            made = self.turns({**values, "examples": ""})
            pairs = [
                {"role": role, "content": text}
                for before, after in examples
                for role, text in (("user", before), ("assistant", after))
            ]
            return (*made[:-1], *pairs, made[-1])
        full = {place: values.get(place, "") for place in PLACES}
        filled = ((role, _tidy(text.substitute(full))) for role, text in self.parts)
        return tuple({"role": role, "content": text} for role, text in filled if text)

    @property
    def is_bare(self) -> bool:
        """True if the last message is the text alone, so that examples can be turns of the same form."""
        role, text = self.parts[-1]
        return role == "user" and text.template.strip() == "$question"

    def shows(self, place: str) -> bool:
        """True if the template has this placeholder."""
        return any(place in text.get_identifiers() for _, text in self.parts)


def load_prompt(strategy: str, project: Project) -> PromptTemplate:
    """Return the user's `prompts/generate/STRATEGY.md`, else the one that comes with Rung.

    Raises InputError for a missing part or an unknown placeholder, all at once, with lines.
    """
    own = project.root / "prompts" / "generate" / f"{strategy}.md"
    path = own if own.is_file() else FOLDER / f"{strategy}.md"
    name = project.relative(path) if path == own else f"{strategy}.md (Rung's)"
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError([Problem(f"not UTF-8 at byte {error.start + 1}.", where=name)]) from error
    parts = _parts(text)
    if problems := [*_order_problems(parts, name), *_place_problems(text, name)]:
        raise InputError(problems, f"Placeholders: {', '.join('$' + place for place in PLACES)}")
    return PromptTemplate(tuple((role, Template(part)) for role, part in parts), name, sha256_bytes(data))


def _parts(text: str) -> list[tuple[str, str]]:
    """Role and text of each part under `# system`, `# user`, `# assistant`; what is before them is for the reader."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if heading := HEADING.fullmatch(line):
            found.append((heading[1].lower(), []))
        elif found:
            found[-1][1].append(line)
    return [(role, "\n".join(lines)) for role, lines in found]


def _order_problems(parts: Sequence[tuple[str, str]], name: str) -> list[Problem]:
    """Return a problem unless parts are as in a chat: system first if at all, user and assistant in turn, user last."""
    roles = [role for role, _ in parts]
    talk = roles[1:] if roles[:1] == ["system"] else roles
    if talk and all(role == ROLES[1 + place % 2] for place, role in enumerate(talk)) and talk[-1] == "user":
        return []
    expected = "# system, then # user and # assistant in turn, # user last"
    return [Problem(f"has the parts {', '.join(roles) or 'none'}.", where=name, expected=expected)]


def _place_problems(text: str, name: str) -> list[Problem]:
    """Unknown placeholders, below the first heading."""
    problems = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        inside = inside or bool(HEADING.fullmatch(line))
        for match in re.finditer(r"\$(?:\$|\{?(\w*)\}?)", line) if inside else ():
            place = match[1]
            if place is not None and place not in PLACES:
                hint = did_you_mean(place, PLACES)
                text_ = f'unknown placeholder "{match[0]}".{hint} A plain $ is $$.'
                problems.append(Problem(text_, f"{name} line {number}"))
    return problems


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip()
