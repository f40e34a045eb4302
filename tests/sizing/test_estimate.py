"""Estimates of configs as they come, hostile ones too: parts add up, more work needs more, unknowns have reasons."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import tries

from advisor.sizing.architecture import read_architecture
from advisor.sizing.cards import prices
from advisor.sizing.memory import GIB, memory_of
from advisor.sizing.run_estimate import (
    Workload,
    base_for,
    estimate,
    largest_batch,
    largest_length,
)
from advisor.sizing.setup import METHODS, Setup
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


LLAMA = read_architecture("Llama-3.1-8B")


def expected(architecture=LLAMA, **changes):
    return memory_of(architecture, Setup(**changes)).expected / GIB


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Qwen3-30B-A3B", "Gemma-3-4B", "GPT-2", "Falcon-7B", "gpt-oss-20b"])
def test_parts_add_up_and_bounds_are_ordered(model, method):
    found = estimate(read_architecture(model), Setup(method=method))
    assert sum(found.memory.parts.values()) == pytest.approx(found.memory.expected)
    assert 0 < found.memory.low < found.memory.expected < found.memory.high
    assert 0 < found.trainable <= found.parameters


@tries(100)
@given(
    method=st.sampled_from(METHODS),
    batch=st.integers(1, 64),
    length=st.integers(1, 8192),
    checkpointing=st.booleans(),
    loss=st.sampled_from(["full", "chunked"]),
)
def test_more_rows_more_tokens_and_more_rank_never_need_less(method, batch, length, checkpointing, loss):
    setup = Setup(method=method, batch=batch, length=length, checkpointing=checkpointing, loss=loss)
    one = memory_of(LLAMA, setup).expected
    assert memory_of(LLAMA, setup.but(batch=batch + 1)).expected >= one
    assert memory_of(LLAMA, setup.but(length=length + 1)).expected >= one
    assert memory_of(LLAMA, setup.but(rank=32)).expected >= one


def test_methods_stand_in_the_known_order():
    shape = {"batch": 1, "length": 2048}
    assert expected(method="qlora", **shape) < expected(method="lora", **shape) < expected(method="full", **shape)
    assert expected(method="lora", **shape) < expected(method="dora", checkpointing=False, **shape)
    assert expected(checkpointing=True) < expected(checkpointing=False)
    assert expected(loss="chunked") < expected(loss="full")
    assert expected(method="full", optimizer="adamw_8bit") < expected(method="full")
    assert expected(method="full") == expected(method="full", mixed=True) > 1.8 * expected(method="full", mixed=False)
    assert expected(method="full", device="cpu") == expected(method="full", device="cpu", mixed=False)


def test_a_run_by_a_published_benchmark_lies_within_a_tenth():
    """huggingface/peft, method_comparison: Llama-3.2-3B, batch 4, at most 768 tokens, no checkpointing, no autocast."""
    llama = read_architecture("Llama-3.2-3B")
    shape = {"batch": 4, "length": 768, "checkpointing": False, "autocast": False}
    runs = {
        36.2: {"method": "full", "mixed": False},
        20.8: {"rank": 32, "targets": "qv"},
        21.0: {"rank": 64, "targets": "qv"},
        23.0: {"rank": 10, "targets": "mlp"},
        22.8: {"method": "dora", "rank": 32, "targets": "qv"},
        21.6: {"method": "ia3"},
        22.7: {"method": "prompt", "virtual_tokens": 200},
    }
    for measured, setup in runs.items():
        memory = memory_of(llama, Setup(**shape, **setup)).gib()
        assert memory["expected"] == pytest.approx(measured, rel=0.10), setup
        assert measured < memory["high"], setup


def test_dpo_holds_the_reference_that_is_asked_for():
    shape = {"method": "full", "objective": "dpo", "batch": 1, "length": 512, "mixed": False}
    none, copy = expected(reference="none", **shape), expected(reference="model", **shape)
    assert copy - none == pytest.approx(LLAMA.parameters * 2 / GIB, rel=0.05)
    assert expected(objective="dpo", batch=2) > expected(batch=2)


def test_cards_share_what_their_strategy_shares():
    def parts(strategy, gpus=8):
        return memory_of(LLAMA, Setup(method="full", gpus=gpus, strategy=strategy, accumulation=2)).parts

    alone = parts("ddp", 1)
    ddp, zero1, zero2, zero3, fsdp = map(parts, ("ddp", "zero1", "zero2", "zero3", "fsdp"))
    assert ddp["weights"] == alone["weights"]
    assert ddp["optimizer"] == alone["optimizer"]
    assert zero1["optimizer"] == pytest.approx(alone["optimizer"] / 8)
    assert zero1["gradients"] == pytest.approx(alone["gradients"])
    assert zero2["gradients"] == pytest.approx(alone["gradients"] / 8)
    assert zero2["weights"] == alone["weights"]
    assert alone["weights"] / 8 < zero3["weights"] < alone["weights"] / 4
    assert fsdp == zero3


def test_largest_shapes_fit_and_one_more_does_not():
    setup = Setup(method="qlora", length=1024)

    def high(**changes):
        return memory_of(LLAMA, setup.but(**changes)).high / GIB

    for memory in (12.0, 24.0, 80.0):
        batch = largest_batch(LLAMA, setup, memory)
        assert (batch == 0 or high(batch=batch) <= memory) and high(batch=batch + 1) > memory
        length = largest_length(LLAMA, setup.but(batch=1), memory)
        assert high(batch=1, length=length) <= memory
        assert length == LLAMA.context or high(batch=1, length=length + 1) > memory


@pytest.mark.parametrize(("memory_gb", "model"), [(16, "Qwen3-8B"), (None, "SmolLM2-135M-Instruct"), (0.5, "")])
def test_base_model_for_a_card(memory_gb, model):
    assert getattr(base_for(memory_gb), "id", "") == model


def test_time_and_money_are_unknown_with_a_reason():
    found = estimate(LLAMA, Setup())
    assert (found.seconds, found.cost_usd) == (None, None) and "rows" in found.reasons["seconds"]
    named = estimate(LLAMA, Setup(), Workload(rows=1000, gpu="H100 80GB"))
    assert named.seconds is None
    assert named.reasons["seconds"] != found.reasons["seconds"]


def test_time_from_a_measured_speed_and_a_dated_price():
    work = Workload(rows=1000, epochs=3, gpu="h100", tokens_per_second=3000, as_of=date(2026, 11, 25))
    found = estimate(LLAMA, Setup(length=300), work)
    assert found.seconds == pytest.approx(300)
    cheapest = min(prices("H100 80GB", work.as_of), key=lambda price: price.per_hour)
    assert found.cost_usd == pytest.approx(300 / 3600 * cheapest.per_hour)
    assert str(cheapest.date) in found.reasons["cost_usd"]
    later = estimate(LLAMA, Setup(), Workload(rows=10, gpu="h100", tokens_per_second=3000, as_of=date(2028, 1, 1)))
    assert "expired" in later.reasons["cost_usd"]


def test_time_from_a_cited_run_of_the_same_kind():
    found = estimate(read_architecture("Llama-3.2-3B"), Setup(length=512), Workload(rows=20_000, gpu="L40S 48GB"))
    assert found.seconds == pytest.approx(0.26 * 3600)
    assert "peft-bench" in found.reasons["seconds"]
    assert found.cost_usd is None


def test_no_target_is_an_error():
    with pytest.raises(InputError):
        estimate(LLAMA, Setup(targets=[]))


@pytest.mark.parametrize("name", ["models", "hardware", "prices", "memory", "hyperparameters"])
def test_every_entry_has_sources_and_a_date(name):
    for key, entries in rule_file(f"{name}.toml").items():
        for entry in entries if isinstance(entries, list) else [entries] if isinstance(entries, dict) else []:
            assert entry["source"], (name, key, entry)
            assert isinstance(entry["date"], date), (name, key, entry)


def test_scores_at_the_answer_only_take_their_share():
    whole = memory_of(LLAMA, Setup(batch=4, length=1024)).parts["logits"]
    part = memory_of(LLAMA, Setup(batch=4, length=1024, loss="answer", answer=64)).parts["logits"]
    assert part <= whole / 16 + 1
    assert expected(loss="answer", answer=1024, batch=1, length=1024) == expected(batch=1, length=1024)
