"""Peak memory of one training step on one GPU, by part, in bytes until `Memory.gib`.

Activations are what autograd saves of each operation of transformers' layers and PEFT's adapters, tensor by tensor, for
one layer of a decoder. They were checked against live storages of real steps (docs/measured.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from advisor.sizing.architecture import Architecture, Matrix
from advisor.sizing.setup import QUANTISED, Adapter, Setup, adapter_of
from workspace.shipped_rules import rule_file

GIB = 1 << 30
PARTS = ("weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead")
Parts = dict[str, float]
SCORES_HELD = 0.25
FLOAT = 4
"""Norms, log-softmax and the loss are computed in 32 bits whatever the precision."""
CHUNK = 256
"""Tokens to a multiple of which layers with a state fill a row up, at most (Mamba 2)."""
SHARED_INPUT = {"q_proj": "in", "k_proj": "in", "v_proj": "in", "gate_proj": "ff", "up_proj": "ff"}
OUTPUT_MATRICES = ("o_proj", "attn.c_proj", "dense")
DOWN_MATRICES = ("down_proj", "mlp.c_proj", "c_proj", "fc2", "dense_4h_to_h")
MATH_ATTENTION = ("gpt2", "falcon")
"""Layouts whose attention takes torch's unfused path on a CPU, which keeps the scores."""


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

    def fits(self, gib: float) -> bool:
        """True if the high estimate is at most the memory that a program can use."""
        return self.high <= gib * GIB


def memory_of(architecture: Architecture, setup: Setup) -> Memory:
    """Return the peak over the moments of a step: the loss, the end of the backward pass, the optimiser's step."""
    adapter = adapter_of(architecture, setup)
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
    copy = adapter.parameters * _trained_bytes(setup, "optimizer")
    unfused = step + copy if setup.optimizer in ("adamw", "sgd") else 0.0
    return max(high, unfused) + float(table["overhead"]["cuda_context"] * GIB)


def _moments(a: Architecture, setup: Setup, adapter: Adapter) -> dict[str, Parts]:
    """Return the parts at each moment that can be the peak; between them they only rise or fall."""
    table, full = rule_file("memory.toml"), setup.method == "full"
    base = dict.fromkeys(PARTS, 0.0)  # what is used all the time
    base["weights"] = _weights(a, setup)
    base["adapter"] = 0.0 if full else adapter.parameters * FLOAT / setup.shards("weights")
    base["optimizer"] = adapter.parameters * _state_bytes(setup) / setup.shards("optimizer")
    base["overhead"] = float(table["overhead"]["cuda_workspace"] * GIB) if setup.device == "cuda" else 0.0
    held, first, last, every = _gradients(a, setup, adapter)
    head = a.vocab * a.hidden if full else 0
    wide = FLOAT * head if setup.loss == "chunked" else 0.0  # its gradient, which the chunked loss keeps in 32 bits
    twice = head * _trained_bytes(setup, "gradients") if a.tied else 0.0  # a shared embedding's, and its head's
    layer, work = (setup.tokens * each for each in (_layer(a, setup, adapter), _backward(a, setup, adapter)))
    ends = setup.tokens * a.hidden * (FLOAT + (2 * setup.bytes if full else 0))  # the final norm, the head's input
    residual = setup.tokens * a.hidden * setup.bytes
    kept = a.layers * (residual if setup.checkpointing else layer) + ends
    again = work + (layer if setup.checkpointing else 0.0)
    one = layer + work + (residual if setup.checkpointing else 0.0)
    # PEFT adds the product of A and B to the stacked weights of one layer's adapted experts as a whole.
    experts = setup.bytes * sum(m.n_in * m.n_out * m.count for m in adapter.targets if m.part == "expert") / a.layers
    kept += 0.0 if setup.checkpointing else a.layers * experts
    again += experts if setup.checkpointing else 0.0
    left = 0.0 if setup.loss == "chunked" else _scored(setup) * a.vocab * setup.bytes * SCORES_HELD
    busy = {**base, "logits": left, "overhead": base["overhead"] + _dequantised(a, setup)}
    step = base["overhead"] + _step_work(a, setup, adapter)
    return {
        "loss": {**base, "logits": _logits(a, setup), "gradients": held + wide, "activations": kept},
        "backward": {**busy, "gradients": first, "activations": kept - ends + again},
        "backward end": {**busy, "gradients": last, "activations": one + experts},
        "embedding": {**base, "logits": left, "gradients": every + twice},
        "step": {**base, "logits": left, "gradients": every, "overhead": step},
    }


