"""Model from settings, with only the imports that this one needs; or one that a server has beside that of `[model]`: an
adapter that vLLM serves under a name of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chat.endpoint import model_place
from chat.protocols import ChatError, Progress
from workspace.artefact import revised
from workspace.errors import Refusal, RungError, did_you_mean
from workspace.settings import ModelSettings

if TYPE_CHECKING:
    from chat.hosted import Hosted
    from chat.local.load import Precision
    from chat.local.model import LocalModel
    from chat.privacy import Guard
    from chat.protocols import ChatModel


_PRECISIONS: dict[str, Precision] = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16"}


def open_model(
    settings: ModelSettings,
    *,
    guard: Guard | None = None,
    adapter: Path | None = None,
    batch: int = 24,
    progress: Progress | None = None,
    called: str = "",
) -> ChatModel:
    """Return the model that `[model]` names. A local one is Scorer and Tokenizer too.

    `adapter` is a peft folder and goes with local models only. A model elsewhere needs `guard`
    (`chat.privacy.project_guard`), which is asked before each call; `called` is another name for it in reports.
    Raises RungError if the extra, the model or the key is missing, Refusal where the privacy answer forbids.
    """
    if settings.provider == "local":
        return open_local(settings, adapter=adapter, batch=batch, progress=progress)
    if adapter is not None:
        raise RungError(f"An adapter needs a local model; [model] provider is {settings.provider}.", where="rung.toml")
    if settings.base == "embedded":
        raise RungError(
            f'[model] base = "embedded" is a local model, but provider is {settings.provider}.',
            "Name the model: [model] base in rung.toml, or --model",
            where="rung.toml",
        )
    return _hosted(settings, guard, called)


def _hosted(settings: ModelSettings, guard: Guard | None, called: str) -> ChatModel:
    """Return the client. Raises unless the privacy answer allows it, its key is there, and its host is trusted."""
    from chat.calls import Patience
    from chat.hosted import CallOptions
    from chat.privacy import Guarded
    from workspace.trust import is_this_machine

    host = host_of(settings)
    here = settings.provider == "openai" and is_this_machine(host)
    if guard is None and not here:
        raise TypeError("a model elsewhere is opened with a guard")
    if guard is not None and not here:
        guard.check(settings.provider, host)
    may_have_key = guard is not None and guard.may_have_key(host)
    options = CallOptions(
        patience=Patience(tries=settings.tries),
        timeout=settings.timeout,
        workers=settings.workers,
        requests_per_minute=settings.requests_per_minute,
        parameters=settings.parameters,
        prices=guard.root / "rules" / "prices.toml" if guard is not None and guard.root else None,
    )
    if settings.provider == "anthropic":
        from chat.claude import Claude

        model: Hosted = Claude(settings.base, base_url=settings.base_url, options=options, may_have_key=may_have_key)
    else:
        from chat.compatible import Compatible

        model = Compatible(settings.base, base_url=settings.base_url, options=options, may_have_key=may_have_key)
    if guard is not None:
        guard.demand_trust(host)
    model.called, model.enable_thinking = called, settings.enable_thinking
    return model if guard is None or here else Guarded(model, guard, settings.provider, model.host)


def host_of(settings: ModelSettings) -> str:
    """Return the host, with its port, that a hosted model's calls go to."""
    return model_place(settings.base_url, settings.provider).netloc.lower()


def open_local(
    settings: ModelSettings,
    *,
    adapter: Path | None = None,
    batch: int = 24,
    precision: Precision | None = None,
    progress: Progress | None = None,
) -> LocalModel:
    """Open a model on this machine, as `open_model`, with its own type. `precision` is the settings' unless named."""
    from chat.local.load import load
    from chat.local.model import LocalModel

    kind = precision or _PRECISIONS[settings.precision]
    loaded = load(
        settings.base,
        adapter=adapter,
        precision=kind,
        threads=settings.threads,
        progress=progress,
        enable_thinking=settings.enable_thinking,
    )
    return LocalModel(loaded, batch=batch)


SERVER = '[model] provider = "openai", base_url = "http://localhost:8000/v1" in rung.toml, then rung baseline'
UNTOLD = frozenset({"model", "request", "garbled"})
"""Kinds of failure with which a server shows that it keeps no list."""


def own_server(settings: ModelSettings) -> str:
    """Return the host of the compatible server that `[model]` names. Raises Refusal if it names none."""
    if settings.provider != "openai":
        raise Refusal(
            f"[model] provider is {settings.provider}. A served model needs a server with the OpenAI protocol "
            "(vLLM, llama-server), the one that also answered the arms.",
            SERVER,
            where="rung.toml",
        )
    if not (settings.base_url or os.environ.get("OPENAI_BASE_URL")):
        raise Refusal(
            "[model] base_url names no server of your own: api.openai.com has none of your weights.",
            SERVER,
            where="rung.toml",
        )
    return host_of(settings)


def open_beside(
    settings: ModelSettings, name: str, guard: Guard | None, *, called: str, needed: Sequence[str] = ()
) -> ChatModel:
    """Return the model `name` of the server of `[model]`, after its list was read (no row is sent for that); reports
    and kept answers name it as it is `called`.

    Raises Refusal if the privacy answer forbids, where the list holds neither it nor all that are `needed`, or says
    that it is based on another model than `[model]`'s.
    """
    host = own_server(settings)
    model = open_model(revised(settings, base=name), guard=guard, called=called)
    listed = _listed(model, host)
    if name not in listed:
        known = f"it has {', '.join(listed)}.{did_you_mean(name, listed)}" if listed else "it lists none."
        raise Refusal(
            f"{host} lists no {name}: {known}",
            f"vllm serve {settings.base} --enable-lora --lora-modules {name}=FOLDER",
        )
    under = listed[name]
    if under != settings.base and under in listed:
        raise Refusal(
            f"{host} says that {name} is based on {under}, and the arms were asked of {settings.base}.",
            f"serve it on {settings.base}",
        )
    for other in needed:
        if other not in listed:
            told = f"{host} does not list {other}, which is asked the general suite as the model before training."
            raise Refusal(told, "the same command without --forgetting")
    return model


def _listed(model: ChatModel, host: str) -> Mapping[str, str]:
    """Return the models that `GET /v1/models` lists, asked with the model's own key."""
    from chat.compatible import Compatible
    from chat.privacy import unguarded

    client = unguarded(model)
    assert isinstance(client, Compatible)
    try:
        return client.listed()
    except ChatError as error:
        if error.kind not in UNTOLD:
            raise
        raise Refusal(
            f"{host} does not list its models (GET /v1/models), so it is unknown which one answers.",
            "a server that lists them: vLLM, llama-server",
        ) from error
