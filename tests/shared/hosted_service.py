"""A hosted model with a known skill and the faults of real services, played by the `loopback` server.

It speaks OpenAI's chat completions, and counts for itself what it answered and what that
costs, so that a report can be compared with it.
"""

import hashlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from hosted_replies import completion

PRICES = """
[[api]]
model = "small"
input = 1.0
cached_input = 0.25
output = 5.0
batch_discount = 0.5
date = 2026-11-01
source = ["contract"]
"""
"""A project's own price of the service's model."""


def share(*parts: str) -> float:
    """The same number from 0 to 1 for the same texts, as good as drawn."""
    return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest()[:8], "big") / 2**64


@dataclass
class Service:
    """`right` gives a question's label, and a model answers right where its share of the question is below `skill`.

    `cached` is the share of the prompt that the cache had.
    """

    right: Callable[[str], str]
    labels: Collection[str]
    skill: float = 0.8
    prose: bool = False
    """A closed set is answered in a sentence."""
    rejects: Collection[str] = ()
    """Parameters that the model does not support."""
    filtered: Callable[[str], bool] = lambda question: False
    """Questions that are refused with status 400, each time."""
    limit: int = 0
    """Calls a second; 0: as many as come."""
    fails: Callable[[int], tuple[int, Any] | None] = lambda call: None
    """Another answer to the call of this number."""
    cached: float = 0.0
    sure: Callable[[str], float] | None = None
    """The probability of its answer to a question, for those who ask for it; a service may tell none."""
    thinks: int = 0
    """Tokens that are thought before each answer, and billed; a lower limit cuts the answer."""
    calls: int = 0
    served: dict[str, int] = field(default_factory=dict)
    """How often each question was answered."""
    tokens: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Prompt without what was cached, cached, written."""
    turned_away: int = 0
    recent: deque[float] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, _handler: Any, request: Any) -> tuple[Any, ...]:
        *_, body = request
        with self.lock:
            self.calls += 1
            call, wait = self.calls, self._over()
            if wait:
                self.turned_away += 1
        if wait:
            said = {"error": {"type": "rate_limit_error", "message": "Too many requests."}}
            return 429, said, {"retry-after": f"{wait:.2f}"}
        for name in self.rejects:
            if name in body:
                said = f"Unsupported parameter: '{name}' is not supported with this model."
                return 400, {"error": {"type": "invalid_request_error", "message": said, "param": name}}
        if other := self.fails(call):
            return other
        question = str(body["messages"][-1]["content"]).split("\n\n")[-1]
        if self.filtered(question):
            return 400, {"error": {"type": "invalid_request_error", "message": "The content was filtered."}}
        return 200, self._answer(body, question)

    def _over(self) -> float:
        """Seconds until the next call may come; 0 where this one may."""
        now = time.monotonic()
        while self.recent and now - self.recent[0] >= 1:
            self.recent.popleft()
        if self.limit and len(self.recent) >= self.limit:
            return max(0.01, 1 - (now - self.recent[0]))
        self.recent.append(now)
        return 0.0

    def label(self, model: str, question: str) -> str:
        """Return the model's answer."""
        right = self.right(question)
        wrong = sorted(set(self.labels) - {right})
        return right if share(model, question) < self.skill else wrong[int(share(question) * len(wrong))]

    def _answer(self, body: Any, question: str) -> dict[str, Any]:
        label = self.label(body["model"], question)
        closed = "response_format" in body
        said = f"That depends; many would say {label}, I would not." if self.prose else json.dumps({"answer": label})
        text = said if closed else label
        prompt = sum(len(str(turn["content"])) for turn in body["messages"]) // 4
        room = int(body.get("max_tokens") or body.get("max_completion_tokens") or 10**6)
        kept, written = int(prompt * self.cached), min(room, self.thinks + len(text) // 4 + 1)
        stop = "length" if self.thinks >= room else "stop"
        text = "" if stop == "length" else text
        with self.lock:
            self.served[question] = self.served.get(question, 0) + 1
            self.tokens = [a + b for a, b in zip(self.tokens, (prompt - kept, kept, written), strict=True)]
        used = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written,
                "prompt_tokens_details": {"cached_tokens": kept}}  # fmt: skip
        found = {**completion(text, stop), "usage": used}
        if body.get("logprobs") and self.sure and text:
            each = math.log(self.sure(question)) / 2
            halves = (text[: len(text) // 2], text[len(text) // 2 :])
            told = [{"token": half, "logprob": each, "bytes": None, "top_logprobs": []} for half in halves]
            found["choices"][0]["logprobs"] = {"content": told, "refusal": None}
        return found

    @property
    def answered(self) -> int:
        """Calls that were answered, and so are paid."""
        return sum(self.served.values())

    def usd(self, cached_price: float) -> float:
        """Return the cost of all answers at PRICES."""
        fresh, kept, written = self.tokens
        return (fresh * 1.0 + kept * cached_price + written * 5.0) / 1e6
