"""Decoding that is held to a JSON shape: the likeliest token with which the answer can still become such a document.

A model that thinks does so freely first, and is held from where its thinking closes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.local.decode import sample
from chat.local.shape import Shape, State, state
from chat.thinking import Marks

if TYPE_CHECKING:
    import torch

    from chat.local.decode import Job

AT_FIRST = 64
"""Likeliest tokens that are tried before all the others."""
REPLACEMENT = "\ufffd"
MOST_CUT = 3
"""Tokens among which the bytes of one cut character can be spread."""


@dataclass(frozen=True)
class Held:
    """A shape, and the tokenizer that turns tokens into text."""

    shape: Shape
    tokenizer: Any

    def write(self, job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
        """Give the job its next token; it ends with the document, or at its limit."""
        now = self._state(job.written) if job.written else "open"
        for token in _likeliest(logits):
            if token in ends:
                if now == "done":
                    job.stopped = "end"
                    return
                continue
            if token in self.tokenizer.all_special_ids:
                continue
            then = self._state([*job.written, token])
            if then == "no":
                continue
            job.fresh = [token]
            job.written.append(token)
            if then == "done" and not self._text(job.written).rstrip()[-1].isdigit():
                job.stopped = "end"
            elif len(job.written) >= job.max_tokens:
                job.stopped = "end" if then == "done" else "length"
            return
        job.stopped = "length"

    def _state(self, tokens: list[int]) -> State:
        return state(self._text(tokens), self.shape)

    def _text(self, tokens: list[int]) -> str:
        """The tokens' text; a character that is cut at its end stays bytes (`chat.local.shape.state`)."""
        text, cut = self._decoded(tokens), 0
        while text.endswith(REPLACEMENT) and cut < min(MOST_CUT, len(tokens)):
            cut += 1
            text = self._decoded(tokens[:-cut])
        pieces = self.tokenizer.convert_ids_to_tokens(tokens[-cut:]) if cut else []
        return text + b"".join(map(_bytes, pieces)).decode("utf-8", "surrogateescape")

    def _decoded(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


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


def _bytes(piece: str) -> bytes:
    """The bytes of a token in which a character is cut: `<0xC3>` with SentencePiece, else byte-level BPE's alphabet."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    if piece.startswith("<0x"):
        return bytes.fromhex(piece[3:5])
    alphabet = {letter: byte for byte, letter in bytes_to_unicode().items()}
    return bytes(alphabet[letter] for letter in piece if letter in alphabet)


def _likeliest(logits: torch.Tensor) -> Iterator[int]:
    """Tokens, the likeliest first; the whole vocabulary is sorted only where the first ones do not do."""
    first = logits.topk(min(AT_FIRST, logits.shape[-1])).indices.tolist()
    yield from first
    yield from (token for token in logits.argsort(descending=True).tolist()[len(first) :])
