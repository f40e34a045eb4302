"""Files with which a server takes the model: Ollama's Modelfile, commands and compose files for vLLM and TGI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.release import gotemplate
from training.release.adapters import rank_of
from training.release.goldens import GoldenPrompt, read_goldens
from training.release.making import Making
from training.release.record import Form, FormName, folder_bytes
from training.release.template import TRIALS, Pieces, take_apart
from workspace.errors import Refusal
from workspace.files import write_text

COMPOSE = """services:
  model:
    image: {image}
    command: {command}
    volumes: {volumes}
    ports: ["127.0.0.1:8000:{port}"]
    deploy: {{resources: {{reservations: {{devices: [{{capabilities: [gpu]}}]}}}}}}
"""
VLLM = "vllm/vllm-openai:latest"
TGI = "ghcr.io/huggingface/text-generation-inference:latest"


def make_ollama(making: Making, folder: Path) -> Form:
    """A Modelfile over the GGUF. Its template, read as Ollama reads it, gives the tokens that training saw: on three
    conversations and on every golden prompt.

    Raises Refusal where the chat template cannot be translated, or gives other tokens.
    """
    tokenizer = making.tokenizer()
    pieces = _without_begin(take_apart(tokenizer), tokenizer)
    system = making.run.system_prompt if making.run.system_prompt is not None else pieces.default
    file = _smallest_loss(making.work / "gguf")
    text = modelfile(pieces, f"../gguf/{file.name}", system)
    goldens = read_goldens(making.work)
    compare_tokens(text, tokenizer, [*TRIALS, *(_said(item) for item in goldens.items)])
    write_text(folder / "Modelfile", text)
    compared = len(TRIALS) + len(goldens.items)
    facts = {
        "template": f"same tokens as the tokenizer's own on {compared} conversations",
        "gguf": file.name,
        "run": "not run here: no Ollama server",
    }
    return Form(form="ollama", folder="ollama", bytes=folder_bytes(folder), against="template equal", facts=facts)


def _without_begin(pieces: Pieces, tokenizer: Any) -> Pieces:
    """The pieces without a begin token that the tokenizer, and so llama.cpp, puts in itself: else it stands twice."""
    begin = tokenizer.bos_token
    adds = begin and list(tokenizer.encode("x"))[:1] == [tokenizer.bos_token_id]
    return replace(pieces, start=pieces.start.removeprefix(begin)) if adds else pieces


def _smallest_loss(folder: Path) -> Path:
    """The file to serve: the smallest, for all of them passed the limit."""
    files = sorted(folder.glob("*.gguf"), key=lambda path: path.stat().st_size)
    if not files:
        raise Refusal(f"{folder} holds no GGUF.", "rung release --to gguf")
    return files[0]


def _said(item: GoldenPrompt) -> list[dict[str, str]]:
    return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in item.turns]


def compare_tokens(text: str, tokenizer: Any, trials: Sequence[Sequence[dict[str, str]]]) -> None:
    """Raise Refusal where the Modelfile's template gives other tokens than the tokenizer's own."""
    template = text.split('TEMPLATE """', 1)[1].split('"""', 1)[0]
    system = text.split('SYSTEM """', 1)[1].split('"""', 1)[0] if 'SYSTEM """' in text else ""
    for turns in trials:
        there = list(turns)
        if system and there[0]["role"] != "system":
            there.insert(0, {"role": "system", "content": system})
        theirs = str(tokenizer.apply_chat_template(there, tokenize=False, add_generation_prompt=True))
        ours = gotemplate.render(template, there)
        if _ids(tokenizer, theirs) != list(tokenizer.encode(ours)):
            raise Refusal(
                f"ollama refused: its template gives other tokens than in training: {theirs[:120]!r} would become "
                f"{ours[:120]!r}.",
                "rung release --to vllm",
            )


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def modelfile(pieces: Pieces, gguf: str, system: str) -> str:
    """Ollama's Modelfile: greedy, as it was measured.

    Raises Refusal where a text holds three quotes, which a Modelfile cannot.
    """
    roles = "".join(
        f'{{{{ {"else if" if number else "if"} eq .Role "{role}" }}}}'
        f"{gotemplate.quoted(before)}{{{{ .Content }}}}{gotemplate.quoted(after)}"
        for number, (role, (before, after)) in enumerate(pieces.around.items())
    )
    body = f"{gotemplate.quoted(pieces.start)}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}"
    body += gotemplate.quoted(pieces.opens)
    if '"""' in body or '"""' in system:
        raise Refusal('A Modelfile cannot hold three quotes: """.', "rung release --to vllm")
    stop = pieces.around["assistant"][1].strip()
    lines = [f"FROM {gguf}", f'TEMPLATE """{body}"""', "PARAMETER temperature 0"]
    lines += [f'PARAMETER stop "{stop}"'] if stop else []
    lines += [f'SYSTEM """{system}"""'] if system else []
    return "\n".join(lines) + "\n"


