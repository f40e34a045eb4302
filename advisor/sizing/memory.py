"""Peak memory of one training step on one GPU, by part. All sizes in bytes until `Memory.gib`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advisor.sizing.activations import FLOAT, dequantised, ledger, merged_experts
from advisor.sizing.adapters import QUANTISED, Adapter, adapter_of
from advisor.sizing.architecture import Architecture
from advisor.sizing.setup import Setup, Shards, shards_of
from workspace.shipped_rules import rule_file

GIB = 1 << 30
PARTS = ("weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead")
Parts = dict[str, float]
SCORES_HELD = 0.25


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak of a step on one GPU. `parts` (bytes) are those alive at the peak and add up to `expected`."""

    low: float
    expected: float
    high: float
    parts: Mapping[str, float]
    moment: str
    """Moment of the peak: `loss`, `backward`, `backward end`, `embedding` or `step`."""

    def gib(self) -> dict[str, float]:
        """`{low, expected, high}` in GiB."""
        return {"low": self.low / GIB, "expected": self.expected / GIB, "high": self.high / GIB}


def memory_of(architecture: Architecture, setup: Setup) -> Memory:
    """Return the peak over the moments of a step: the loss, the end of the backward pass, the optimiser's step."""
    adapter = adapter_of(
        architecture,
        setup.method,
        rank=setup.rank,
        targets=setup.targets,
        virtual_tokens=setup.virtual_tokens,
    )
    moments = _moments(architecture, setup, adapter)
    moment = max(moments, key=lambda name: sum(moments[name].values()))
    parts = moments[moment]
    expected = sum(parts.values())
    low = expected * rule_file("memory.toml")["margin"]["low"]
    return Memory(low, expected, _high(setup, adapter, expected, sum(moments["step"].values())), parts, moment)


def _high(setup: Setup, adapter: Adapter, expected: float, step: float) -> float:
    """Return the extra bytes of the high estimate: fragmentation, the driver, the copy of an unfused optimiser."""
    table = rule_file("memory.toml")
    high = expected * float(table["margin"][f"high_{setup.device}"])
    if setup.device == "cpu":
        return high
    copy = adapter.parameters * trained_bytes(setup) / shards_of(setup).optimizer
    unfused = step + copy if setup.optimizer in ("adamw", "sgd") else 0.0
    return max(high, unfused) + float(table["overhead"]["cuda_context"] * GIB)


def weight_bytes(architecture: Architecture, setup: Setup) -> float:
    """Return bytes of the base model's weights as they are loaded."""
    if setup.method not in QUANTISED:
        return float(architecture.parameters * (FLOAT if setup.mixed else setup.bytes))
    packed = sum(m.count * m.n_in * m.n_out for m in architecture.matrices if m.linear and m.part != "head")
    table = rule_file("memory.toml")["weights"]
    each: float = 0.5 + (1 + 4 / table["nf4_absmax_block"]) / table["nf4_block"]
    return packed * each + (architecture.parameters - packed) * setup.bytes


def _moments(a: Architecture, setup: Setup, adapter: Adapter) -> dict[str, Parts]:
    """Return the parts at each moment that can be the peak; between them they only rise or fall."""
    entry, base = ledger(a, setup, adapter), _standing(a, setup, adapter)
    held, first, last, every = _gradients(a, setup, adapter)
    twice = _embedding_twice(a, setup)
    work = {**base, "overhead": base["overhead"] + dequantised(a, setup)}
    ends = setup.tokens * entry.ends
    kept = setup.tokens * a.layers * (entry.residual if setup.checkpointing else entry.layer) + ends
    again = setup.tokens * (entry.work + (entry.layer if setup.checkpointing else 0.0))
    one = setup.tokens * (entry.layer + entry.work + (entry.residual if setup.checkpointing else 0.0))
    experts = merged_experts(a, setup, adapter)
    kept += 0.0 if setup.checkpointing else a.layers * experts
    again += experts if setup.checkpointing else 0.0
    left = _logits_left(a, setup)
    step = base["overhead"] + _step_work(a, setup, adapter)
    return {
        "loss": {**base, "logits": _logits(a, setup), "gradients": held + _head_wide(a, setup), "activations": kept},
        "backward": {**work, "logits": left, "gradients": first, "activations": kept - ends + again},
        "backward end": {**work, "logits": left, "gradients": last, "activations": one + experts},
        "embedding": {**base, "logits": left, "gradients": every + twice},
        "step": {**base, "logits": left, "gradients": every, "overhead": step},
    }


def _standing(a: Architecture, setup: Setup, adapter: Adapter) -> Parts:
    """Return the memory that is used all the time: weights, adapter, optimiser state, workspaces."""
    full, shards = setup.method == "full", shards_of(setup)
    base = dict.fromkeys(PARTS, 0.0)
    base["weights"] = _weights(a, setup, shards)
    base["adapter"] = 0.0 if full else adapter.parameters * FLOAT / shards.weights
    base["optimizer"] = adapter.parameters * _state_bytes(setup) / shards.optimizer
    base["overhead"] = _overhead(setup)
    return base


