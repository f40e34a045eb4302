"""How a model is built: its weight matrices and vectors, counted exactly from its config. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from advisor.sizing.config import Config, check_config, read_config

Part = Literal["attention", "mlp", "expert", "router", "embedding", "head"]


@dataclass(frozen=True, slots=True)
class Matrix:
    """One kind of weight matrix, `count` times in the model. `name` is the module's name as PEFT is told it."""

    name: str
    n_in: int
    n_out: int
    count: int
    part: Part
    bias: bool = False
    linear: bool = True
    """A linear layer, so it can be loaded in 4 bits. Embeddings, routers and stacked experts are none."""
    ranks: int = 1
    """How many times the rank PEFT's "all-linear" gives one copy; 0 where it leaves the matrix alone."""
    also: tuple[str, ...] = ()
    """Older module names by which PEFT finds it too."""

    @property
    def weights(self) -> int:
        """Parameters of all copies, biases included."""
        return self.count * (self.n_in * self.n_out + (self.n_out if self.bias else 0))


@dataclass(frozen=True, slots=True)
class Architecture:
    """What sizing needs to know of a model. `hidden` is d, `intermediate` the width of a dense feed-forward."""

    name: str
    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    tied: bool
    sliding_window: int | None
    experts: int
    experts_per_token: int
    expert_width: int
    layout: str
    qk_norm: str
    norms: int
    softcap: bool
    dropout: bool
    """The config itself drops activations in training (GPT-2 does by default)."""
    matrices: tuple[Matrix, ...]
    vectors: int
    prefix_width: int
    """Width of one layer's keys as PEFT's prefix tuning counts it."""
    ia3: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """All parameters, shared ones once: what `sum(p.numel() for p in model.parameters())` gives."""
        return sum(m.weights for m in self.matrices) + self.vectors

    @property
    def gated(self) -> bool:
        """The feed-forward has a gate (SwiGLU, GeGLU)."""
        return self.layout in ("split", "fused")

    @property
    def active(self) -> int:
        """Parameters that one token passes through: all but the experts that are not chosen."""
        idle = sum(m.weights for m in self.matrices if m.part == "expert")
        share = self.experts_per_token / self.experts if self.experts else 1.0
        return self.parameters - round(idle * (1 - share))


def read_architecture(ref: str | Path) -> Architecture:
    """The architecture behind a model folder, a config.json, or a catalogue id. Errors as `config.read_config`."""
    return build(read_config(ref))


def architecture_of(config: dict[str, object], name: str = "config") -> Architecture:
    """The architecture of a decoded config.json. Errors as `config.check_config`."""
    return build(check_config(config, name))


def build(config: Config) -> Architecture:
    """Count a checked config."""
    from advisor.sizing.layouts import Shape, matrices, norms, vectors

    shape = Shape.of(config)
    values = config.values
    window = values.get("sliding_window") if config.flag(config.family.get("windowed_by", True)) else None
    return Architecture(
        name=config.name,
        family=config.family["id"],
        layers=shape.layers,
        hidden=shape.hidden,
        intermediate=shape.intermediate,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        vocab=shape.vocab,
        context=config.number("max_position_embeddings"),
        tied=shape.tied,
        sliding_window=window if isinstance(window, int) else None,
        experts=shape.experts,
        experts_per_token=config.number("num_experts_per_tok") if shape.experts else 0,
        expert_width=shape.expert_width,
        layout=config.family["layout"],
        qk_norm=config.family.get("qk_norm", ""),
        norms=norms(config),
        softcap=bool(values.get("final_logit_softcapping")),
        dropout=any(values.get(key) for key in ("attn_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout")),
        matrices=matrices(shape, config),
        vectors=vectors(shape, config),
        prefix_width=shape.kv_heads * shape.head_dim if "num_key_value_heads" in values else shape.hidden,
        ia3=tuple(config.family.get("ia3", ())),
        notes=config.notes,
    )