def make_vllm(making: Making, folder: Path) -> Form:
    """The command and a compose file; where there is an adapter, a second pair that serves it on its base."""
    whole = "--served-model-name rung --generation-config vllm"
    commands = {"serve.sh": f"vllm serve ../merged {whole}"}
    files = {"compose.yaml": _compose(VLLM, f"--model /model {whole}", ["../merged:/model:ro"], 8000)}
    if making.run.method != "full":
        lora = f"--enable-lora --max-lora-rank {max(8, rank_of(making.adapter))} --generation-config vllm"
        base = _base(making)
        commands["serve-lora.sh"] = f"vllm serve {base.here} {lora} --lora-modules rung=../adapter"
        mounts = [*base.mounts, "../adapter:/adapters/rung:ro"]
        command = f"--model {base.inside} {lora} --lora-modules rung=/adapters/rung"
        files["compose-lora.yaml"] = _compose(VLLM, command, mounts, 8000)
    return _write("vllm", folder, commands, files, making)


def make_tgi(making: Making, folder: Path) -> Form:
    """The command and a compose file; where there is an adapter, a second pair that serves it on its base."""
    commands = {"serve.sh": "text-generation-launcher --model-id ../merged --port 8000"}
    files = {"compose.yaml": _compose(TGI, "--model-id /model --port 80", ["../merged:/model:ro"], 80)}
    if making.run.method != "full":
        base = _base(making)
        commands["serve-lora.sh"] = (
            f"text-generation-launcher --model-id {base.here} --lora-adapters rung=../adapter --port 8000"
        )
        mounts = [*base.mounts, "../adapter:/adapters/rung:ro"]
        command = f"--model-id {base.inside} --lora-adapters rung=/adapters/rung --port 80"
        files["compose-lora.yaml"] = _compose(TGI, command, mounts, 80)
    return _write("tgi", folder, commands, files, making)


@dataclass(frozen=True, slots=True)
class Base:
    """The base as a command names it here, as a container does, and what must be mounted for that."""

    here: str
    inside: str
    mounts: list[str]


def _base(making: Making) -> Base:
    """A hub id is the same everywhere; a folder, the embedded model's too, is mounted by whoever serves."""
    from chat.local.load import find_model

    place, hub = find_model(making.run.base)
    return Base(place, place, []) if hub else Base("$BASE", "/base", ["${BASE:?the folder of the base model}:/base:ro"])


def _compose(image: str, command: str, mounts: list[str], port: int) -> str:
    return COMPOSE.format(image=image, command=json.dumps(command.split()), volumes=json.dumps(mounts), port=port)


def _write(name: FormName, folder: Path, commands: dict[str, str], files: dict[str, str], making: Making) -> Form:
    """Greedy requests reproduce what was measured: temperature 0, the run's system prompt."""
    note = "# Ask with temperature 0" + (
        f" and the system message {json.dumps(making.run.system_prompt, ensure_ascii=False)}."
        if making.run.system_prompt
        else "."
    )
    base = f"# BASE: the folder of {making.run.base}, fingerprint {(making.run.base_fingerprint or 'unknown')[:8]}"
    for file, command in commands.items():
        needs = [base, ': "${BASE:?the folder of the base model}"'] if "$BASE" in command else []
        write_text(folder / file, "\n".join(["#!/bin/sh", note, *needs, 'cd "$(dirname "$0")"', command]) + "\n")
    for file, text in files.items():
        write_text(folder / file, text)
    facts = {"run": "commands only: compare the running server with rung release check URL"}
    return Form(form=name, folder=name, bytes=folder_bytes(folder), against="commands only", facts=facts)
