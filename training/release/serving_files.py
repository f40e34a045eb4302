"""Files for servers: commands for vLLM and TGI, the request of a served model, and Ollama's Modelfile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.local.load import find_model
from chat.local.prompt import encode
from training.release.gguf import context_of
from training.release.goldens import read_goldens
from training.release.making import Making
from training.release.releases import FormName, ReleasedForm, folder_bytes
from workspace.errors import Refusal
from workspace.files import write_text


def make_vllm(making: Making, folder: Path) -> ReleasedForm:
    """Return the commands of vLLM."""
    commands = {"serve.sh": "vllm serve ../merged --served-model-name rung --generation-config vllm"}
    why_not = _why_no_adapter(making)
    config = making.adapter / "adapter_config.json"
    rank = None if why_not else vllm_rank(int(json.loads(config.read_text()).get("r") or 0))
    if rank is not None:
        lora = f"--enable-lora --max-lora-rank {rank} --generation-config vllm --lora-modules rung=../adapter"
        commands["serve-lora.sh"] = f"vllm serve {_base(making)} {lora}"
    elif not why_not:
        why_not = f"vLLM loads adapters up to rank {VLLM_RANKS[-1]}"
    return _write("vllm", folder, commands, why_not, making)


def make_tgi(making: Making, folder: Path) -> ReleasedForm:
    """Return the commands of TGI."""
    launcher = "text-generation-launcher --port 8000 --model-id"
    commands = {"serve.sh": f"{launcher} ../merged"}
    why_not = _why_no_adapter(making)
    if not why_not:
        commands["serve-lora.sh"] = f"{launcher} {_base(making)} --lora-adapters rung=../adapter"
    return _write("tgi", folder, commands, why_not, making)


def _why_no_adapter(making: Making) -> str:
    """Return the reason why no files serve the adapter on its base; empty if they can."""
    if making.run.method not in SERVABLE:
        return f"{making.run.method}: served whole"
    return "" if (making.work / "adapter").is_dir() else "this release holds no adapter: --to adapter,vllm,tgi"


def _base(making: Making) -> str:
    """Return the base as a command names it: by its hub id, or by a place that the person who serves names."""
    place, hub = find_model(making.run.base)
    return shlex.quote(place) if hub else '"$BASE"'


def make_served(making: Making, folder: Path) -> ReleasedForm:
    """`request.json`: the body of the request with which a tuned model at a server was measured."""
    adopted = making.run.adopted
    if adopted is None or not adopted.served:
        raise Refusal(f"{making.run.id} has its weights here.", f"rung release {making.run.id} --to adapter")
    system = making.run.system_prompt
    body = {
        "model": adopted.served,
        "messages": [
            *([{"role": "system", "content": system}] if system else []),
            {"role": "user", "content": "{{question}}"},
        ],
        "temperature": 0,
        "max_tokens": making.settings.model.max_tokens,
    }
    write_text(folder / "request.json", json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    facts = {"host": adopted.host, "address": making.settings.model.base_url}
    return ReleasedForm(form="served", folder="served", bytes=folder_bytes(folder), against="not checked", facts=facts)


def _write(name: FormName, folder: Path, commands: dict[str, str], why_not: str, making: Making) -> ReleasedForm:
    """Greedy requests reproduce what was measured: temperature 0, the run's system prompt."""
    for file, command in commands.items():
        write_text(folder / file, _script(command, making))
        (folder / file).chmod(0o755)
    facts = {"run": "commands only: compare the running server with rung release check URL"}
    facts |= {"adapter": why_not} if why_not else {}
    return ReleasedForm(form=name, folder=name, bytes=folder_bytes(folder), against="commands only", facts=facts)


