"""Which release stands: a new run against it, and going back to an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from training.release.challenge import Challenge

WORDS = {
    "replace": "REPLACE  The new run beats what is released by {0:.1f} points.",
    "judgement": "JUDGEMENT  The new run is ahead by {0:+.1f} points, within the margin: a named person decides.",
    "keep": "KEEP  What is released stays: the new run is {0:+.1f} points beside it.",
    "need_more_data": "NEED MORE DATA  {0:+.1f} points, which these items cannot tell from none.",
}


def challenge(run: str, as_json: bool) -> None:
    """`rung release challenge R-002`: exit 0 where the run may replace what stands."""
    from rung.cli.models import finished_run
    from rung.cli.output import emit, say
    from training.release.challenge import challenge
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    found = challenge(project, load_settings(project.settings_file), finished_run(project, run or None))
    if as_json:
        emit({**found.verdict.model_dump(mode="json"), "champion": found.champion.id, "ruling": found.ruling})
    else:
        for line in _challenge_lines(found):
            say(line)
    if found.ruling != "replace":
        raise typer.Exit(1)


def _challenge_lines(found: Challenge) -> list[str]:
    v = found.verdict
    champion = f"{found.champion.id} ({found.champion.run or 'the prompt'})"
    counts = f"{v.better} better, {v.worse} worse, {v.same} the same"
    name = v.run or ""
    lines = [
        WORDS[found.ruling].format(100 * v.difference),
        "",
        f"{name:<10}  {v.tuned:.1%}",
        f"{'released':<10}  {v.baseline:.1%}   {champion}",
        f"difference  {100 * v.difference:+.1f} points ({v.confidence:.0%}: {100 * v.low:+.1f} to {100 * v.high:+.1f})",
        f"items       {counts}, of {v.n}",
        "",
    ]
    return [*lines, f"Next: rung release {name} --to adapter" if found.ruling == "replace" else "Next: rung status"]


def rollback(to: str, by: str, reason: str, as_json: bool) -> None:
    """`rung release rollback [L-001] --by NAME --reason TEXT`: an earlier release stands again."""
    from rung.cli.output import emit, say
    from training.release.current import roll_back
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    step = roll_back(project, load_settings(project.settings_file), to, by, reason)
    if as_json:
        return emit(step.model_dump(mode="json"))
    say(f'{step.release} stands again, in the place of {step.before}: {step.by}, "{step.reason}".')
    say(f"{step.before} is kept. Servers go on with what they have: start them anew from releases/{step.release}.")
