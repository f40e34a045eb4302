"""Files for servers: Ollama's template gives the tokenizer's tokens; vLLM and TGI serve the adapter on its base too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bank import changed

from training.plan.plans import read_plan
from training.release.gguf import context_of
from training.release.making import Making
from training.release.serving_files import (
    TRIALS,
    compare_tokens,
    make_ollama,
    make_tgi,
    make_vllm,
    modelfile,
    take_apart,
    vllm_rank,
)
from training.runs import find_run, read_run, write_run
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
ROLES_TURNED = (
    "{% for m in messages %}{% if loop.first %}FIRST {% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny))


@pytest.mark.parametrize("template", [None, LLAMA3, ZEPHYR], ids=["own", "llama3", "zephyr"])
@pytest.mark.parametrize("system", ["", "House line."])
def test_a_modelfile_gives_the_tokens_of_training(tokenizer: Any, template: str | None, system: str) -> None:
    tokenizer.chat_template = template or tokenizer.chat_template
    pieces = take_apart(tokenizer)
    text = modelfile(pieces, "../gguf/model-q8_0.gguf", system or pieces.default, 256)
    compare_tokens(pieces, system or pieces.default, tokenizer, TRIALS)
    lines = text.splitlines()
    assert lines[0].split() == ["FROM", "../gguf/model-q8_0.gguf"]
    assert [line.split()[2] for line in lines if line.startswith("PARAMETER num_ctx ")] == ["256"]
    assert (system or pieces.default) in text
    assert template or '"<|im_end|>"' in {line.split()[-1] for line in lines if line.startswith("PARAMETER stop ")}
    literals = re.findall(r'\{\{ ("(?:[^"\\]|\\.)*") \}\}', text.split('TEMPLATE """')[1].split('"""')[0])
    around = [part for pair in pieces.around.values() for part in pair]
    assert list(map(json.loads, literals)) == [part for part in (pieces.start, *around, pieces.opens) if part]


def test_pieces_that_are_not_the_template_and_a_template_that_does_more_are_refused(tokenizer: Any) -> None:
    pieces = take_apart(tokenizer)
    before, after = pieces.around["user"]
    other = replace(pieces, around={**pieces.around, "user": (before.replace("\n", " "), after)})
    with pytest.raises(Refusal):
        compare_tokens(other, "House line.", tokenizer, TRIALS)
    tokenizer.chat_template = ROLES_TURNED
    with pytest.raises(Refusal):
        compare_tokens(take_apart(tokenizer), "", tokenizer, TRIALS)


def test_ollama_goes_out_over_the_smallest_gguf(
    project: Project, settings: Settings, tiny: Path, golden_folder: Path, tmp_path: Path
) -> None:
    """The run's merged model and its GGUF files stand for themselves: only their names and tokenizer are read."""
    work = tmp_path / "work"
    shutil.copytree(tiny, work / "merged")
    shutil.copyfile(golden_folder / "golden.json", work / "golden.json")
    (work / "gguf").mkdir()
    (work / "gguf" / "model-q8_0.gguf").write_bytes(b"larger")
    (work / "gguf" / "model-q4_k_m.gguf").write_bytes(b"less")
    form = make_ollama(Making(project, settings, find_run(project, "R-001"), work), work / "ollama")
    assert " 5 " in form.facts["template"] and form.facts["gguf"] == "model-q4_k_m.gguf"
    assert (work / "ollama" / "Modelfile").read_text().startswith("FROM ../gguf/model-q4_k_m.gguf\n")


@pytest.mark.parametrize(
    ("method", "has_adapter", "files", "told"),
    [("lora", True, 2, ""), ("lora", False, 1, "--to adapter"), ("dora", True, 1, "dora")],
)
def test_an_adapter_is_served_on_its_base_where_it_is_there_and_servers_can_load_it(
    project: Project, settings: Settings, tmp_path: Path, method: str, has_adapter: bool, files: int, told: str
) -> None:
    run = write_run(project.runs / "R-001", read_run(project.runs / "R-001"), method=method)
    making = Making(project, settings, run, tmp_path / "work")
    if has_adapter:
        (making.work / "adapter").mkdir(parents=True)
    for make, name in ((make_vllm, "vllm"), (make_tgi, "tgi")):
        form = make(making, making.work / name)
        assert told in form.facts.get("adapter", "") and bool(form.facts.get("adapter")) == bool(told)
        assert len(list((making.work / name).glob("serve*.sh"))) == files


def test_a_script_finds_its_paths_and_base_from_any_folder(shipped: Path, tmp_path: Path) -> None:
    """`vllm` and TGI's launcher stand for themselves: they look for the folders that they are given."""
    (tmp_path / "my models" / "base").mkdir(parents=True)
    for name in ("vllm", "text-generation-launcher"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(
            '#!/bin/sh\nfor w; do case "$w" in */*) cd "${w#rung=}" && pwd || exit 9; cd "$OLDPWD"; esac; done\n'
        )
        tool.chmod(0o755)
    own = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    for script in sorted(shipped.glob("*/serve*.sh")):
        done = subprocess.run(
            [script], cwd=tmp_path, env={**own, "BASE": "my models/base"}, capture_output=True, text=True
        )
        whole = [shipped / "merged"]
        assert done.returncode == 0, done.stderr
        assert [Path(line) for line in done.stdout.split("\n") if line] == (
            [tmp_path / "my models" / "base", shipped / "adapter"] if "lora" in script.name else whole
        )
        if "lora" in script.name:
            done = subprocess.run([script], cwd=tmp_path, env=own, capture_output=True, text=True)
            assert done.returncode and "BASE" in done.stderr


@pytest.mark.parametrize(
    ("rank", "told"), [(1, 8), (8, 8), (9, 16), (24, 32), (48, 64), (257, 320), (512, 512), (513, None)]
)
def test_vllm_is_told_a_rank_that_it_takes(rank: int, told: int | None) -> None:
    assert vllm_rank(rank) == told


def test_the_context_is_the_models_or_what_the_rows_need(project: Project, settings: Settings, tiny: Path) -> None:
    making = Making(project, settings, find_run(project, "R-001"), project.root / "work")
    shutil.copytree(tiny, making.work / "merged")
    trained = read_plan(project.runs / "R-001" / "plan.toml").recipe.max_length
    config = making.work / "merged" / "config.json"
    rest = {name: told for name, told in json.loads(config.read_text()).items() if name != "max_position_embeddings"}

    def context(positions: int | None, **values: int) -> int:
        named = {"max_position_embeddings": positions} if positions else {}
        config.write_text(json.dumps({**rest, **named}))
        return context_of(replace(making, settings=changed(settings, "model", **values)))

    assert trained < 256 and context(256) == 256 and context(131_072) == context(None) == 4096
    assert 256 > context(32) >= max(trained, 48 + 32)
    assert 9000 < context(131_072, max_tokens=9000) < 9100
