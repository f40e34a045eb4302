"""Commands with which vLLM and TGI serve the model: one for the whole model, and a second for the adapter on its base
where the release holds the adapter and the server can load it.

Every path in them is one from where the file is.
"""

import json
import shlex
from pathlib import Path

from chat.local.load import find_model
from training.release.making import Making
from training.release.releases import FormName, ReleasedForm, folder_bytes
from workspace.errors import Refusal
from workspace.files import write_text

NEEDS_BASE = "the whole path of the base model's folder"


def make_vllm(making: Making, folder: Path) -> ReleasedForm:
    """Return the commands of vLLM."""
    commands = {"serve.sh": "vllm serve ../merged --served-model-name rung --generation-config vllm"}
    why_not = _why_no_adapter(making)
    rank = vllm_rank(rank_of(making.adapter)) if not why_not else None
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
        lines.append(f'BASE=$(cd "${{BASE:?{NEEDS_BASE}}}" && pwd) || exit 1')
    return "\n".join([*lines, 'cd "$(dirname "$0")" || exit 1', f"exec {command}"]) + "\n"


SERVABLE = ("lora", "qlora", "rslora")
"""Methods whose adapters both load; of the others the whole model is served."""
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM accepts as `--max-lora-rank`, except 1."""


def rank_of(adapter: Path) -> int:
    """Return the adapter's rank; 0 where its kind has none."""
    return int(json.loads((adapter / "adapter_config.json").read_text()).get("r") or 0)


def vllm_rank(rank: int) -> int | None:
    """Return the smallest `--max-lora-rank` with room for this rank; None if vLLM has none."""
    return next((size for size in VLLM_RANKS if size >= rank), None)
