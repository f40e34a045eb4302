"""Configs as they come: folders, files, ids, and hostile ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from advisor.sizing.architecture import architecture_of, read_architecture
from advisor.sizing.run_estimate import estimate
from advisor.sizing.setup import Setup
from workspace.errors import InputError, RungError
from workspace.shipped_rules import rule_file

GOOD = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
GOOD |= {"num_attention_heads": 4, "vocab_size": 100}


def written(folder, value):
    path = folder / "config.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def test_folder_file_and_id_mean_the_same_kind_of_thing_and_a_misspelt_id_is_put_right(tmp_path):
    path = written(tmp_path, GOOD)
    assert read_architecture(tmp_path) == read_architecture(str(path))
    assert read_architecture("qwen/qwen3-8b").parameters == read_architecture("Qwen3-8B").parameters
    with pytest.raises(RungError, match="Qwen3-8B") as caught:
        read_architecture("Qwen3-8")
    assert caught.value.exit_code == 2


HOSTILE = {
    "absurd size": {**GOOD, "hidden_size": 10**30},
    "true": {**GOOD, "num_hidden_layers": True},
    "fraction": {**GOOD, "hidden_size": 64.5},
    "heads do not divide": {**GOOD, "hidden_size": 65},
    "key heads do not divide": {**GOOD, "num_key_value_heads": 3},
    "more chosen than there are": {**GOOD, "model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 4},
    "flag is a text": {**GOOD, "tie_word_embeddings": "yes"},
    "missing": {"model_type": "llama"},
    "a list": [1, 2],
    "binary": bytes(range(256)) * 100,
    "nested": b"[" * 200_000,
    "NaN": b'{"model_type": "llama", "hidden_size": NaN}',
    "type is an object": {**GOOD, "model_type": {"a": 1}},
    "text part is a list": {"model_type": "gemma3", "text_config": [1]},
    "huge number": b'{"model_type": "llama", "hidden_size": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_configs_end_in_a_plain_error(tmp_path, name):
    written(tmp_path, HOSTILE[name])
    with pytest.raises(InputError) as caught:
        read_architecture(tmp_path)
    assert caught.value.exit_code == 2
    assert "config.json" in caught.value.message
    assert len(caught.value.message) < 1000


def test_every_problem_of_a_config_at_once(tmp_path):
    written(tmp_path, {**GOOD, "hidden_size": -1, "vocab_size": "x", "num_hidden_layers": None})
    with pytest.raises(InputError) as caught:
        read_architecture(tmp_path)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("ref", ["x" * 5000, "a\x1b[31m", "a\x00b", "", "/dev/null", "../.."])
def test_names_that_are_no_model(ref):
    with pytest.raises(RungError) as caught:
        read_architecture(ref)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 400


KEYS = sorted({key for f in rule_file("models.toml")["family"] for key in f["defaults"]} | set(GOOD))
KEYS += ["num_ln_in_parallel_attn", "mlp_only_layers", "n_inner", "architectures", "text_config", "vision_config"]
ODD = st.sampled_from(
    [None, 0, -1, 1, 3, 64, 1e300, float("inf"), "x", "", [], {}, True, False, 10**40, 0.5, [1], {"a": [1]}]
)


@tries(300)
@given(
    family=st.sampled_from([f["id"] for f in rule_file("models.toml")["family"]]),
    changes=st.dictionaries(st.sampled_from(KEYS), ODD, max_size=4),
)
def test_any_config_is_estimated_or_refused(family, changes):
    try:
        architecture = architecture_of({**GOOD, "model_type": family, **changes})
    except RungError:
        return
    document = estimate(architecture, Setup(batch=1, length=8, targets="all-linear")).as_json()
    assert document["parameters"] > 0
    json.dumps(document, allow_nan=False)
