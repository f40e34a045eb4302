"""Limits of a provider: the privacy answer, and OpenAI's limits (rules/managed.toml). Nothing is uploaded."""

import json
from collections.abc import Mapping
from datetime import date

from chat.privacy import SEALED, UNTRAINED, privacy_answers, trains
from workspace.errors import InputError, Problem, Refusal
from workspace.folder import Project
from workspace.shipped_rules import rule_file

ROLES = ("system", "user", "assistant", "tool")


def demand_limits(files: Mapping[str, str]) -> None:
    """Raise InputError with every limit of OpenAI that these files break."""
    problems = [problem for name, text in files.items() for problem in faults(name, text, limits())]
    if problems:
        raise InputError(problems, "rung data freeze   (another version), or rung plan export trl")


def may_leave(
    project: Project, today: date | None = None, provider: str = "openai", host: str = "api.openai.com"
) -> None:
    """Raises Refusal if the privacy answer keeps rows from this provider: the files are made to be uploaded.

    `today`: the day that what is known of the provider is held against; the present one where none is given.
    """
    answers = privacy_answers(project.answers_file)
    why = "it keeps rows on this machine" if SEALED in answers else ""
    if not why and UNTRAINED in answers:
        why = trains(provider, host, today or date.today())
    if why:
        said = ", ".join(sorted(answers))
        raise Refusal(
            f"No rows for {host}: your answer privacy = {said}; {why}.", "rung plan export trl", where="privacy"
        )


def limits() -> dict[str, int]:
    """Return the provider's dated limits."""
    entry = next(e for e in rule_file("managed.toml")["provider"] if e["id"] == "openai")
    return dict(entry["limits"])


def faults(name: str, text: str, allowed: Mapping[str, int]) -> list[Problem]:
    """Return the limits that one file exceeds. Tokens are counted from above: no token is shorter than a byte."""
    found = []
    lines = text.splitlines()
    if name.startswith("train") and len(lines) < allowed["min_rows"]:
        found.append(Problem(f"{len(lines)} rows; at least {allowed['min_rows']} are asked for.", name))
    size = len(text.encode())
    if size > allowed["max_bytes"]:
        found.append(Problem(f"{size:,} bytes; at most {allowed['max_bytes']:,} are taken.", name))
    for number, line in enumerate(lines, 1):
        found += _row_faults(f"{name}:{number}", line, allowed)
    return found


def _row_faults(where: str, line: str, allowed: Mapping[str, int]) -> list[Problem]:
    row = json.loads(line)
    roles = [message["role"] for message in row["messages"]]
    found = [Problem(f'role "{role}" is not taken.', where) for role in roles if role not in ROLES]
    if not roles or roles[-1] != "assistant":
        found.append(Problem("the last message is not the assistant's.", where))
    if len(line.encode()) > allowed["max_tokens"] * 4:
        found.append(Problem(f"may be over {allowed['max_tokens']:,} tokens ({len(line.encode()):,} bytes).", where))
    return found
