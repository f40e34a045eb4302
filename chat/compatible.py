"""Any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, Ollama, OpenAI), through the openai SDK."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from chat.calls import Patience, patiently
from chat.endpoint import STOPS, model_place
from chat.errors import ChatError
from chat.hosted import TIMEOUT, WORKERS, Hosted, no_tools, room, schema_of, settled
from chat.keys import how_to_give, key_of
from chat.prices import Usage, price_of
from chat.privacy import is_this_machine
from chat.protocols import Ask, Reply
from workspace.errors import RungError
from workspace.extras import require

OPENAI = "https://api.openai.com/v1"


class Compatible(Hosted):
    """A model behind an OpenAI-compatible address: greedy with a fixed seed where the server allows it.

    The key is `OPENAI_API_KEY` for api.openai.com only; any other address gets `RUNG_API_KEY`, so that a key is
    never shown to a server that it was not made for.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = "",
        patience: Patience | None = None,
        timeout: float = TIMEOUT,
        workers: int = WORKERS,
    ) -> None:
        sdk = require("llm", "openai")
        address = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
        place = model_place(address)
        self.here = is_this_machine(place.hostname or "")
        self.official = place.hostname == "api.openai.com"
        price = price_of(model) if self.official else None
        super().__init__(model, place.netloc, price, patience=patience or Patience(), workers=workers)
        self.greedy = True
        self.sdk = sdk
        client = sdk.DefaultHttpx2Client(follow_redirects=False, timeout=timeout, trust_env=not self.here)
        self.client = sdk.OpenAI(
            api_key=_key(self.official),
            base_url=address,
            max_retries=0,
            timeout=timeout,
            http_client=client,
        )

    @property
    def is_local(self) -> bool:
        """True where the address is this machine's."""
        return self.here

    def ask(self, ask: Ask, stop: threading.Event) -> Reply:
        """One reply, patiently."""
        started = time.perf_counter()
        found = patiently(lambda: self._send(ask), self.sdk, self.host, self.patience, stop)
        return self._reply(ask, found, time.perf_counter() - started)

    def listed(self) -> dict[str, str]:
        """The names that the server has (`GET /models`), each with the one that it stands on where the server says so
        (vLLM's `parent` of an adapter). Raises ChatError; `garbled` where it is no list.
        """
        found = patiently(self.client.models.list, self.sdk, self.host, self.patience, threading.Event())
        if not isinstance(getattr(found, "data", None), list):
            raise ChatError("garbled", f"{self.host} sent no list of models.", where=self.host)
        return {str(each.id): str(getattr(each, "parent", None) or "") for each in found.data if hasattr(each, "id")}

    def request(self, ask: Ask) -> dict[str, Any]:
        """The body of a chat completion."""
        no_tools(ask)
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in ask.turns]
        request: dict[str, Any] = {"model": self.model, "messages": turns}
        request["max_completion_tokens" if self.official else "max_tokens"] = room(ask)
        if self.greedy or "temperature" in ask.meta:
            request["temperature"] = float(ask.meta.get("temperature", 0.0))
            request["seed"] = int(ask.meta.get("seed", 0))
        if schema := schema_of(ask):
            shape = {"name": "answer", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": shape}
        return request

    def _send(self, ask: Ask) -> Any:
        try:
            found = self.client.chat.completions.create(**self.request(ask))
        except self.sdk.BadRequestError as error:
            if not self.greedy or "temperature" not in str(error):
                raise
            self.greedy = False
            self.notices.append(f"{self.model} takes no temperature: its replies may differ from call to call.")
            found = self.client.chat.completions.create(**self.request(ask))
        choices = getattr(found, "choices", None)
        if not isinstance(choices, list) or not choices or not hasattr(choices[0], "message"):
            raise ChatError("garbled", f"{self.host} sent an answer without choices.", where=self.host)
        if found.choices[0].finish_reason is None:
            raise ChatError("connection", f"{self.host}: the answer was cut off on its way.", where=self.host)
        return found

    def _reply(self, ask: Ask, found: Any, seconds: float) -> Reply:
        choice = found.choices[0]
        refused = getattr(choice.message, "refusal", None)
        reason = "refused" if refused else STOPS.get(choice.finish_reason, "end")
        text, stopped = settled(ask, choice.message.content or "", reason, self.host)
        usage = Usage(found.usage.prompt_tokens, found.usage.completion_tokens) if found.usage else Usage()
        cost = self.cost(usage) if found.usage else (0.0 if self.here else None)
        return Reply(text, usage.total_input, usage.output, seconds, stopped, cost)


def _key(official: bool) -> str:
    name = "OPENAI_API_KEY" if official else "RUNG_API_KEY"
    key = key_of(name)
    if official and not key:
        hint = f"{how_to_give(name)}, or name your own server: [model] base_url in rung.toml"
        raise RungError("No key for OpenAI in the environment or the keyring.", hint, where=name)
    return key or "none"
