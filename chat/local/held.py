"""Decoding that is held to a JSON shape, by the package llguidance: the likeliest token that the grammar allows.

A model that thinks does so freely first, and is held from where its thinking closes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.local.decode import sample
from chat.thinking import Marks
from workspace.errors import RungError
from workspace.extras import require

if TYPE_CHECKING:
    import torch
    from llguidance import LLMatcher, LLTokenizer

    from chat.local.decode import Job

WHITE_SPACE = r"[ \n\t\r]{0,12}"
"""Most white space in a row: some models write blanks without end."""


def guide_of(tokenizer: Any, ends: frozenset[int]) -> LLTokenizer:
    """Return the tokenizer for llguidance; `ends` may follow a whole document. RungError without a fast form."""
    try:
        guide: LLTokenizer = require("train", "llguidance.hf").from_tokenizer(tokenizer, eos_token=sorted(ends))
    except ValueError as error:
        raise RungError(
            f"This model does not support output that must be JSON: {error}.",
            "name a model whose folder has tokenizer.json",
        ) from error
    return guide


@dataclass(frozen=True)
class Held:
    """Writes one document of a shape."""

    matcher: LLMatcher

    @classmethod
    def to(cls, shape: Mapping[str, Any], guide: LLTokenizer) -> Held:
        """Held to a JSON Schema, whose keys come in its order; to any JSON where llguidance cannot follow the schema.

        Keywords that it does not know are left to the metric.
        """
        try:
            matcher = cls._matcher(shape, guide)
            matcher.compute_logit_bias()  # some schemas are found wanting by the first token only
            followed = not matcher.is_error()
        except (ValueError, RecursionError):  # numbers, texts and depths that it does not read
            followed = False
        return cls(cls._matcher(shape if followed else {}, guide))

    @staticmethod
    def _matcher(shape: Mapping[str, Any], guide: LLTokenizer) -> LLMatcher:
        from llguidance import LLMatcher

        options: Any = {"lenient": True, "whitespace_pattern": WHITE_SPACE}
        return LLMatcher(guide, LLMatcher.grammar_from_json_schema(json.dumps(shape), overrides=options), log_level=0)

    def write(self, job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
        """Give the job its next token; it ends with the document, or at its limit."""
        import torch

        allowed = torch.frombuffer(bytearray(self.matcher.compute_logit_bias()), dtype=torch.uint8)[: len(logits)] > 0
        scores = logits[: len(allowed)].masked_fill(~allowed.to(logits.device), float("-inf"))
        token = int(scores.argmax())
        if token in ends or not self.matcher.consume_token(token):
            job.stopped = "end" if self.matcher.is_accepting() else "length"
            return
        job.fresh = [token]
        job.written.append(token)
        if self.matcher.is_stopped():
            job.stopped = "end"
        elif len(job.written) >= job.max_tokens:
            job.stopped = "end" if self.matcher.is_accepting() else "length"


SEEN = 16
"""Tokens at the end of the thinking in which its close is looked for."""


@dataclass
class Thinking:
    """Writes freely until the model closes its thinking, ends, or does not think at all (`none`)."""

    tokenizer: Any
    marks: Marks
    is_open: bool

    def write(self, job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
        """Give the job its next token."""
        token = sample(job, logits) if job.temperature else int(logits.argmax())
        if token in ends:
            job.stopped = "end"
            return
        job.fresh = [token]
        job.written.append(token)
        if not self.is_open:
            begun = str(self.tokenizer.decode(job.written)).lstrip()
            self.is_open = begun.startswith(self.marks.open)
            if not (self.is_open or self.marks.open.startswith(begun)):
                job.stopped = "none"
                return
        if self.marks.close in str(self.tokenizer.decode(job.written[-SEEN:])):
            job.stopped = "closed"
        elif len(job.written) >= job.max_tokens:
            job.stopped = "length"
