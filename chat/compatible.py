"""Any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, Ollama, OpenAI), through the openai SDK."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from chat.calls import body_message, inside_a_200, understood
from chat.endpoint import STOPS, model_place
from chat.hosted import USUAL, BatchState, CallOptions, Hosted, ended, room, schema_of, settled
from chat.keys import key_for, only_for
from chat.prices import Usage, price_of
from chat.protocols import Ask, ChatError, Reply
from chat.thinking import KNOWN, OF_BEDROCK, spoken
from chat.tool_calls import canonical, openai_tools, openai_turns, with_calls
from workspace.extras import require
from workspace.json_types import JsonObject
from workspace.trust import VENDORS, is_this_machine

BATCH_ENDS = ("completed", "failed", "expired", "cancelled")


class Compatible(Hosted):
    """A model behind an OpenAI-compatible address: greedy, with a fixed seed if the server allows it."""

    def __init__(
        self, model: str, *, base_url: str = "", options: CallOptions = USUAL, may_have_key: bool = True
    ) -> None:
        sdk = require("llm", "openai")
        place = model_place(base_url, "openai")
        self.is_local = is_this_machine(place.hostname or "")
        self.official = place.hostname == VENDORS["openai"]
        super().__init__(model, place.netloc, price_of(model, own=options.prices, shipped=self.official), options)
        self.refused: set[str] = set()
        """Parameters that the model said it does not support: they are sent to it no more."""
        self.sdk = sdk
        client = sdk.DefaultHttpx2Client(follow_redirects=False, timeout=options.timeout, trust_env=not self.is_local)
        key, kept_back = key_for(place, may_have_key=may_have_key)
        self.client = sdk.OpenAI(
            api_key=key, base_url=place.geturl(), max_retries=0, timeout=options.timeout, http_client=client
        )
        only_for(self.client, place, keep_headers=not base_url)
        self.notices += [kept_back] * bool(kept_back)

    def listed(self) -> dict[str, str]:
        """Return the names that the server has (`GET /models`), each with the one that it is based on where the server
        has it (vLLM's `parent` of an adapter). Raises ChatError; `garbled` where it is no list.
        """
        with understood(self.host):
            found = self.patiently(self.client.models.list)
        if not isinstance(getattr(found, "data", None), list):
            raise ChatError("garbled", f"{self.host} sent no list of models.", where=self.host)
        return {str(each.id): str(getattr(each, "parent", None) or "") for each in found.data if hasattr(each, "id")}

    def request(self, ask: Ask, *, thinks: bool = False) -> JsonObject:
        """Return the body of a chat completion."""
        request: JsonObject = {"model": self.model, "messages": openai_turns(ask.turns)}
        if tools := openai_tools(ask.meta.get("tools")):
            request["tools"] = tools
        limit = "max_completion_tokens" if self.official or "max_tokens" in self.refused else "max_tokens"
        request[limit] = room(ask, thinks=thinks)
        request["temperature"] = float(ask.meta.get("temperature", 0.0))
        request["seed"] = int(ask.meta.get("seed", 0))
        if schema := schema_of(ask):
            shape = {"name": "answer", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": shape}
        if self.probabilities:
            request["logprobs"] = True
        extra: JsonObject = dict(self.options.parameters)
        if self.enable_thinking is not None and not self.official:
            extra["chat_template_kwargs"] = {"enable_thinking": self.enable_thinking}
        kept = {name: value for name, value in request.items() if name not in self.refused}
        return {**kept, "extra_body": extra} if extra else kept

    def send(self, ask: Ask, *, thinks: bool) -> Any:
        """Return a completion; ask again without each parameter that the model refuses, whichever thread learned it."""
        while True:
            request = self.request(ask, thinks=thinks)
            try:
                found = self.client.chat.completions.create(**request)
                break
            except (self.sdk.BadRequestError, self.sdk.UnprocessableEntityError) as error:
                names = _unsupported(error, request)
                if not names:
                    raise
                self.notices += [f"{self.model} takes no {name}." for name in sorted(names - self.refused)]
                self.refused |= names
        if failure := inside_a_200(found, self.host):
            raise failure
        choices = getattr(found, "choices", None)
        if not isinstance(choices, list) or not choices or not getattr(choices[0], "message", None):
            raise ChatError("garbled", f"{self.host} sent an answer without choices.", where=self.host)
        with understood(self.host):
            if found.choices[0].finish_reason is None:
                raise self.cut(self._cost(found))
        return found

    def send_batch(self, asks: Mapping[str, Ask]) -> str:
        """Hand over a batch of OpenAI's kind: a file of requests."""
        lines = []
        for key, ask in asks.items():
            body = self.request(ask)
            body |= body.pop("extra_body", {})
            lines.append(json.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}))
        data = "\n".join(lines).encode()

        def send() -> Any:
            file = self.client.files.create(file=("rung.jsonl", data), purpose="batch")
            endpoint: Any = "/v1/chat/completions"
            return self.client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")

        return str(self.patiently(send, once=True).id)

    def batch_state(self, batch: str) -> BatchState:
        """Return the state of a batch."""
        found = self.patiently(lambda: self.client.batches.retrieve(batch))
        total, done = 0, 0
        with understood(self.host):
            if counts := found.request_counts:
                total, done = counts.total, counts.completed + counts.failed
            return BatchState(batch, found.status in BATCH_ENDS, total - done, done)

    def batch_results(self, batch: str, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Reply | ChatError]]:
        """Yield the results of an ended batch."""
        found = self.patiently(lambda: self.client.batches.retrieve(batch))
        for name in filter(None, (found.output_file_id, found.error_file_id)):
            text = self.patiently(partial(self.client.files.content, name)).text
            for line in text.split("\n"):  # a text in JSON may hold other line ends
                try:
                    entry = json.loads(line)
                    ask = asks[entry["custom_id"]]
                except (LookupError, TypeError, ValueError):
                    continue  # not asked for here, or garbled: then its ask has no result, which is said
                yield entry["custom_id"], self.read_result(ask, entry)

    def result(self, ask: Ask, found: JsonObject) -> Reply:
        """Return the reply in a line of the batch's file. Raises ChatError if it holds none."""
        body = (found.get("response") or {}).get("body") or {}
        if not body.get("choices"):
            detail = (body.get("error") or found.get("error") or {}).get("message", "")
            raise ChatError("request", f"{self.host}: no answer in the batch. {detail}".strip(), where=self.host)
        return self.reply(ask, self.sdk.types.chat.ChatCompletion.model_validate(body), 0.0, batch=True)

    def _cost(self, found: Any, *, batch: bool = False) -> float | None:
        counted = found.usage and found.usage.prompt_tokens is not None
        return self.cost(_usage(found), batch=batch) if counted else (0.0 if self.is_local else None)

    def reply(self, ask: Ask, found: Any, seconds: float, *, batch: bool = False) -> Reply:
        """Return the completion as a reply, with its cost."""
        choice = found.choices[0]
        refused = getattr(choice.message, "refusal", None)
        reason = "refused" if refused else STOPS.get(choice.finish_reason, "end")
        marks = (*KNOWN, OF_BEDROCK) if "gpt-oss" in self.model else KNOWN
        text, stopped = settled(ask, spoken(_text(choice.message.content), marks), reason)
        called = [c for c in choice.message.tool_calls or () if getattr(c, "function", None)]
        text = with_calls(
            text, [canonical({"name": c.function.name, "arguments": c.function.arguments}) for c in called]
        )
        usage, stopped = _usage(found), ended(text, stopped)
        cost, kept = self._cost(found, batch=batch), usage.cache_read
        return Reply(
            text, usage.total_input, usage.output, seconds, stopped, cost, cached_tokens=kept, logprob=_logprob(choice)
        )


