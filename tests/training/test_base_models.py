"""Base models of every causal family of transformers: docs/models.md holds what each did, and here it does so again.

`RUNG_WRITE_DOCS=1` with `-m ""` writes the lines there.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from families import BEGIN, END, PAGE, table, tiny
from later import transformers

from chat.local.embedded import embedded_model
from training.run.base_model import load_tokenizer

HEAD = "| family | asked | parameters | trained | GGUF |\n|---|---|---|---|---|\n"
QUICK = ("qwen3_moe", "bert")
WRITES = "RUNG_WRITE_DOCS" in os.environ
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in table() if name not in QUICK)]
CHILD = """import sys
from pathlib import Path
sys.path.insert(0, {0!r})
import walked
print(walked.line({1!r}, Path.cwd(), convert={2}))"""


def test_the_table_holds_every_family() -> None:
    names = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    assert set(table()) == {*names, "mistral3", "qwen3_vl"}


@pytest.mark.parametrize("family", EVERY)
def test_a_family_does_what_its_line_says(family: str, tmp_path: Path) -> None:
    shared = str(Path(__file__).parents[1] / "shared")
    code = CHILD.format(shared, family, WRITES)
    command = [sys.executable, "-X", "fork", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = done.stdout.strip("\n").splitlines()[-1]
    if WRITES:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        text = HEAD + "".join(f"{line}\n" for line in ({**table(), family: seen}).values())
        PAGE.write_text(before + BEGIN + text + END + rest.split(END, 1)[1], encoding="utf-8")
    assert table()[family].startswith(seen)


def test_a_turn_that_ends_by_another_id_than_the_end_token_is_trained_and_stops(tmp_path: Path) -> None:
    """As Gemma: the tokenizer's end token is in no chat, generation_config.json names the id that ends a turn."""
    from walked import recipe_of, trained

    words, base = load_tokenizer(str(embedded_model())), tmp_path / "base"
    model = tiny("llama", words).model
    model.generation_config.eos_token_id = [0, 2]
    model.save_pretrained(str(base))
    words.eos_token = words.convert_ids_to_tokens(0)
    words.save_pretrained(str(base))
    assert load_tokenizer(str(base)).answer_ends == {0, 2}
    trainer = trained(recipe_of(base, method="full", rank=0, alpha=0), tmp_path)
    assert 2 in trainer.model.generation_config.eos_token_id
    assert 2 in json.loads((tmp_path / "adapter" / "generation_config.json").read_text())["eos_token_id"]


REFUSED = {
    "t5": ("encoder", ""),
    "roberta": ("encoder", ""),
    "vit": ("vit", ""),
    "gemma3n": ("timm", "pip install timm"),
    "gptq": ("optimum", "pip install optimum"),
    "awq": ("gptqmodel", "pip install gptqmodel"),
}
"""What cannot write, or not here: what the reason names, and the way on where a package is missing."""
FORMATS = {"gptq": {"bits": 4}, "awq": {}}


def test_a_family_on_which_no_adapter_learns_is_refused_by_the_plan(rung: Any, tmp_path: Path) -> None:
    words = load_tokenizer("embedded")
    words.save_pretrained(str(tmp_path))
    tiny("reformer", words).model.save_pretrained(str(tmp_path))
    config = tmp_path / "config.json"
    for quantization, word in ((None, "reformer"), ("4bit", "loaded")):
        config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": quantization}))
        done = rung("plan", "--json", RUNG_MODEL__BASE=str(tmp_path))
        error = json.loads(done.stdout)["error"]
        assert done.returncode == 2 and error["where"] == str(tmp_path) and word in error["message"]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_write_here_is_refused_by_the_first_command_with_the_reason(
    kind: str, rung: Any, tmp_path: Path
) -> None:
    named, way = REFUSED[kind]
    if way and find_spec(named):
        pytest.skip(f"{named} is installed")
    folder = tmp_path / "base"
    load_tokenizer("embedded").save_pretrained(str(folder))
    shape = {"model_type": "llama", "quantization_config": {"quant_method": kind, **FORMATS.get(kind, {})}}
    (folder / "config.json").write_text(json.dumps(shape if kind in FORMATS else {"model_type": kind}))
    with (folder / "model.safetensors").open("wb") as weights:
        weights.truncate(1 << 30)
    commands = (["plan"], ["baseline", "--arms", "prompt"], ["data", "generate", "--count", "1"])
    for words in commands[: 3 if kind == "t5" else 2]:
        done = rung(*words, "--json", RUNG_MODEL__BASE=str(folder))
        error = json.loads(done.stdout)["error"]
        packed = kind in FORMATS and words == ["plan"]  # which no package makes trainable
        assert done.returncode == 2 and error["where"] == str(folder)
        assert (kind if packed else named) in error["message"] and (packed or way in error["hint"])
    if not way:  # else the language model is counted without the package
        assert named in rung("estimate", "--model", str(folder), "--json").stdout
