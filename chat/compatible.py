"""Any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, Ollama, OpenAI), through the openai SDK."""

from __future__ import annotations

import threading
import time
from typing import Any

from chat.calls import Patience, patiently
from chat.endpoint import STOPS, model_place
from chat.errors import ChatError
from chat.hosted import TIMEOUT, WORKERS, Hosted, no_tools, room, schema_of, settled
from chat.keys import key_for, only_for
from chat.prices import Usage, price_of
from chat.protocols import Ask, Reply
from chat.thinking import spoken
from workspace.extras import require
from workspace.json_types import JsonObject
from workspace.trust import VENDORS, is_this_machine


class Compatible(Hosted):
    """A model behind an OpenAI-compatible address: greedy with a fixed seed where the server allows it.

    Which key it sends, `chat.keys.key_for` says.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = "",
        patience: Patience | None = None,
        timeout: float = TIMEOUT,
        workers: int = WORKERS,
        may_have_key: bool = True,
    ) -> None:
        sdk = require("llm", "openai")
        place = model_place(base_url, "openai")
        self.here = is_this_machine(place.hostname or "")
        self.official = place.hostname == VENDORS["openai"]
        price = price_of(model) if self.official else None
        super().__init__(model, place.netloc, price, patience=patience or Patience(), workers=workers)
        self.greedy = True
        self.sdk = sdk
        client = sdk.DefaultHttpx2Client(follow_redirects=False, timeout=timeout, trust_env=not self.here)
        key, kept_back = key_for(place, may_have_key=may_have_key)
        self.client = sdk.OpenAI(
            api_key=key, base_url=place.geturl(), max_retries=0, timeout=timeout, http_client=client
        )
        only_for(self.client, place, keep_headers=not base_url)
        self.notices += [kept_back] * bool(kept_back)

    @property
    def is_local(self) -> bool:
        """True where the address is this machine's."""
        return self.here

    def ask_once(self, ask: Ask, stop: threading.Event, *, thinks: bool) -> Reply:
        """One reply, patiently."""
        started = time.perf_counter()
        found = patiently(lambda: self._send(ask, thinks), self.sdk, self.host, self.patience, stop)
        return self._reply(ask, found, time.perf_counter() - started)

    def listed(self) -> dict[str, str]:
        """The names that the server has (`GET /models`), each with the one that it is based on where the server has it
        (vLLM's `parent` of an adapter). Raises ChatError; `garbled` where it is no list.
        """
        found = patiently(self.client.models.list, self.sdk, self.host, self.patience, threading.Event())
        if not isinstance(getattr(found, "data", None), list):
            raise ChatError("garbled", f"{self.host} sent no list of models.", where=self.host)
        return {str(each.id): str(getattr(each, "parent", None) or "") for each in found.data if hasattr(each, "id")}

    def request(self, ask: Ask, *, thinks: bool = False) -> JsonObject:
        """The body of a chat completion."""
        no_tools(ask)
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in ask.turns]
        request: JsonObject = {"model": self.model, "messages": turns}
        request["max_completion_tokens" if self.official else "max_tokens"] = room(ask, thinks=thinks)
        if self.greedy or "temperature" in ask.meta:
            request["temperature"] = float(ask.meta.get("temperature", 0.0))
            request["seed"] = int(ask.meta.get("seed", 0))
        if self.enable_thinking is not None and not self.official:
            request["extra_body"] = {"chat_template_kwargs": {"enable_thinking": self.enable_thinking}}
        if schema := schema_of(ask):
            shape = {"name": "answer", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": shape}
        return request

    def _send(self, ask: Ask, thinks: bool) -> Any:
        try:
            found = self.client.chat.completions.create(**self.request(ask, thinks=thinks))
        except self.sdk.BadRequestError as error:
            if not self.greedy or "temperature" not in str(error):
                raise
            self.greedy = False
            self.notices.append(f"{self.model} takes no temperature: its replies may differ from call to call.")
            found = self.client.chat.completions.create(**self.request(ask, thinks=thinks))
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
        text, stopped = settled(ask, spoken(choice.message.content or ""), reason, self.host)
        usage = Usage(found.usage.prompt_tokens, found.usage.completion_tokens) if found.usage else Usage()
        cost = self.cost(usage) if found.usage else (0.0 if self.here else None)
        return Reply(text, usage.total_input, usage.output, seconds, stopped, cost)
