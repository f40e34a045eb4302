"""The fastest way of answering that equals `generate`: seen on the model itself, once a length, and remembered.

Left padding between a shared prefix and a row's own tokens costs models with a sliding window words of the prompt, and
models with a state (linear attention, state space) all of them; some architectures are wrong in any batch. No list of
families stays whole, so the engine compares its own logits with those of `generate` before it trusts a way.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from chat.local.decode import Forward, Job, Prefix, ScoredPair, decode, generated, score, score_alone
from chat.local.load import ENCODER, Loaded, refused, why_not
from workspace.errors import RungError
from workspace.files import write_text

if TYPE_CHECKING:
    import torch

Way = Literal["prefix", "batch", "alone"]
"""Batches behind a shared prefix; plain batches, a token a pass; one row at a time by `generate`."""
SHORTEST = 64
STEPS = 6
TOP = 20
"""Likeliest tokens whose log-probabilities are compared."""
BEFORE, BEHIND = 16, 8
"""Tokens before a place, and behind it: a model that writes does not see the latter there."""
AHEAD, ROUGHLY = 1e-2, 0.25
"""Difference in nats that they make to one that does, in fp32 and in 16 bit; rounding makes less."""
EXACT, ROUNDED = 1e-3, 2e-2
"""Largest difference in nats that arithmetic explains: in fp32, and in 16 bit, where four times the difference between
a whole pass and `generate` counts if that is more."""


def checks_file() -> Path:
    """Return the file that remembers the checks, below the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("rung")) / "checks.json"


@dataclass(frozen=True)
class _Truth:
    """A prompt, the tokens that `generate` gives to it, and its logits `(steps, vocabulary)` before each of them."""

    prompt: list[int]
    tokens: list[int]
    logits: torch.Tensor


@dataclass
class _Follow:
    """Writes known tokens, `run` a pass, and keeps the logits that it was given with their place."""

    tokens: list[int]
    run: int
    seen: list[tuple[int, torch.Tensor]] = field(default_factory=list)

    def write(self, job: Job, logits: torch.Tensor, ends: frozenset[int]) -> None:
        """Append the next tokens; the job ends with the last one."""
        self.seen.append((len(job.written), logits.float()))
        job.fresh = self.tokens[len(job.written) :][: self.run]
        job.written += job.fresh
        if len(job.written) == len(self.tokens):
            job.stopped = "end"