def _gradients(a: Architecture, setup: Setup, adapter: Adapter) -> tuple[float, float, float, float]:
    """Bytes of gradients at the loss, after the head, in the first layer (the last to be done), and all of them."""
    each = _trained_bytes(setup, "gradients")
    every = adapter.parameters * each
    if setup.method != "full":
        return every, every, every, every
    held = every if setup.accumulation > 1 else 0.0
    head = a.vocab * a.hidden * each
    layer = (every - head * (1 if a.tied else 2)) / a.layers
    done = every - (head if not a.tied else 0.0) - layer * 2 / 3
    return held, max(held, head), max(held, done), every


def _trained_bytes(setup: Setup, part: str = "") -> float:
    """Return bytes of a trained number: adapters stay in 32 bits, as PEFT keeps them. Of a `part`: one GPU's share."""
    return (setup.bytes if setup.method == "full" and not setup.mixed else FLOAT) / setup.shards(part)


def _weights(a: Architecture, setup: Setup) -> float:
    """Return the bytes of weights, with DPO's frozen second model and the layer that a sharded run has gathered."""
    if setup.method in QUANTISED:
        packed = sum(m.count * m.n_in * m.n_out for m in a.matrices if m.linear and m.part != "head")
        table = rule_file("memory.toml")["weights"]
        each = 0.5 + (1 + 4 / table["nf4_absmax_block"]) / table["nf4_block"]
        weights = packed * each + (a.parameters - packed) * setup.bytes
    else:
        weights = float(a.parameters * (FLOAT if setup.mixed else setup.bytes))
    if setup.mixed and setup.autocast:
        weights += a.parameters * setup.bytes
    copies = 2 if setup.objective == "dpo" and setup.reference == "model" else 1
    shards = setup.shards("weights")
    return float(copies * weights / shards + (weights / a.layers if shards > 1 else 0.0))


def _logits(a: Architecture, setup: Setup) -> float:
    """Scores over the vocabulary at the loss: log-softmax and two gradients in 32 bits, and a quarter of the scores.

    A quarter, because a loop that keeps the model's output object keeps all of them and one that drops it none.
    """
    if setup.loss == "chunked":  # TRL's: one buffer of tokens x vocabulary; without Triton also the tiles it computes
        tile = rule_file("memory.toml")["chunked"]
        tokens, width = min(setup.tokens, tile["tokens"]), tile["vocabulary"]
        folded = FLOAT * min(a.vocab, width) * tile["temporaries_cpu"] if setup.device == "cpu" else 0.0
        return float(tokens * (setup.bytes * width + folded))
    each = 3 * FLOAT + (setup.bytes if a.softcap else 0)
    return _scored(setup) * a.vocab * (each + setup.bytes * SCORES_HELD)


