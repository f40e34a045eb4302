"""`rung why REF`: the chain behind a row, a score, a gate, a refusal; also a rule, an answer."""

from __future__ import annotations

import re
from typing import Annotated

import typer

GATES = ("decision", "dataset", "review", "leakage", "baseline", "machine")


def register(app: typer.Typer) -> None:
    """Add `why`."""
    app.command("why")(why)


def why(
    ref: Annotated[str, typer.Argument(help="L-001, R-001, E-001, P-001, v001, r-000123, a gate, a rule, an answer.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """The chain behind a thing, down to each row's source, reviewer and guideline, or to the rule and its source."""
    from rung.cli.output import emit, say
    from rung.why import chain
    from workspace.folder import require_project

    if ref in GATES:
        document, lines = _gate(ref)
    elif re.fullmatch(r"([LREP]-|v|r-)\d+", ref):
        links = chain(require_project(), ref)
        document = {"ref": ref, "chain": [link.as_json() for link in links]}
        lines = [line for link in links for line in link.lines()]
    else:
        document, lines = _rule(ref)
    if as_json:
        emit(document)
        return
    for line in lines:
        say(line)


def _gate(name: str) -> tuple[dict[str, object], list[str]]:
    """What one gate found just now, with its rule and evidence."""
    from training.clearance import check_gates
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    found = next(g for g in check_gates(project, load_settings(project.settings_file)) if g.name == name)
    lines = [f"{found.symbol} {found.name:<10} {found.fact}"]
    lines += [f"  why: {found.why}"] if found.why else []
    lines += [f"  do:  {found.opener}"] if found.opener else []
    lines += [f"  rule {found.rule}"] if found.rule else []
    lines += [f"  {key}: {value}" for key, value in found.evidence.items()]
    return found.model_dump(mode="json"), lines


def _rule(ref: str) -> tuple[dict[str, object], list[str]]:
    """A rule with its sources, or a question with the rules that hang on it."""
    from advisor.explain import about, known_refs
    from advisor.rulebook import load_rulebook

    from workspace.errors import RungError, did_you_mean
    from workspace.folder import find_project

    project = find_project()
    rulebook = load_rulebook(project.root / "rules" if project else None)
    lines = about(rulebook, ref)
    if lines is None:
        near = did_you_mean(ref, [*known_refs(rulebook), *GATES])
        raise RungError(f'There is no rule, answer, gate or thing called "{ref}".{near}', "rung rules list")
    return {"ref": ref, "lines": lines}, lines