def _script(command: str, making: Making) -> str:
    """Return a shell script that works from any folder; what it is given as BASE is found before it goes to its own."""
    system = making.run.system_prompt
    said = f" and the system message {json.dumps(system, ensure_ascii=False)}" if system else ""
    lines = ["#!/bin/sh", f"# Ask with temperature 0{said}."]
    if "$BASE" in command:
        mark = (making.run.base_fingerprint or "unknown")[:8]
        lines.append(f"# BASE: the folder of {json.dumps(making.run.base, ensure_ascii=False)}, fingerprint {mark}")
        lines.append("""BASE=$(cd "${BASE:?the whole path of the base model's folder}" && pwd) || exit 1""")
    return "\n".join([*lines, 'cd "$(dirname "$0")" || exit 1', f"exec {command}"]) + "\n"


SERVABLE = ("lora", "qlora", "rslora")
"""Methods whose adapters both load; of the others the whole model is served."""
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM accepts as `--max-lora-rank`, except 1."""


def vllm_rank(rank: int) -> int | None:
    """Return the smallest `--max-lora-rank` with room for this rank; None if vLLM has none."""
    return next((size for size in VLLM_RANKS if size >= rank), None)


def make_ollama(making: Making, folder: Path) -> ReleasedForm:
    """A Modelfile over the GGUF. The pieces of its template give the tokens that training saw: on three conversations
    and on every golden prompt.

    Raises Refusal if the chat template cannot be translated, or gives other tokens.
    """
    tokenizer = making.tokenizer()
    pieces = take_apart(tokenizer)
    system = making.run.system_prompt if making.run.system_prompt is not None else pieces.default
    file = min((making.work / "gguf").glob("*.gguf"), key=lambda path: path.stat().st_size)  # all passed the limit
    context = context_of(making)
    text = modelfile(pieces, f"../gguf/{file.name}", system, context)
    goldens = read_goldens(making.work)
    said = [[{"role": str(turn["role"]), "content": str(turn["content"])} for turn in g.turns] for g in goldens.items]
    compare_tokens(pieces, system, tokenizer, [*TRIALS, *said])
    write_text(folder / "Modelfile", text)
    compared = len(TRIALS) + len(goldens.items)
    facts = {
        "template": f"same tokens as the tokenizer's own on {compared} conversations",
        "gguf": file.name,
        "context": context,
        "run": "not run here: no Ollama server",
    }
    return ReleasedForm(
        form="ollama", folder="ollama", bytes=folder_bytes(folder), against="template equal", facts=facts
    )


def compare_tokens(
    pieces: TemplatePieces, system: str, tokenizer: Any, trials: Sequence[Sequence[dict[str, str]]]
) -> None:
    """Raise Refusal if the pieces that the Modelfile is made of give other tokens than the tokenizer's template."""
    for turns in trials:
        there = list(turns)
        if system and there[0]["role"] != "system":
            there.insert(0, {"role": "system", "content": system})
        theirs, ours = _render_turns(tokenizer, there, True), pieces.render(there)
        if encode(tokenizer, theirs) != list(tokenizer.encode(ours)):
            raise Refusal(
                f"ollama refused: its template gives other tokens than in training: {theirs[:120]!r} would become "
                f"{ours[:120]!r}.",
                "rung release --to vllm",
            )


def modelfile(pieces: TemplatePieces, gguf: str, system: str, context: int) -> str:
    """Return Ollama's Modelfile: greedy, with this context. Raises Refusal for three quotes, which it cannot hold."""
    roles = "".join(
        f'{{{{ {"else if" if number else "if"} eq .Role "{role}" }}}}{quoted(before)}{{{{ .Content }}}}{quoted(after)}'
        for number, (role, (before, after)) in enumerate(pieces.around.items())
    )
    body = f"{quoted(pieces.start)}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}"
    body += quoted(pieces.opens)
    if '"""' in body or '"""' in system:
        raise Refusal('A Modelfile cannot hold three quotes: """.', "rung release --to vllm")
    stop = pieces.around["assistant"][1].strip()
    lines = [f"FROM {gguf}", f'TEMPLATE """{body}"""', "PARAMETER temperature 0", f"PARAMETER num_ctx {context}"]
    lines += [f'PARAMETER stop "{stop}"'] if stop else []
    lines += [f'SYSTEM """{system}"""'] if system else []
    return "\n".join(lines) + "\n"


