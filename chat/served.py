"""A model that a server has beside the one of `[model]`: an adapter that vLLM serves under a name of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chat.errors import ChatError
from chat.open import host_of, open_model
from workspace.artefact import revised
from workspace.errors import Refusal, did_you_mean
from workspace.settings import ModelSettings

if TYPE_CHECKING:
    from chat.privacy import Guard
    from chat.protocols import ChatModel

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
