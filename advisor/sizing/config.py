"""A model's own config.json, from a folder, a file or the catalogue, checked before anything is computed from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.folder import folder_named
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file

LARGEST_FILE = 16 << 20
TEXT_PARTS = ("text_config", "llm_config", "language_config", "language_model")
NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
LIMITS = {
    "hidden_size": 1 << 20,
    "num_hidden_layers": 10_000,
    "num_attention_heads": 1 << 16,
    "num_key_value_heads": 1 << 16,
    "num_kv_heads": 1 << 16,
    "head_dim": 1 << 16,
    "intermediate_size": 1 << 24,
    "vocab_size": 1 << 28,
    "max_position_embeddings": 1 << 32,
    "num_experts": 1 << 16,
    "num_local_experts": 1 << 16,
    "num_experts_per_tok": 1 << 16,
    "moe_intermediate_size": 1 << 24,
    "shared_expert_intermediate_size": 1 << 24,
    "decoder_sparse_step": 10_000,
    "num_ln_in_parallel_attn": 2,
}
"""Above these a number is a mistake, not a model: the largest published ones are more than ten times smaller."""
FLAGS = (
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
    "qkv_bias",
    "use_bias",
    "bias",
    "use_sliding_window",
    "multi_query",
    "parallel_attn",
    "new_decoder_architecture",
)


class UnknownArchitecture(RungError):
    """The config is readable, but how this kind of model is built is not in rules/models.toml."""

    parameters: int | None = None
    """Number of parameters, if it was counted although the memory of its layers could not be."""


@dataclass(frozen=True, slots=True)
class Config:
    """A checked config: the family's entry in rules/models.toml and the values, class defaults filled in."""

    name: str
    family: Mapping[str, Any]
    values: Mapping[str, Any]
    given: frozenset[str] = frozenset()
    """The keys that the file itself holds; the others are class defaults."""
    notes: tuple[str, ...] = ()

    def flag(self, key: bool | str) -> bool:
        """Return a yes or no of the family: itself, or the config's value under that key."""
        return bool(self.values.get(key, False)) if isinstance(key, str) else key

    def number(self, key: str, default: int = 0) -> int:
        """Return a whole number of the config; `default` where it is missing or null."""
        value = self.values.get(key)
        return default if value is None else int(value)


def _catalogued(ref: str) -> Mapping[str, Any] | None:
    """Return the catalogue entry called `ref` (its id or its hub id, in any case), or None."""
    wanted = ref.strip().lower()
    for entry in rule_file("models.toml").get("model", []):
        if wanted in {name.lower() for name in (entry["id"], entry.get("hub", entry["id"]), *entry.get("also", []))}:
            return entry  # type: ignore[no-any-return]
    return None


def check_config(raw: JsonObject, where: str) -> Config:
    """Check a decoded config and fill in the class defaults of its family.

    Raises InputError with every problem of the file, UnknownArchitecture where it is sound but of an unknown kind.
    """
    inner = _text_part(raw, where)
    family = _family(raw, inner, where)
    own = {key: value for key, value in inner.items() if value is not None}
    own |= {new: own[old] for old, new in family.get("rename", {}).items() if old in own}
    values = {**family.get("defaults", {}), **own}
    if isinstance(raw.get("tie_word_embeddings"), bool):  # the whole model's word counts before its text part's
        values["tie_word_embeddings"] = raw["tie_word_embeddings"]
    problems = _problems(values, where)
    if problems:
        raise InputError(problems, "compare it with the config.json that the model's publisher ships")
    file = Path(where)
    name = file.absolute().parent.name if file.name == "config.json" else where
    name = file.stem if file.suffix == ".json" and file.name != "config.json" else name
    return Config(name, family, values, frozenset(own), left_out(raw))


def _is_there(path: Path) -> bool:
    """True if the path exists. A name that no file can have (too long, with a NUL) does not exist."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def shown(text: object) -> str:
    """Return at most 100 characters of a foreign text, unprintable ones (terminal escapes) as question marks."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:100])