def _gradients(a: Architecture, setup: Setup, adapter: Adapter) -> tuple[float, float, float, float]:
    """Bytes of gradients at the loss, after the head, in the first layer (the last to be done), and all of them."""
    each = trained_bytes(setup) / shards_of(setup).gradients
    every = adapter.parameters * each
    if setup.method != "full":
        return every, every, every, every
    held = every if setup.accumulation > 1 else 0.0
    head = a.vocab * a.hidden * each
    layer = (every - head * (1 if a.tied else 2)) / a.layers
    done = every - (head if not a.tied else 0.0) - layer * 2 / 3
    return held, max(held, head), max(held, done), every


def _head_wide(a: Architecture, setup: Setup) -> float:
    """Return the bytes of the chunked loss for the gradient of a trained output head, in 32 bits."""
    return FLOAT * a.vocab * a.hidden if setup.method == "full" and setup.loss == "chunked" else 0.0


def _embedding_twice(a: Architecture, setup: Setup) -> float:
    """Return the bytes of a shared embedding's second gradient: the head's and its own exist while they are added."""
    if setup.method != "full" or not a.tied:
        return 0.0
    return a.vocab * a.hidden * trained_bytes(setup) / shards_of(setup).gradients


def trained_bytes(setup: Setup) -> int:
    """Return bytes of a trained number: adapters stay in 32 bits, as PEFT keeps them."""
    return setup.bytes if setup.method == "full" and not setup.mixed else FLOAT


def _weights(a: Architecture, setup: Setup, shards: Shards) -> float:
    """Return the bytes of weights, with DPO's frozen second model and the layer that a sharded run has gathered."""
    weights = weight_bytes(a, setup)
    if setup.mixed and setup.autocast:
        weights += a.parameters * setup.bytes
    copies = 2 if setup.objective == "dpo" and setup.reference == "model" else 1
    gathered = weights / a.layers if shards.weights > 1 else 0.0
    return copies * weights / shards.weights + gathered


def _logits(a: Architecture, setup: Setup) -> float:
    """Scores over the vocabulary at the loss: log-softmax and two gradients in 32 bits, and a quarter of the scores.

    A quarter, because a loop that keeps the model's output object keeps all of them and one that drops it none.
    """
    if setup.loss == "chunked":
        return _tiles(a, setup)
    each = 3 * FLOAT + (setup.bytes if a.softcap else 0)
    return _scored(setup) * a.vocab * (each + setup.bytes * SCORES_HELD)


def _scored(setup: Setup) -> int:
    """Return tokens whose scores over the vocabulary are computed at once."""
    if setup.loss != "answer":
        return setup.tokens
    return min(setup.tokens, setup.tokens // setup.length * setup.answer)


def _tiles(a: Architecture, setup: Setup) -> float:
    """TRL's chunked loss: one buffer of tokens x vocabulary; without Triton (on a CPU) also the tiles it computes."""
    tile = rule_file("memory.toml")["chunked"]
    tokens, width = min(setup.tokens, tile["tokens"]), tile["vocabulary"]
    folded = FLOAT * min(a.vocab, width) * tile["temporaries_cpu"] if setup.device == "cpu" else 0.0
    return float(tokens * (setup.bytes * width + folded))


def _logits_left(a: Architecture, setup: Setup) -> float:
    """Return the bytes of the logits that remain during the backward pass."""
    return 0.0 if setup.loss == "chunked" else _scored(setup) * a.vocab * setup.bytes * SCORES_HELD


def _state_bytes(setup: Setup) -> float:
    entry = rule_file("memory.toml")["optimizer"][setup.optimizer]
    return float(entry["bytes"] if "bytes" in entry else entry["moments"] * trained_bytes(setup))


def _step_work(a: Architecture, setup: Setup, adapter: Adapter) -> float:
    """Temporaries of the optimiser: of one parameter at a time on a CPU, none if it is fused (Trainer's default)."""
    each = trained_bytes(setup) / shards_of(setup).optimizer
    if setup.device == "cuda" and setup.optimizer == "adamw":
        return 0.0
    one = {m.name: a.experts if m.part == "expert" else 1 for m in a.matrices}
    if setup.method == "full":
        return 2 * max(m.n_in * m.n_out * one[m.name] for m in a.matrices) * each
    return 2 * max((adapter.rank * max(m.n_in, m.n_out) * one[m.name] for m in adapter.targets), default=0) * each


def _overhead(setup: Setup) -> float:
    table = rule_file("memory.toml")["overhead"]
    return float(table["cuda_workspace"] * GIB) if setup.device == "cuda" else 0.0
