"""Base models of every causal family of transformers: docs/models.md holds what each did, and here it does so again.

`RUNG_WRITE_DOCS=1` with `-m ""` writes the lines there; families whose line says "not run yet" are walked only then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from families import BEGIN, END, PAGE, table, tiny
from later import transformers

from chat.local.embedded import embedded_model
from chat.local.load import load
from training.run.base_model import load_tokenizer
from workspace.errors import RungError

HEAD = "| family | asked | parameters | trained | GGUF |\n|---|---|---|---|---|\n"
QUICK = ("qwen3_moe", "bert")
WAITS = "not run yet"
WRITES = "RUNG_WRITE_DOCS" in os.environ
NEXT = [name for name, line in table().items() if name not in QUICK and (WRITES or WAITS not in line)]
EVERY = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in NEXT)]
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


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_turn_that_ends_by_another_id_than_the_end_token_is_trained_and_stops(method: str, tmp_path: Path) -> None:
    """As Gemma: the tokenizer's end token is in no chat, generation_config.json names the id that ends a turn."""
    from walked import recipe_of, trained

    words, base = load_tokenizer(str(embedded_model())), tmp_path / "base"
    model = tiny("llama", words).model
    model.generation_config.eos_token_id = [0, 2]
    model.save_pretrained(str(base))
    words.eos_token = words.convert_ids_to_tokens(0)
    words.save_pretrained(str(base))
    assert load_tokenizer(str(base)).answer_ends == {0, 2}
    trainer = trained(recipe_of(base, method=method, **({} if method == "lora" else {"rank": 0, "alpha": 0})), tmp_path)
    assert 2 in trainer.model.generation_config.eos_token_id
    if method == "full":
        saved = json.loads((tmp_path / "adapter" / "generation_config.json").read_text())
        assert 2 in saved["eos_token_id"]


@pytest.mark.parametrize("used", [load, load_tokenizer])
@pytest.mark.parametrize("kind", ["T5Config", "RobertaConfig"])
def test_an_encoder_is_refused_as_it_is_asked_and_as_it_is_planned(
    kind: str, used: Callable[[str], Any], tmp_path: Path
) -> None:
    load_tokenizer("embedded").save_pretrained(str(tmp_path))
    getattr(transformers, kind)(vocab_size=8, hidden_size=8, num_hidden_layers=1).save_pretrained(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(bytes(1 << 12))
    with pytest.raises(RungError) as refused:
        used(str(tmp_path))
    assert refused.value.where == str(tmp_path) and "encoder" in refused.value.message
