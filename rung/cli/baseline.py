"""Commands of the group `baseline`: measure the ladder, measure the tuned model, rule on both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("verdict")(verdict)


def verdict(
    run: Annotated[str | None, typer.Argument(help="A run (R-001); the newest by default.")] = None,
    scores: Annotated[str | None, typer.Option(help="JSONL of scores, one item a line; - for stdin.")] = None,
    chosen: Annotated[str | None, typer.Option(help="The arm that validation chose, with several arms.")] = None,
    margin: Annotated[float | None, typer.Option(min=0, max=1, help="The lead a tuned model needs (0.05).")] = None,
    accept_judgement: Annotated[bool, typer.Option(help="Decide a judgement: needs --by and --reason.")] = False,
    by: Annotated[str, typer.Option(help="Who decides.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Rule: ship, judgement, keep the prompt, or need more data."""
    from evaluation.verdict import MARGIN, Rule
    from workspace.errors import RungError

    if accept_judgement and not (by.strip() and reason.strip()):
        raise RungError("--accept-judgement needs a name and a reason.", "--by NAME --reason TEXT")
    if scores is None:
        raise RungError("No verdict yet.", "rung evaluate")
    result = _from_scores(scores, chosen, Rule(margin=MARGIN if margin is None else margin))
    if accept_judgement and result.verdict == "judgement":
        result = _accept(result, by, reason)
    _show(result, as_json)
    raise typer.Exit(0 if result.verdict == "ship" or result.accepted else 1)


def _from_scores(scores: str, chosen: str | None, rule: Any) -> Any:
    import sys

    from evaluation.scores import read_scores, read_scores_file
    from evaluation.verdict import verdict_of

    given = read_scores("stdin", sys.stdin.buffer.read()) if scores == "-" else read_scores_file(Path(scores))
    return verdict_of(given, chosen, rule)


def _accept(result: Any, by: str, reason: str) -> Any:
    from evaluation.verdict import Acceptance
    from workspace.artefact import now

    return result.model_copy(update={"accepted": Acceptance(by=by.strip(), reason=reason.strip(), at=now())})


def _show(result: Any, as_json: bool) -> None:
    from rung.cli.output import emit, say
    from rung.report.verdict_words import lines

    if as_json:
        emit(result.model_dump(mode="json"))
        return
    for line in lines(result):
        say(line)