def _scored(setup: Setup) -> int:
    """Return tokens whose scores over the vocabulary are computed at once."""
    if setup.loss != "answer":
        return setup.tokens
    return min(setup.tokens, setup.tokens // setup.length * setup.answer)


def _state_bytes(setup: Setup) -> float:
    entry = rule_file("memory.toml")["optimizer"][setup.optimizer]
    return float(entry["bytes"] if "bytes" in entry else entry["moments"] * _trained_bytes(setup))


def _step_work(a: Architecture, setup: Setup, adapter: Adapter) -> float:
    """Temporaries of the optimiser: of one parameter at a time on a CPU, none if it is fused (Trainer's default)."""
    each = _trained_bytes(setup, "optimizer")
    if setup.device == "cuda" and setup.optimizer == "adamw":
        return 0.0
    one = {m.name: a.experts if m.part == "expert" else 1 for m in a.matrices}
    if setup.method == "full":
        return 2 * max(m.n_in * m.n_out * one[m.name] for m in a.matrices) * each
    return 2 * max((adapter.rank * max(m.n_in, m.n_out) * one[m.name] for m in adapter.targets), default=0) * each


def _layer(a: Architecture, setup: Setup, adapter: Adapter) -> float:
    """Return bytes per token that one (average) layer keeps for the backward pass."""
    filled = -(-setup.length // CHUNK) * CHUNK
    beyond = a.beyond + a.growing * (filled - CHUNK)
    inputs = _inputs(a, setup) if setup.method == "full" else _adapters(a, setup, adapter)
    return plain_layer(a, setup, adapter) + beyond * filled / setup.length + sum(inputs)


def plain_layer(a: Architecture, setup: Setup, adapter: Adapter) -> float:
    """Return bytes per token of one layer of attention and feed-forward, by the formula, without what adapters keep."""
    return sum((*_norms(a, setup), *_attention(a, setup), *_feed_forward(a, setup, adapter)))


def _backward(a: Architecture, setup: Setup, adapter: Adapter) -> int:
    """Return bytes per token of the gradients alive in a layer's backward pass, as wide as its feed-forward.

    Where the kept product is freed by then, there is one less.
    """
    width = max(a.intermediate * (_share(a) > 0), a.experts_per_token * a.expert_width, a.hidden)
    freed = setup.method == "full" or any(m.name in DOWN_MATRICES for m in adapter.targets)
    return setup.bytes * width * (2 if freed else 3)


def _norms(a: Architecture, setup: Setup) -> Iterator[float]:
    """RMSNorm keeps its input in 32 bits, and a trained weight its normalised input; LayerNorm the input alone."""
    trained, c = setup.method == "full", setup.bytes
    if not a.gated:
        yield a.norms * c * a.hidden
        return
    scaled = FLOAT if a.family.startswith("gemma") else c
    yield a.norms * a.hidden * (FLOAT + (scaled if trained else 0))
    if a.qk_norm:
        yield (a.heads + a.kv_heads) * a.head_dim * (FLOAT + (scaled if trained else 0))


def _attention(a: Architecture, setup: Setup) -> Iterator[float]:
    """Queries and keys after rotation, values, the output (also the input of the output matrix), the log-sum-exp."""
    c, q, kv = setup.bytes, a.heads * a.head_dim, a.kv_heads * a.head_dim
    yield c * (q + kv) + c * (q + 2 * kv if a.layout == "fused" else kv)
    yield c * q + FLOAT * a.heads
    masked = setup.padded or setup.method == "prefix"
    if masked:
        span = setup.length + (setup.virtual_tokens if setup.method == "prefix" else 0)
        yield c * span
        yield c * 2 * (q - kv) if a.heads != a.kv_heads else 0.0
    if setup.method == "prefix":
        yield c * 2 * kv
    if setup.attention == "eager":
        yield a.heads * setup.length * (FLOAT + 2 * c)
    elif setup.device == "cpu" and a.layout in MATH_ATTENTION:
        yield c * a.heads * setup.length * (3 if a.dropout else 1)


def _feed_forward(a: Architecture, setup: Setup, adapter: Adapter) -> Iterator[float]:
    """Gate, its activation and up; GELU's steps where there is no gate. The product belongs to the last matrix."""
    c, dense = setup.bytes, _share(a)
    yield dense * c * a.intermediate * (3 if a.gated else 4 if a.layout == "gpt2" else 1)
    if a.layout == "gpt2" and a.dropout:
        yield 2 * c * a.hidden
    if a.experts and any(m.part == "expert" for m in a.matrices):
        learning = setup.method == "full" or any(m.part == "expert" for m in adapter.targets)
        learned = a.hidden + a.expert_width if learning else 0
        yield a.experts_per_token * c * (a.hidden + 3 * a.expert_width + learned)


def _share(a: Architecture) -> float:
    """Return the share of the layers that have a dense feed-forward."""
    return max((m.count for m in a.matrices if m.part == "mlp"), default=0) / a.layers


def _inputs(a: Architecture, setup: Setup) -> Iterator[float]:
    """Inputs of trained matrices: one tensor for those that read the same; attention's output is counted already."""
    seen: set[str] = set()
    for m in a.matrices:
        key = SHARED_INPUT.get(m.name, m.name)
        if m.part in ("attention", "mlp") and m.name not in OUTPUT_MATRICES and key not in seen:
            seen.add(key)
            yield setup.bytes * m.n_in * m.count / a.layers


def _adapters(a: Architecture, setup: Setup, adapter: Adapter) -> Iterator[float]:
    """Yield the bytes per token that adapters keep in addition to the frozen model."""
    seen: set[str] = set()
    for m in adapter.targets:
        if m.part in ("head", "embedding", "router", "expert"):
            continue
        per_layer = m.count / a.layers
        if setup.method == "ia3":
            yield per_layer * setup.bytes * (m.n_in if m.part == "mlp" else m.n_out)
        else:
            yield per_layer * _low_rank(m, setup, adapter, seen)


def _low_rank(m: Matrix, setup: Setup, adapter: Adapter, seen: set[str]) -> float:
    """LoRA keeps A's input and output. The input is its own copy where it is cast or dropped, else a shared one."""
    c = setup.bytes
    linear = c if setup.autocast else FLOAT
    kept = linear * adapter.rank
    key = SHARED_INPUT.get(m.name, m.name)
    if setup.dropout:
        kept += m.n_in * (linear + (FLOAT if setup.device == "cpu" else 1))
    elif c < FLOAT:
        kept += m.n_in * linear
    elif key not in seen and m.name not in OUTPUT_MATRICES:
        kept += m.n_in * c
    seen.add(key)
    if setup.method in ("dora", "qdora"):
        kept += 2 * linear * m.n_out
    return kept


def _dequantised(a: Architecture, setup: Setup) -> float:
    """Return bytes of the largest 4-bit matrix while it is unpacked for one multiplication."""
    if setup.method not in QUANTISED:
        return 0.0
    return setup.bytes * max(m.n_in * m.n_out for m in a.matrices if m.linear and m.part != "head")
