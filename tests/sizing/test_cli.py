"""`rung estimate` as a user runs it."""

import json
from functools import partial

import in_shell

FIELDS = {"parameters", "trainable", "adapter_mb", "memory_gib", "parts", "fits", "seconds", "cost_usd"}
PARTS = {"weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead"}
QWEN = ("--model", "Qwen3-8B")
rung = partial(in_shell.rung, "estimate")


def estimated(*words):
    done = rung(*words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_json_has_the_fields_of_the_contract():
    words = ("--model", "Llama-3.1-8B", "--method", "qlora", "--rank", "16", "--batch", "1", "--length", "2048")
    document = estimated(*words)
    assert set(document) >= FIELDS
    assert set(document["memory_gib"]) == {"low", "expected", "high"}
    assert set(document["parts"]) == PARTS
    assert set(document["fits"][0]) == {"gpu", "memory_gib", "fits"}
    assert (document["parameters"], document["trainable"]) == (8_030_261_248, 41_943_040)
    assert document["seconds"] is None and document["reasons"]["seconds"]


def test_unknown_architecture_gives_nulls_with_a_reason(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba9", "hidden_size": 64}))
    document = estimated("--model", str(tmp_path))
    assert set(document) >= FIELDS
    assert document["parameters"] is None and "mamba9" in document["reasons"]["parameters"]


def test_bad_input_is_one_document_with_every_problem():
    done = rung(*QWEN, "--batch", "x", "--rank", "-3", "--method", "lorra", "--fit", "24 apples", "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2 and len(error["problems"]) == 4
    assert '"lora"' in error["message"] and "Traceback" not in done.stderr


def test_what_fits_a_card():
    document = estimated(*QWEN, "--fit", "24GB", "--batch", "1")
    held = [card["gpu"] for card in document["fits"] if card["fits"]]
    assert "RTX 4090 24GB" in held and [card["gpu"] for card in document["fit"]["cards"]] == held
    methods = {m["method"]: m for m in document["fit"]["methods"]}
    assert methods["qlora"]["fits"] and methods["qlora"]["largest_batch"] >= 1 and not methods["full"]["fits"]
    assert all(m["reason"] for m in methods.values())
    words = rung(*QWEN, "--fit", "24GB", "--batch", "1").stdout
    assert "✗ full" in words and "✓ qlora" in words
    full = (*QWEN, "--fit", "24GB", "--method", "full")
    assert "--strategy fsdp" in rung(*full).stdout
    assert "--strategy fsdp" not in rung(*full, "--gpus", "2", "--strategy", "fsdp").stdout


def test_list_names_every_model_with_its_licence():
    assert all(model["licence"] and model["source"] for model in estimated("--list"))


def test_what_fits_a_card_needs_no_model(tmp_path):
    done = rung("--fit", "24GB", "--json", cwd=tmp_path)
    assert done.returncode == 0 and "24 GB" in done.stderr
    fit = json.loads(done.stdout)["fit"]
    assert {m["method"]: m["fits"] for m in fit["methods"]}["lora"] is True
    (tmp_path / "rung.toml").write_text('[project]\nname = "x"\n[model]\nbase = "embedded"\n')
    own = rung("--fit", "24GB", "--json", cwd=tmp_path)
    assert "embedded" in own.stderr and json.loads(own.stdout)["parameters"] == 134_515_008
    assert rung(cwd=tmp_path).returncode == 2


def test_full_fine_tuning_means_what_a_plan_trains():
    shape = (*QWEN, "--batch", "1", "--length", "512", "--method", "full")
    mixed, plain = estimated(*shape), estimated(*shape, "--no-mixed")
    held = {card["gpu"]: card["fits"] for card in mixed["fits"]}
    assert not held["A100 80GB"] and not held["H100 80GB"]
    weights = sum(mixed["parts"][name] for name in ("weights", "gradients", "optimizer"))
    assert weights * 2**30 >= 16 * mixed["parameters"]
    assert plain["memory_gib"]["expected"] < 0.6 * mixed["memory_gib"]["expected"]
    assert not any(card["fits"] for card in estimated(*shape, "--batch", "64", "--length", "8192")["fits"])
