"""Files for servers: Ollama's template gives the tokenizer's tokens; vLLM and TGI serve the adapter on its base too."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from released import judged, let

from training.plan.plans import read_plan
from training.release.gguf import context_of
from training.release.making import Making
from training.release.releases import RELEASE, Release
from training.release.serving_files import (
    TRIALS,
    compare_tokens,
    make_ollama,
    modelfile,
    take_apart,
    vllm_rank,
)
from training.runs import find_run, read_run, write_run
from workspace.artefact import read_artefact
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


def test_pieces_that_are_not_the_template_are_refused(tokenizer: Any) -> None:
    pieces = take_apart(tokenizer)
    before, after = pieces.around["user"]
    other = replace(pieces, around={**pieces.around, "user": (before.replace("\n", " "), after)})
    with pytest.raises(Refusal):
        compare_tokens(other, "House line.", tokenizer, TRIALS)


def test_a_modelfile_holds_every_piece_as_a_literal_of_its_template(tokenizer: Any) -> None:
    pieces = take_apart(tokenizer)
    text = modelfile(pieces, "../gguf/model.gguf", "", 256)
    template = text.split('TEMPLATE """')[1].split('"""')[0]
    literals = [json.loads(each) for each in re.findall(r'\{\{ ("(?:[^"\\]|\\.)*") \}\}', template)]
    around = [part for pair in pieces.around.values() for part in pair]
    assert literals == [part for part in (pieces.start, *around, pieces.opens) if part]


def test_a_template_that_does_more_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = ROLES_TURNED
    with pytest.raises(Refusal):
        compare_tokens(take_apart(tokenizer), "", tokenizer, TRIALS)


def test_a_token_that_was_added_is_one_token_in_the_modelfile_too(tokenizer: Any) -> None:
    tokenizer.add_tokens(["<|house|>"], special_tokens=True)
    tokenizer.chat_template = ZEPHYR.replace("<|{{ m.role }}|>\n", "<|house|>{{ m.role }}\n").replace(
        "<|assistant|>\n", "<|house|>assistant\n"
    )
    pieces = take_apart(tokenizer)
    assert pieces.around["user"][0] == "<|house|>user\n"
    compare_tokens(pieces, "", tokenizer, TRIALS)


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


def named_paths(file: Path) -> list[str]:
    """Every path of the release that a script names, as it stands there."""
    words = shlex.split(file.read_text().splitlines()[-1])
    return [word.partition("=")[2] or word for word in words if "/" in word and not word.startswith("http")]


def check_paths(folder: Path, forms: str) -> None:
    files = [path for name in ("vllm", "tgi") for path in (folder / name).glob("*")]
    assert len(files) == len([form for form in forms.split(",") if form != "adapter"]) * (1 + ("adapter" in forms))
    for file in files:
        named = named_paths(file)
        assert named and all((file.parent / path).is_dir() for path in named), (file, named)
    facts = {form.form: form.facts for form in read_artefact(folder / RELEASE, Release).forms}
    assert all(facts[form].get("adapter", "") for form in ("vllm", "tgi") if form in facts and "adapter" not in forms)


def test_every_path_in_every_serve_file_is_there(project: Project, settings: Settings, shipped: Path) -> None:
    check_paths(shipped, "adapter,vllm,tgi")
    judged(project, settings, right=30)
    check_paths(let(project, settings, "vllm"), "vllm")


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


def test_adapters_that_servers_cannot_load_are_served_whole(project: Project, settings: Settings) -> None:
    folder = project.runs / "R-001"
    write_run(folder, read_run(folder), method="dora")
    judged(project, settings, right=30)
    made = let(project, settings, "adapter,vllm,tgi")
    assert sorted(path.name for path in made.glob("*/*lora*")) == []
    facts = {form.form: form.facts for form in read_artefact(made / RELEASE, Release).forms}
    assert all("dora" in facts[form]["adapter"] for form in ("vllm", "tgi"))


def test_the_context_is_the_models_or_what_the_rows_need(project: Project, settings: Settings, tiny: Path) -> None:
    making = Making(project, settings, find_run(project, "R-001"), project.root / "work")
    shutil.copytree(tiny, making.work / "merged")
    trained = read_plan(project.runs / "R-001" / "plan.toml").recipe.max_length
    config = making.work / "merged" / "config.json"
    rest = {name: told for name, told in json.loads(config.read_text()).items() if name != "max_position_embeddings"}

    def context(positions: int | None, **values: int) -> int:
        named = {"max_position_embeddings": positions} if positions else {}
        config.write_text(json.dumps({**rest, **named}))
        model = settings.model.model_copy(update=values)
        return context_of(replace(making, settings=settings.model_copy(update={"model": model})))

    assert trained < 256 and context(256) == 256 and context(131_072) == context(None) == 4096
    assert 256 > context(32) >= max(trained, 48 + 32)
    assert 9000 < context(131_072, max_tokens=9000) < 9100
