"""Activations: bytes per token that the backward pass keeps, tensor by tensor, for one layer of a decoder.

The account follows the operations of transformers' layers and PEFT's adapters as autograd saves them, and was checked
tensor by tensor against live storages of real steps (docs/measured.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from advisor.sizing.adapters import QUANTISED, Adapter
from advisor.sizing.architecture import Architecture, Matrix
from advisor.sizing.setup import Setup

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
class Ledger:
    """Bytes per token: `layer` kept by one layer, `residual` its input, `work` the gradients alive in its backward.

    `ends` is what is outside the layers: the final norm and the input of the output head.
    """

    layer: float
    residual: float
    work: float
    ends: float


def ledger(architecture: Architecture, setup: Setup, adapter: Adapter) -> Ledger:
    """Saved activations of one (average) layer."""
    a, full = architecture, setup.method == "full"
    filled = -(-setup.length // CHUNK) * CHUNK
    beyond = a.beyond + a.growing * (filled - CHUNK)
    kept = plain_layer(a, setup, adapter) + beyond * filled / setup.length
    kept += sum(_inputs(a, setup)) if full else sum(_adapters(a, setup, adapter))
    ends = FLOAT * a.hidden + (2 * setup.bytes * a.hidden if full else 0)
    return Ledger(kept, setup.bytes * a.hidden, setup.bytes * _width(a) * _alive(setup, adapter), ends)


def plain_layer(a: Architecture, setup: Setup, adapter: Adapter) -> float:
    """Return bytes per token of one layer of attention and feed-forward, by the formula, without what adapters keep."""
    return sum((*_norms(a, setup), *_attention(a, setup), *_feed_forward(a, setup, adapter)))


def _width(a: Architecture) -> int:
    """Width of the feed-forward that one token passes through."""
    return max(a.intermediate * (_share(a) > 0), a.experts_per_token * a.expert_width, a.hidden)


def _alive(setup: Setup, adapter: Adapter) -> int:
    """Return gradients of that width at once; one less where the kept product is freed by then."""
    freed = setup.method == "full" or any(m.name in DOWN_MATRICES for m in adapter.targets)
    return 2 if freed else 3


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


def merged_experts(a: Architecture, setup: Setup, adapter: Adapter) -> float:
    """Bytes of one layer's adapted experts: PEFT adds the product of A and B to the stacked weights as a whole."""
    return setup.bytes * sum(m.n_in * m.n_out * m.count for m in adapter.targets if m.part == "expert") / a.layers


def dequantised(a: Architecture, setup: Setup) -> float:
    """Return bytes of the largest 4-bit matrix while it is unpacked for one multiplication."""
    if setup.method not in QUANTISED:
        return 0.0
    return setup.bytes * max(m.n_in * m.n_out for m in a.matrices if m.linear and m.part != "head")
