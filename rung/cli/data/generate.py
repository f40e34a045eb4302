"""`rung data generate`: drafts for the review queue."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.data.data_commands import data_app
from rung.cli.options import By, Json, Reason
from rung.cli.output import ProgressLine, note, say, show
from workspace.counted import counted

if TYPE_CHECKING:
    from chat.privacy import Override
    from chat.protocols import ChatModel
    from curation.generate.run import Session
    from workspace.folder import Project
    from workspace.settings import ModelSettings, Settings


@data_app.command("generate")
def generate(
    count: Annotated[
        int,
        typer.Option(
            "--count", min=1, max=1_000_000, help="Total number of drafts. A rerun never pays for the same draft twice."
        ),
    ],
    strategy: Annotated[
        str,
        typer.Option(
            help="paraphrase, new_input, edge_cases, answer_input, from_documents, raft, critique or preference."
        ),
    ] = "paraphrase",
    provider: Annotated[str, typer.Option(help="local, anthropic or openai (any compatible server).")] = "",
    model: Annotated[str, typer.Option(help="Model id, hub id or folder, instead of [model] base.")] = "",
    base_url: Annotated[str, typer.Option(help="Address of a compatible server.")] = "",
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Spending limit for this run, in USD.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Send as a batch; run the command again to fetch it.")] = False,
    override: Annotated[
        str, typer.Option(help="privacy: send rows despite the privacy answer; needs --by and --reason.")
    ] = "",
    by: By = "",
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money is spent.")] = False,
    as_json: Json = False,
) -> None:
    """Let a model draft candidates. Each needs a reviewer's decision before it can be used."""
    from curation.generate import run
    from curation.generate.reply_log import yields
    from curation.generate.strategies import find_strategy
    from curation.store import open_store
    from rung.cli.models import overridden
    from rung.text.drafts_text import drafted_lines
    from workspace.settings import opened_project

    project, settings = opened_project()
    find_strategy(strategy)
    named = named_model(settings, provider, model, base_url)
    allowed = overridden(project, settings, override, by, reason, "data generate")
    with open_store(project, settings) as store:
        store.check_writable()
        opened = open_named(project, settings, named, allowed)
        session = run.Session(project, settings, store, opened, run.Wish(count, strategy, budget_usd))
        if not yes and not as_json and not _agreed(session):
            say("No request was sent.")
            return
        outcome = run.generate_batch(session) if batch else run.generate(session, ProgressLine("Drafts"))
        table = yields(store, project)
    document = {**outcome.to_json(), "yield": [each.to_json() for each in table]}
    show(as_json, document, drafted_lines(outcome, table))
    if outcome.stopped == "interrupted":
        raise typer.Exit(130)
    if outcome.failed:
        raise typer.Exit(1)


def named_model(settings: Settings, provider: str, model: str, base_url: str) -> ModelSettings:
    """`[model]` with the flags on top: another provider brings its own default model."""
    from workspace.errors import RungError, did_you_mean
    from workspace.shipped_rules import rule_file

    known = ("local", "anthropic", "openai")
    if provider and provider not in known:
        raise RungError(
            f"--provider {provider} is not known.{did_you_mean(provider, known)}", f"One of: {', '.join(known)}"
        )
    old = settings.model
    taken = provider or old.provider
    if taken == "local" and model and Path(model).is_dir():
        model = str(Path(model).resolve())  # a flag's folder stands here
    new = {"provider": taken, "base": model or old.base, "base_url": base_url or old.base_url}
    if new["provider"] != old.provider:
        new["base_url"] = base_url
        if not model:
            defaults = {entry["id"]: entry.get("default_model") for entry in rule_file("providers.toml")["provider"]}
            new["base"] = defaults.get(new["provider"]) or "embedded"
    return old.model_copy(update=new)


def open_named(project: Project, settings: Settings, named: ModelSettings, override: Override | None) -> ChatModel:
    """Return the model behind the privacy guard; a local one shows its progress while it is made."""
    from chat.open import open_model
    from chat.privacy import Guarded, project_guard

    line = ProgressLine("Making the embedded model ready")
    opened = open_model(
        named, guard=project_guard(project, settings, override), batch=settings.evaluation.batch, progress=line
    )
    inner = opened.model if isinstance(opened, Guarded) else opened
    for notice in getattr(inner, "notices", ()):
        note(f"! {notice}")
    if price := getattr(inner, "price", None):
        note(f"{named.base}: ${price.input:g} in, ${price.output:g} out a million tokens, {price.words(date.today())}")
    return opened


def _agreed(session: Session) -> bool:
    """Ask once, on a terminal, before money is spent; True for yes."""
    if session.model.is_local or not sys.stdin.isatty() or not sys.stderr.isatty():
        return True
    from curation.generate.run import worst_case
    from workspace.counted import money

    asks, most = worst_case(session)
    price = f"at most {money(most)}" if most is not None else "price unknown"
    return not asks or typer.confirm(
        f"Ask {session.model.name} for {counted(asks, 'draft')}? {price[0].upper()}{price[1:]}.", err=True
    )
