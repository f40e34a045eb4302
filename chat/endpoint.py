"""A server that speaks the OpenAI chat protocol, asked with nothing but the standard library."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, urlsplit

from chat.calls import kind_of
from chat.keys import NONE, key_for, without_keys
from chat.protocols import Ask, ChatError, Kind, Progress, Reply, Turn
from chat.thinking import spoken
from chat.tool_calls import calls_of, openai_tools, openai_turns, with_calls
from workspace.errors import RungError
from workspace.json_types import JsonObject

PATIENCE = 600.0
DEFAULTS = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
STOPS = {"stop": "end", "length": "length", "content_filter": "refused"}
"""The protocol's reasons for an end, as `chat.protocols.Reply` calls them."""


def http_place(address: str, said: str, hint: str) -> SplitResult:
    """Return the parts of an http address, without a user's name and password: the host is printed and kept in reports.

    Raises RungError, with these words, where it is none; `said` names the address as `{address}`.
    """
    try:
        place = urlsplit(address)
        if place.scheme in ("http", "https") and place.hostname and place.port != 0:
            return place._replace(netloc=place.netloc.rpartition("@")[2])
    except ValueError:
        pass
    shown = without_keys(re.sub(r"(?s)^(\w[\w+.-]*://)?.*@", r"\1", address))
    raise RungError(f"{said.replace('{address}', shown)} is not an http address.", hint, found=shown)


def model_place(address: str, provider: str) -> SplitResult:
    """Return the parts of `base_url`, else of the provider's variable or own host. RungError if it is no address.

    A user's name and password in it are left out.
    """
    named = address or os.environ.get(f"{provider.upper()}_BASE_URL") or DEFAULTS[provider]
    return http_place(named, '[model] base_url = "{address}"', 'base_url = "http://localhost:8000/v1" in rung.toml')


class Endpoint:
    """`url` is the server's root or its `/v1`; `model` the name to ask for, else the first one it lists.

    `keyed` where a person named the address: then it gets the key that is for its host (`chat.keys.key_for`).
    """

    def __init__(self, url: str, model: str = "", *, keyed: bool = False, patience: float = PATIENCE) -> None:
        place = http_place(url, "{address}", "rung release check http://localhost:8000/v1")
        self.root = place._replace(query="", fragment="").geturl().rstrip("/").removesuffix("/v1")
        self.host = place.netloc
        self.key = key_for(place, may_have_key=True)[0] if keyed else NONE
        self.patience = patience
        self._model = model

    @property
    def model(self) -> str:
        """The model's name at the server."""
        if not self._model:
            try:
                self._model = str(self.ask("/v1/models")["data"][0]["id"])
            except (KeyError, IndexError, TypeError) as error:
                raise RungError(f"{self.host} lists no model.", "--model NAME", where=self.host) from error
        return self._model

    def answer(
        self, turns: Sequence[Turn], max_tokens: int, temperature: float | None = 0.0, tools: Any = None
    ) -> Reply:
        """Return one answer, greedy unless `temperature` is None (server's default); 0 tokens if it tells none."""
        body: JsonObject = {"model": self.model, "messages": openai_turns(turns), "max_tokens": max_tokens}
        if tools:
            body["tools"] = openai_tools(tools)
        if temperature is not None:
            body |= {"temperature": temperature, "seed": 0}
        started = time.perf_counter()
        found = self.ask("/v1/chat/completions", body)
        spent = time.perf_counter() - started
        try:
            choice, usage = found["choices"][0], found.get("usage") or {}
            text, reason = str(choice["message"].get("content") or ""), choice.get("finish_reason")
            text = with_calls(text, calls_of(choice["message"]))
            asked, written = (int(usage.get(f"{side}_tokens") or 0) for side in ("prompt", "completion"))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise RungError(f"{self.host} sent an answer that is no chat completion.", where=self.host) from error
        return Reply(text, asked, written, spent, STOPS.get(str(reason), "end"))

    def prompt(self, turns: Sequence[Turn]) -> tuple[str, list[int]] | None:
        """Return the turns as llama.cpp or vLLM renders them, text and token ids; None for other servers."""
        messages = [dict(turn) for turn in turns]
        try:
            said = self.ask("/apply-template", {"messages": messages})["prompt"]
            asked = {"content": said, "add_special": False, "parse_special": True}
            return str(said), [int(token) for token in self.ask("/tokenize", asked)["tokens"]]
        except (RungError, KeyError, TypeError, ValueError):
            pass
        try:
            asked = {"model": self.model, "messages": messages, "add_generation_prompt": True}
            return "", [int(token) for token in self.ask("/tokenize", asked)["tokens"]]
        except (RungError, KeyError, TypeError, ValueError):
            return None

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> JsonObject:
        """Return a JSON document: the one at this path, or the one that answers `body`."""
        return exchange(self.root + path, body, self.key, self.host, self.patience)


def exchange(url: str, body: Mapping[str, Any] | None, key: str, host: str, patience: float) -> JsonObject:
    """Return the JSON reply to a POST, or to a GET. Raises ChatError. Rows go to this address only."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    path = urlsplit(url).path
    try:
        with opener.open(request, timeout=patience) as reply:
            found = json.load(reply)
    except urllib.error.HTTPError as error:
        said = without_keys(error.read(300).decode(errors="replace").strip())[:200] or str(error.reason)
        raise ChatError(kind_of(error.code), f"{host}{path} answered {error.code}: {said}", where=host) from error
    except (OSError, ValueError, HTTPException, RecursionError) as error:
        reason = getattr(error, "reason", None) or error
        kind: Kind = "timeout" if isinstance(reason, TimeoutError) else "connection"
        kind = kind if isinstance(error, OSError | HTTPException) else "garbled"
        raise ChatError(kind, f"{host}: no answer ({reason}).", "Is the server up?", where=host) from error
    if not isinstance(found, dict):
        raise ChatError("garbled", f"{host}{path} sent no JSON object.", where=host)
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Rows go to the named host and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""
        return None


class ServedModel:
    """The model behind an endpoint, as a ChatModel: one ask at a time, so that numbers do not hang on batches."""

    is_local = True
    can_choose = False

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        """`name` is what reports print: the form and the hash of its file."""
        self.endpoint = endpoint
        self.name = name

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return one reply for each ask, in order."""
        replies = []
        for number, ask in enumerate(asks, 1):
            found = self.endpoint.answer(ask.turns, ask.max_tokens, tools=ask.meta.get("tools"))
            replies.append(replace(found, text=spoken(found.text)))
            if progress:
                progress(number, len(asks))
        return replies
