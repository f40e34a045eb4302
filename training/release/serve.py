"""Files with which a server takes the model: Ollama's Modelfile, commands and compose files for vLLM and TGI."""

from __future__ import annotations

from pathlib import Path

from training.release.making import Making
from training.release.record import Form, folder_bytes
from training.release.template import Pieces, take_apart
from workspace.files import write_text

COMPOSE = """services:
  model:
    image: {image}
    command: {command}
    volumes: ["../merged:/model:ro"{adapter_volume}]
    ports: ["8000:{port}"]
    deploy: {{resources: {{reservations: {{devices: [{{capabilities: [gpu]}}]}}}}}}
"""


def make_ollama(making: Making, folder: Path) -> Form:
    """A Modelfile over the GGUF; its template gives the tokens that training saw, checked on conversations.

    Raises Refusal where the chat template cannot be translated.
    """
    from training.run.model import load_tokenizer

    pieces = take_apart(load_tokenizer(str(making.adapter)))
    file = next(iter(sorted((making.work / "gguf").glob("*.gguf"))), None)
    system = making.run.system_prompt if making.run.system_prompt is not None else pieces.default
    name = f"../gguf/{file.name}" if file else "../gguf/model.gguf"
    write_text(folder / "Modelfile", modelfile(pieces, name, system))
    facts = {
        "template": "same tokens as the tokenizer's own on 3 conversations",
        "run": "not run here: no Ollama server",
    }
    return Form(form="ollama", folder="ollama", bytes=folder_bytes(folder), against="template equal", facts=facts)


def modelfile(pieces: Pieces, gguf: str, system: str) -> str:
    """Ollama's Modelfile: greedy, as it was measured."""
    roles = "{{ else }}".join(
        f'{{{{ if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
        for role, (before, after) in pieces.around.items()
    )
    body = (
        f"{pieces.start}{{{{- range .Messages }}}}{roles}{'{{ end }}' * len(pieces.around)}{{{{ end }}}}{pieces.opens}"
    )
    stop = pieces.around["assistant"][1].strip()
    lines = [f"FROM {gguf}", f'TEMPLATE """{body}"""', "PARAMETER temperature 0"]
    lines += [f'PARAMETER stop "{stop}"'] if stop else []
    lines += [f'SYSTEM """{system}"""'] if system else []
    return "\n".join(lines) + "\n"


def make_vllm(making: Making, folder: Path) -> Form:
    """The command, and a compose file; with the adapter served beside its base where there is one."""
    serve = "vllm serve ../merged --served-model-name rung --generation-config vllm"
    lora = f"vllm serve {making.run.base} --enable-lora --lora-modules rung=../adapter --generation-config vllm"
    compose = COMPOSE.format(
        image="vllm/vllm-openai:latest",
        command="--model /model --served-model-name rung --generation-config vllm",
        adapter_volume="",
        port=8000,
    )
    return _commands("vllm", folder, [serve, f"# or the adapter on its base:  {lora}"], compose, making)


def make_tgi(making: Making, folder: Path) -> Form:
    """The command, and a compose file."""
    serve = "text-generation-launcher --model-id ../merged --port 8000"
    compose = COMPOSE.format(
        image="ghcr.io/huggingface/text-generation-inference:latest",
        command="--model-id /model --port 8000",
        adapter_volume="",
        port=8000,
    )
    return _commands("tgi", folder, [serve], compose, making)


def _commands(name: str, folder: Path, commands: list[str], compose: str, making: Making) -> Form:
    """Greedy requests reproduce what was measured: temperature 0, the run's system prompt."""
    note = "# Ask with temperature 0" + (
        f' and the system message "{making.run.system_prompt}".' if making.run.system_prompt else "."
    )
    write_text(folder / "serve.sh", "\n".join(["#!/bin/sh", note, *commands]) + "\n")
    write_text(folder / "compose.yaml", compose)
    facts = {"run": "not run here: needs its own environment and a GPU"}
    return Form(form=name, folder=name, bytes=folder_bytes(folder), against="commands only", facts=facts)
