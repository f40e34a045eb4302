"""`rung advise --recheck`: does decision.json still hold, by today's answers, rules, prices and models?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rung.cli.output import emit, say

if TYPE_CHECKING:
    from advisor.decision import Decision
    from workspace.folder import Project
    from workspace.settings import Settings


def recheck_decision(project: Project, before: Decision, after: Decision, as_json: bool) -> None:
    """Exit 0 where the decision of before still holds, 1 where it does not: other advice, a model that has ended,
    prices that turn what pays.
    """
    from dataclasses import asdict

    from advisor.recheck import recheck
    from rung.cli.advice_diff import difference, difference_lines
    from workspace.settings import load_settings

    models = models_in_use(project, load_settings(project.settings_file), after)
    findings = recheck(before, after, models, after.as_of, project.root / "rules")
    found, holds = difference(before, after), all(finding.holds for finding in findings)
    if as_json:
        emit({**found, "holds": holds, "findings": [asdict(finding) for finding in findings]})
    else:
        say(f"The decision of {before.as_of} {'still holds' if holds else 'does not hold any more'}, on {after.as_of}.")
        for finding in findings:
            say(f"{'!' if finding.holds else '✗'} {finding.text}" + (f"  -> {finding.do}" if finding.do else ""))
        for line in difference_lines(found, "Written", "Now"):
            say(line)
    if not holds:
        raise typer.Exit(1)


def models_in_use(project: Project, settings: Settings, decision: Decision) -> dict[str, str]:
    """Hosted models that the project counts on, by what they are for, each model once."""
    from training.release.current import standing_release

    found: dict[str, str] = {}
    if settings.model.provider != "local":
        found[settings.model.base] = "[model] base"
    released = standing_release(project)
    if released is not None and released[1].base:
        found.setdefault(released[1].base, f"release {released[1].id}")
    incumbent = decision.answers.get("incumbent_model")
    if isinstance(incumbent, str):
        found.setdefault(incumbent, "the answer incumbent_model")
    return {use: name for name, use in found.items()}