class CheckedWays:
    """The ways of one model. `file` keeps the results for later processes; a file that cannot be used is ignored."""

    def __init__(self, loaded: Loaded, forward: Forward, file: Path) -> None:
        self.loaded = loaded
        self.forward = forward
        self.file = file
        self.window = forward.window()
        self._known: dict[str, bool] = {}
        self._key = _key(loaded)

    def fastest(self, needed: int, example: Sequence[int]) -> Way:
        """Return the way for rows of at most `needed` tokens with their answers; `example` are tokens of a real prompt.

        The check is made at the next power of two, so a model is checked once a length class.
        """
        if self.loaded.learned_prompt:
            return "alone"
        size = min(max(SHORTEST, 1 << (needed - 1).bit_length()), max(needed, self.loaded.longest))
        if self._equals("prefix", size, example):
            return "prefix"
        return "batch" if self._equals("batch", size, example) else "alone"

    def steady(self, way: Way) -> bool:
        """True if each pass reads one token a row. Padding between words would shift a window."""
        return way == "batch" or self.window is not None

    def _equals(self, way: Way, size: int, example: Sequence[int]) -> bool:
        if way == "prefix" and self.window is not None and size > self.window:
            return False
        name = f"{self._key} {way} {size}"
        if name not in self._known:
            self._known |= _read(self.file)
        if name not in self._known:
            self._known[name] = self._is_right(way, size, example)
            with contextlib.suppress(OSError):
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_text(self.file, json.dumps(_read(self.file) | {name: self._known[name]}, indent=0))
        return self._known[name]

    def _is_right(self, way: Way, size: int, example: Sequence[int]) -> bool:
        import torch

        truths = self._truths(size, example)
        allowed = self._allowed(truths[0])
        try:
            return self._difference(way, truths) <= allowed  # a NaN is not
        except torch.OutOfMemoryError:
            raise
        except Exception:  # an architecture fails here in its own way: no batches, no selection of rows, other names
            return False

    def _truths(self, size: int, example: Sequence[int]) -> list[_Truth]:
        """Return a prompt of full length, and a shorter one that begins alike. Raises RungError for an encoder."""
        import torch

        long = list(islice(cycle(example), size - STEPS))
        try:
            truths = [self._truth(long), self._truth(long[: size // 2 + size // 16])]
            seen = self._ahead(long)
        except Exception as error:
            reason, hint = why_not(error, "Name another model, or install another version of transformers.")
            told = f"{self.loaded.name} cannot answer with this version of transformers: {reason}"
            raise RungError(told, hint, where=self.loaded.name) from error
        if seen > (AHEAD if self.loaded.model.dtype == torch.float32 else ROUGHLY):
            raise refused(self.loaded.name, ENCODER)
        return truths

    def _ahead(self, prompt: list[int]) -> float:
        """Return the change of the model's output at a place by other tokens after it: the median over places.

        Both passes are of one length: for another the arithmetic, or how places are distinguished, may differ.
        """
        import torch

        model, ends = self.loaded.model, BEFORE + BEHIND
        other = [*prompt[:BEFORE], *(abs(token - 1) for token in prompt[BEFORE:ends])]
        with torch.inference_mode():
            one, two = (model(torch.tensor([tokens], device=model.device)).logits[0, :BEFORE].float()
                        for tokens in (prompt[:ends], other))  # fmt: skip
        return median(map(_apart, one, two))

    def _truth(self, prompt: list[int]) -> _Truth:
        import torch

        out = generated(
            self.loaded, prompt, STEPS, min_new_tokens=STEPS, output_logits=True, return_dict_in_generate=True
        )
        return _Truth(prompt, out.sequences[0, len(prompt) :].tolist(), torch.cat(out.logits).float())

    def _allowed(self, truth: _Truth) -> float:
        import torch

        if self.loaded.model.dtype == torch.float32:
            return EXACT
        pair = ScoredPair(truth.prompt, truth.tokens)
        score_alone(self.loaded.model, pair)
        return max(ROUNDED, 4 * abs(pair.score - _likelihood(truth)))

    def _difference(self, way: Way, truths: Sequence[_Truth]) -> float:
        """Return the largest difference of log-probabilities between batched and single answers."""
        long, short = truths
        head = long.prompt[: len(long.prompt) // 2] if way == "prefix" else []
        prefix = self.forward.prefix(head) if head else Prefix()
        follows = [_Follow(long.tokens, 1), _Follow(short.tokens, 3), _Follow(short.tokens[:3], 2)]
        rows = [long, short, short]
        jobs = [Job(truth.prompt, STEPS, held=follow) for truth, follow in zip(rows, follows, strict=True)]
        decode(self.forward, prefix, jobs, self.loaded.ends, steady=self.steady(way))
        found = [_apart(seen, truth.logits[place]) for truth, follow in zip(rows, follows, strict=True)
                 for place, seen in follow.seen]  # fmt: skip
        pairs = [ScoredPair(truth.prompt, truth.tokens) for truth in truths]
        score(self.forward, prefix, pairs)
        found += [abs(p.score - _likelihood(t)) / STEPS for p, t in zip(pairs, truths, strict=True)]
        return max(found) if not any(value != value for value in found) else float("nan")


def _apart(mine: torch.Tensor, truth: torch.Tensor) -> float:
    top = truth.topk(min(TOP, len(truth))).indices
    return float((mine.log_softmax(-1)[top] - truth.log_softmax(-1)[top]).abs().max())


def _likelihood(truth: _Truth) -> float:
    return float(sum(row.log_softmax(-1)[token] for row, token in zip(truth.logits, truth.tokens, strict=True)))


def _key(loaded: Loaded) -> str:
    """Hash of what a result holds for: base weights, shape, arithmetic, libraries and the code of this engine."""
    import torch

    config = loaded.model.config
    model = loaded.model.get_base_model() if hasattr(loaded.model, "get_base_model") else loaded.model
    engine = [sha256(Path(__file__).with_name(name).read_bytes()).hexdigest() for name in ("check.py", "decode.py")]
    device = str(model.device.type)
    parts = [loaded.name.split(" + adapter ")[0], type(model).__name__, config.to_json_string(), str(model.dtype)]
    parts += [device, str(config._attn_implementation), version("transformers"), torch.__version__, *engine]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def _read(file: Path) -> dict[str, bool]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(k): v for k, v in found.items() if isinstance(v, bool)} if isinstance(found, dict) else {}
