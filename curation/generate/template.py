"""Prompt templates: files that a user can read, copy into `prompts/generate/` and change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from workspace.errors import InputError, Problem, did_you_mean
from workspace.files import sha256_bytes
from workspace.folder import Project

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