def _logprob(choice: Any) -> float | None:
    """Return the sum over the tokens of the answer; None if the server sent none."""
    tokens = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    known = [token.logprob for token in tokens if isinstance(getattr(token, "logprob", None), int | float)]
    return math.fsum(known) if known and len(known) == len(tokens) else None


def _usage(found: Any) -> Usage:
    """Return billed tokens: cached input costs less; thinking is output, which Gemini counts in the total alone."""
    if not found.usage:
        return Usage()
    details = getattr(found.usage, "prompt_tokens_details", None)
    kept = int(getattr(details, "cached_tokens", None) or 0)
    asked, written = found.usage.prompt_tokens or 0, found.usage.completion_tokens or 0
    return Usage(asked - kept, max(written, (found.usage.total_tokens or 0) - asked), kept)


def _text(content: Any) -> str:
    """Return the text of a message: a string, or parts of which some are text (Mistral's way to show its thinking)."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        return "".join(str(part.get("text") or "") for part in parts)
    return content or ""


OPTIONAL = ("temperature", "seed", "max_tokens", "max_completion_tokens", "response_format", "logprobs")
"""Parameters that an answer can do without."""
UNSUPPORTED = re.compile(r"(?i)support|unrecogni[sz]ed|unknown|unexpected|not (permitted|allowed|available)|extra")
TOO_MUCH = re.compile(r"(?i)too (large|long|many|big)|at most|maximum|exceed|context length")


def _unsupported(error: Any, request: JsonObject) -> set[str]:
    """Return the optional parameters that the refusal names as unsupported, not one with too high a value."""
    said = f"{error} {body_message(error)}"
    if not UNSUPPORTED.search(said) or TOO_MUCH.search(said):
        return set()
    named = str(getattr(error, "param", None) or "")
    return {n for n in OPTIONAL if n in request and (n == named or re.search(rf"(?<!\w){n}(?!\w)", said))}
