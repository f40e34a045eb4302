"""Claude through the anthropic SDK: Messages, structured output, prompt caching, Message Batches."""

from collections.abc import Iterator, Mapping
from typing import Any

from chat.calls import understood
from chat.endpoint import model_place
from chat.hosted import USUAL, BatchState, CallOptions, Hosted, ended, room, schema_of, settled, thinking_room
from chat.keys import key_for, only_for
from chat.prices import Usage, price_of
from chat.protocols import Ask, ChatError, Reply
from chat.thinking import spoken
from chat.tool_calls import canonical, claude_tools, claude_turns, with_calls
from workspace.extras import require
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file
from workspace.trust import VENDORS

CACHE_FROM = 4096
"""Characters of a system text from which the prompt cache is asked to keep it; shorter ones are never cached."""
STREAM_FROM = 16_000
"""Token limits from which an answer is streamed: the SDK refuses long ones otherwise."""
LEAST_BUDGET = 1024
"""Fewest thinking tokens that the API takes."""
STOPS = {"end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "refusal": "refused"}
STOPS["model_context_window_exceeded"] = "length"


class Claude(Hosted):
    """A Claude model. Its API takes no temperature: the same ask may bring another reply."""

    is_local = False
    """Even a Claude address on this machine passes on what it is sent."""

    def __init__(
        self, model: str, *, base_url: str = "", options: CallOptions = USUAL, may_have_key: bool = True
    ) -> None:
        sdk = require("llm", "anthropic")
        place = model_place(base_url, "anthropic")
        sdk_options: JsonObject = {"max_retries": 0, "timeout": options.timeout, "open_telemetry": False}
        sdk_options["http_client"] = sdk.DefaultHttpxClient(follow_redirects=False, timeout=options.timeout)
        sdk_options |= {"base_url": place.geturl(), "_strict_response_validation": True}
        client, kept_back = None, ""
        if place.hostname == VENDORS["anthropic"] and place.scheme == "https":  # the SDK may find credentials by itself
            client = sdk.Anthropic(**sdk_options)
        if not client or not (client.api_key or client.auth_token or client.credentials):
            key, kept_back = key_for(place, may_have_key=may_have_key)  # it is given one, so that it looks for none
            client = sdk.Anthropic(**sdk_options, api_key=key)
        only_for(client, place, keep_headers=not base_url)
        entry = next(entry for entry in rule_file("providers.toml")["provider"] if entry["id"] == "anthropic")
        price = price_of(model, float(entry["cache_write_factor"]), own=options.prices)
        super().__init__(model, place.netloc, price, options)
        self.sdk = sdk
        self.client = client
        ends = getattr(require("llm", "anthropic.resources.messages"), "DEPRECATED_MODELS", {})
        self.notices += [f"{model} reaches its end of life on {ends[model]}."] if model in ends else []
        self.notices += [kept_back] * bool(kept_back)

    def request(self, ask: Ask, *, thinks: bool = False) -> JsonObject:
        """Return the body of a Messages call, which is also one request of a batch."""
        system = "\n\n".join(str(turn["content"]) for turn in ask.turns if turn["role"] == "system")
        request: JsonObject = {"model": self.model, "messages": claude_turns(ask.turns)}
        if tools := claude_tools(ask.meta.get("tools")):
            request["tools"] = tools
        request["max_tokens"] = room(ask, thinks=thinks)
        if self.enable_thinking is not None:
            request["thinking"] = {"type": "disabled"}
        if self.enable_thinking:
            budget = max(LEAST_BUDGET, thinking_room(ask))
            request["thinking"] = {"type": "enabled", "budget_tokens": budget}
            request["max_tokens"] = budget + room(ask)
        if system:
            block: JsonObject = {"type": "text", "text": system}
            if len(system) >= CACHE_FROM:
                block["cache_control"] = {"type": "ephemeral"}
            request["system"] = [block]
        if schema := schema_of(ask):
            request["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return request

    def send_batch(self, asks: Mapping[str, Ask]) -> str:
        """Hand over a Message Batch."""
        own = self.options.parameters
        requests = [{"custom_id": key, "params": {**self.request(ask), **own}} for key, ask in asks.items()]
        send = self.client.messages.batches.create
        return str(self.patiently(lambda: send(requests=requests), once=True).id)

    def batch_state(self, batch: str) -> BatchState:
        """Return the state of a batch."""
        found = self.patiently(lambda: self.client.messages.batches.retrieve(batch))
        counts = found.request_counts
        done = counts.succeeded + counts.errored + counts.canceled + counts.expired
        return BatchState(batch, found.processing_status == "ended", counts.processing, done)

    def batch_results(self, batch: str, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Reply | ChatError]]:
        """Yield the results of an ended batch."""
        entries = self.patiently(lambda: list(self.client.messages.batches.results(batch)))
        for entry in entries:
            if entry.custom_id in asks:
                yield entry.custom_id, self.read_result(asks[entry.custom_id], entry.result)

    def result(self, ask: Ask, found: Any) -> Reply:
        """Return the reply in a result of a Message Batch. Raises ChatError if it holds none."""
        if found.type != "succeeded":
            detail = getattr(getattr(getattr(found, "error", None), "error", None), "message", "")
            raise ChatError("request", f"{self.host}: {found.type} in the batch. {detail}".strip(), where=self.host)
        return self.reply(ask, found.message, 0.0, batch=True)

    def send(self, ask: Ask, *, thinks: bool) -> Any:
        """Send one message. A long one is streamed; a broken stream is a broken connection, not an answer."""
        request = self.request(ask, thinks=thinks)
        request = {**request, "extra_body": dict(self.options.parameters)} if self.options.parameters else request
        if request["max_tokens"] < STREAM_FROM:
            message = self.client.messages.create(**request)
        else:
            with self.client.messages.stream(**request) as stream:
                message = stream.get_final_message()
        with understood(self.host):
            if message.stop_reason is None:
                raise self.cut(self.cost(_usage(message)))
        return message

    def reply(self, ask: Ask, found: Any, seconds: float, *, batch: bool = False) -> Reply:
        """Return the message as a reply, with its cost."""
        message = found
        text = "".join(block.text for block in message.content if block.type == "text")
        text, stopped = settled(ask, spoken(text), STOPS.get(message.stop_reason, "end"))
        called = [block for block in message.content if block.type == "tool_use"]
        text = with_calls(text, [canonical({"name": each.name, "arguments": each.input}) for each in called])
        usage, stopped = _usage(message), ended(text, stopped)
        cost, kept = self.cost(usage, batch=batch), usage.cache_read
        return Reply(text, usage.total_input, usage.output, seconds, stopped, cost, cached_tokens=kept)


def _usage(message: Any) -> Usage:
    said = message.usage
    read, write = said.cache_read_input_tokens or 0, said.cache_creation_input_tokens or 0
    return Usage(said.input_tokens, said.output_tokens, read, write)