def read_json(ref: str) -> tuple[JsonObject, str]:
    """Return the decoded, unchecked config.json of a model folder, a config.json or a catalogue id, and its place.

    Raises RungError where nothing is found, InputError where it cannot be read.
    """
    entry = _catalogued(ref)
    if entry is not None and not _is_there(Path(ref)):
        return dict(entry["config"]), str(entry["id"])
    path = Path(ref) if _is_there(Path(ref)) else folder_named(ref)
    if _is_there(path) and path.is_dir():
        path = path / "config.json"
    if not _is_there(path) or not path.is_file():
        raise _nothing_found(ref)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError([Problem(f"is larger than {LARGEST_FILE >> 20} MiB: no config.json.", str(path))])
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError([Problem(f"is not readable JSON ({reason}).", str(path), "JSON")]) from error
    if not isinstance(raw, dict):
        raise InputError([Problem(f"holds {_kind(raw)}, not a JSON object.", str(path), "an object", _kind(raw))])
    return raw, str(path)


def _nothing_found(ref: str) -> RungError:
    names = {model["id"].lower(): model["id"] for model in rule_file("models.toml").get("model", [])}
    hint = did_you_mean(ref[:100], names)
    for lower, name in names.items():
        hint = hint.replace(f'"{lower}"', f'"{name}"')
    expected = "a folder with a config.json, a config.json, or a catalogue id"
    message = f'"{shown(ref)}" is no model folder, no config.json and no id of the catalogue.{hint}'
    return RungError(message, "rung estimate --list", where=shown(ref), expected=expected, found=shown(ref))


def _text_part(raw: JsonObject, where: str) -> JsonObject:
    name = next((name for name in TEXT_PARTS if name in raw and "hidden_size" not in raw), None)
    inner = raw[name] if name else raw
    if not isinstance(inner, dict):
        raise InputError([Problem(f"{name} is {_kind(inner)}, not an object.", where, "an object")])
    return inner


def left_out(raw: JsonObject) -> tuple[str, ...]:
    """Return a sentence for each part of a model that is not its language model."""
    parts = [name.split("_")[0] for name in ("vision_config", "audio_config") if isinstance(raw.get(name), dict)]
    return tuple(f"only the language model is counted; the {part} part is left out" for part in parts)


def _family(raw: JsonObject, inner: JsonObject, where: str) -> Mapping[str, Any]:
    names = [part.get("model_type") for part in (inner, raw)]
    for part in (inner, raw):
        classes = part.get("architectures")
        names += classes if isinstance(classes, list) else []
    texts = [name for name in names if isinstance(name, str)]
    families = rule_file("models.toml")["family"]
    for name in texts:
        for family in families:
            if name in (family["id"], *family["classes"], *family.get("inside", [])):
                return family  # type: ignore[no-any-return]
    if not texts:
        found = shown(raw.get("model_type"))
        raise InputError([Problem("says neither model_type nor architectures.", where, "a model_type", found)])
    known = [family["id"] for family in families]
    hint = did_you_mean(texts[0], known)
    raise UnknownArchitecture(
        f'{where}: the architecture "{shown(texts[0])}" is unknown to rules/models.toml.{hint}',
        "known: " + ", ".join(known),
        where=where,
        expected="one of " + ", ".join(known),
        found=shown(texts[0]),
    )


def _problems(values: Mapping[str, Any], where: str) -> list[Problem]:
    problems = [
        Problem(f"{key} is missing.", where, "a whole number", "nothing") for key in NEEDED if values.get(key) is None
    ]
    for key, limit in LIMITS.items():
        value = values.get(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and 1 <= value <= limit):
            found = shown(repr(value))[:60]
            text = f"{key} is {found}; it must be a whole number from 1 to {limit:,}."
            problems.append(Problem(text, where, f"1..{limit}", found))
    for key in FLAGS:
        if not isinstance(values.get(key), bool | None):
            found = shown(repr(values[key]))[:60]
            problems.append(Problem(f"{key} is {found}; it must be true or false.", where, "true or false", found))
    return problems or _heads(values, where)


def _heads(values: Mapping[str, Any], where: str) -> list[Problem]:
    """Return the dimensions that do not divide evenly. Call it after the single numbers have passed."""
    problems = []
    hidden, heads = values["hidden_size"], values["num_attention_heads"]
    if values.get("head_dim") is None and hidden % heads:
        problems.append(
            Problem(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}, and no head_dim.", where)
        )
    kv_heads = values.get("num_key_value_heads") or values.get("num_kv_heads") or heads
    if heads % kv_heads:
        problems.append(
            Problem(f"num_attention_heads {heads} is no multiple of num_key_value_heads {kv_heads}.", where)
        )
    experts = values.get("num_experts") or values.get("num_local_experts")
    chosen = values.get("num_experts_per_tok", 1)
    if experts and chosen > experts:
        problems.append(Problem(f"num_experts_per_tok {chosen} is more than the {experts} experts.", where))
    return problems


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
