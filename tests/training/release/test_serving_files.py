"""Files for servers: Ollama's template gives the tokenizer's tokens; vLLM and TGI serve the adapter on its base too."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from released import judged, let

from training.record import find_run
from training.release.gotemplate import quoted, render
from training.release.making import Making
from training.release.serve import _without_begin, compare_tokens, make_ollama, modelfile
from training.release.template import TRIALS, take_apart
from workspace.errors import Refusal, RungError
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


def test_go_templates_are_read_as_go_reads_them() -> None:
    turns = [{"role": "user", "content": "a "}, {"role": "assistant", "content": "b"}, {"role": "tool", "content": "c"}]
    branches = '{{ if eq .Role "user" }}U[{{ .Content }}]{{ else }} {{- .Content }};{{ end }}'
    template = "S {{- range .Messages }} " + branches + "{{ end }}"
    assert render(template, turns) == "S U[a ] b; c;"
    assert render(quoted(' {{ \n"x" ') + "{{ range .Messages }}{{ end }}", turns) == ' {{ \n"x" '
    for wrong in ("{{ .System }}", "{{ range .Messages }}", "{{ end }}", "{{ else }}"):
        with pytest.raises(RungError):
            render(wrong, turns)


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny))


@pytest.mark.parametrize("template", [None, LLAMA3, ZEPHYR], ids=["own", "llama3", "zephyr"])
@pytest.mark.parametrize("system", ["", "House line."])
def test_a_modelfile_gives_the_tokens_of_training(tokenizer: Any, template: str | None, system: str) -> None:
    tokenizer.chat_template = template or tokenizer.chat_template
    pieces = _without_begin(take_apart(tokenizer), tokenizer)
    text = modelfile(pieces, "../gguf/model-q8_0.gguf", system or pieces.default)
    compare_tokens(text, tokenizer, TRIALS)
    assert text.startswith("FROM ../gguf/model-q8_0.gguf\n") and "PARAMETER temperature 0" in text


def test_a_changed_modelfile_is_refused(tokenizer: Any) -> None:
    pieces = take_apart(tokenizer)
    text = modelfile(pieces, "../gguf/model.gguf", "House line.").replace("user\\n", "user ")
    with pytest.raises(Refusal, match="other tokens than in training"):
        compare_tokens(text, tokenizer, TRIALS)


def test_a_template_that_does_more_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = ROLES_TURNED
    with pytest.raises(Refusal, match="cannot be translated"):
        take_apart(tokenizer)


def test_a_token_that_was_added_is_one_token_in_the_modelfile_too(tokenizer: Any) -> None:
    tokenizer.add_tokens(["<|house|>"], special_tokens=True)
    tokenizer.chat_template = ZEPHYR.replace("<|{{ m.role }}|>\n", "<|house|>{{ m.role }}\n").replace(
        "<|assistant|>\n", "<|house|>assistant\n"
    )
    pieces = take_apart(tokenizer)
    assert pieces.around["user"][0] == "<|house|>user\n"
    compare_tokens(modelfile(pieces, "../gguf/model.gguf", ""), tokenizer, TRIALS)


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
    assert form.facts["template"].endswith("on 5 conversations") and form.facts["gguf"] == "model-q4_k_m.gguf"
    assert (work / "ollama" / "Modelfile").read_text().startswith("FROM ../gguf/model-q4_k_m.gguf\n")


def test_vllm_and_tgi_serve_the_adapter_on_its_base(project: Project, settings: Settings) -> None:
    import yaml

    judged(project, settings, right=30)
    folder = let(project, settings, "adapter,vllm,tgi")
    for name, words in {
        "vllm": ["--lora-modules", "rung=/adapters/rung"],
        "tgi": ["--lora-adapters", "rung=/adapters/rung"],
    }.items():
        compose = yaml.safe_load((folder / name / "compose-lora.yaml").read_text())["services"]["model"]
        command = compose["command"]
        assert command[command.index(words[0]) + 1] == words[1]
        assert compose["volumes"] == ["${BASE:?the folder of the base model}:/base:ro", "../adapter:/adapters/rung:ro"]
        assert compose["ports"][0].startswith("127.0.0.1:")
        line = (folder / name / "serve-lora.sh").read_text().splitlines()[-1]
        assert shlex.split(line)[-1 if name == "vllm" else -3] == "rung=../adapter"
        whole = yaml.safe_load((folder / name / "compose.yaml").read_text())["services"]["model"]
        assert whole["volumes"] == ["../merged:/model:ro"]