MARKS = {"system": "\u2038S\u2038", "user": "\u2038U\u2038", "assistant": "\u2038A\u2038"}
TRIALS = (
    [{"role": "user", "content": "Type 2 DM?"}],
    [{"role": "system", "content": "House line."}, {"role": "user", "content": "PDR bilat in T1DM"}],
    [
        {"role": "system", "content": "Answer shortly."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three\nlines\n\nhere"},
    ],
)


@dataclass(frozen=True, slots=True)
class TemplatePieces:
    """`around` gives for each role what comes before and after its text; `opens` follows the last user turn.

    `default` is the system text that the template puts in where there is none; `start` comes before everything.
    """

    start: str
    around: dict[str, tuple[str, str]]
    opens: str
    default: str

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """Return the text that a server sends to the model with these pieces."""
        whole = list(turns)
        if self.default and whole[0]["role"] != "system":
            whole.insert(0, {"role": "system", "content": self.default})
        said = "".join(f"{self.around[t['role']][0]}{t['content']}{self.around[t['role']][1]}" for t in whole)
        return f"{self.start}{said}{self.opens}"


def take_apart(tokenizer: Any) -> TemplatePieces:
    """Find the pieces by rendering marked turns; `compare_tokens` tries them."""
    turns = [{"role": role, "content": mark} for role, mark in MARKS.items()]
    closed = _render_turns(tokenizer, turns, False)
    twice = _render_turns(tokenizer, [*turns, turns[1]], False)
    opened = _render_turns(tokenizer, turns[:2], True)
    bare = _render_turns(tokenizer, turns[1:2], True)
    system, user, answer = MARKS.values()
    head, rest = closed.split(system, 1)
    _, tail = rest.split(user, 1)
    after_answer = tail.split(answer, 1)[1]
    before_user_again = twice[len(closed) :].split(user, 1)[0] if twice.startswith(closed) else ""
    between = rest.split(user, 1)[0]
    after_system = between[: len(between) - len(before_user_again)] if before_user_again else between
    opens_whole = opened.split(user, 1)[1]
    before_answer = tail.split(answer, 1)[0]
    after_user, opens = _split_opening(before_answer, opens_whole, before_user_again)
    start, before_system = _start(head, before_user_again)
    default = _default(bare, start + before_system, after_system, before_user_again + user)
    around = {"system": (before_system, after_system), "user": (before_user_again, after_user)}
    around["assistant"] = (before_answer[len(after_user) :], after_answer)
    begin = tokenizer.bos_token
    if begin and list(tokenizer.encode("x"))[:1] == [tokenizer.bos_token_id]:  # llama.cpp adds it: else it occurs twice
        start = start.removeprefix(begin)
    return TemplatePieces(start, around, opens, default)


def _split_opening(before_answer: str, opens_whole: str, before_user: str) -> tuple[str, str]:
    """Return the end of a user turn and the start of an answer, which a rendering has as one text."""
    word = before_user.strip().split("user")[0] or opens_whole[:1]
    place = opens_whole.find(word, 1) if word else -1
    place = place if place > 0 else len(opens_whole)
    return opens_whole[:place], opens_whole[place:]


def _start(head: str, before_user: str) -> tuple[str, str]:
    word = before_user.split("user")[0]
    place = head.find(word) if word else 0
    return (head[:place], head[place:]) if place > 0 else ("", head)


def _default(bare: str, before: str, after: str, user: str) -> str:
    if not bare.startswith(before) or user not in bare:
        return ""
    return bare[len(before) : bare.index(user) - len(after)]


def _render_turns(tokenizer: Any, turns: Sequence[dict[str, str]], opening: bool) -> str:
    return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=opening))


def quoted(text: str) -> str:
    """Return a text as a literal of the template, so that no white space or brace of it is ever trimmed or read."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""
