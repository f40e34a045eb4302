"""GGUF by llama.cpp's own converter and quantiser, each type answered by a real llama-server and scored."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from chat.endpoint import Endpoint, Served
from training.release.check import Checked, check
from training.release.context import context_of
from training.release.goldens import GOLDEN, add_answers, read_goldens
from training.release.making import Making
from training.release.record import Form, folder_bytes
from training.release.scoring import Loss, Scoring, as_facts, demand
from training.release.server import serving
from training.release.tools import CONVERTER, LIBRARY, converter, llama_cpp, run_tool
from workspace.errors import Refusal
from workspace.files import sha256_file

FTYPES = {"f16": 1, "q8_0": 7, "q4_k_m": 15}
"""llama.cpp's numbers of the types that are made from the f32 file."""
WHOLE = ".whole.f32.gguf"


def make_gguf(making: Making, folder: Path) -> Form:
    """`model-q8_0.gguf` and so on, made from the merged model.

    First the weights unchanged, in f32: its server must be asked in the very tokens of training. Then each type, scored
    on the validation rows. Raises Refusal where a tool is missing or fails, the tokens differ, or a type loses too
    much; what was written goes with the release's hidden folder.
    """
    tool, library, context = converter(), llama_cpp(making.settings), context_of(making)
    folder.mkdir(parents=True)
    whole = making.work / WHOLE
    making.told("gguf: converting")
    _convert(tool, making.work / "merged", whole)
    with serving(making.settings, whole, context) as endpoint:
        equal = _demand_tokens(check(endpoint, read_goldens(making.work), making.work))
    losses = [_typed(making, folder, library, kind, context) for kind in making.settings.release.gguf if kind != "f32"]
    losses = demand(making, losses)
    if "f32" in making.settings.release.gguf:
        whole.rename(folder / "model-f32.gguf")
    whole.unlink(missing_ok=True)
    sizes = {path.stem.removeprefix("model-"): path.stat().st_size for path in sorted(folder.glob("*.gguf"))}
    facts: dict[str, Any] = {"converter": CONVERTER, "bytes": sizes, "context": context, "f32": equal.as_facts()}
    facts["validation"] = as_facts(losses)
    against = ", ".join(loss.short for loss in losses) or equal.words
    return Form(form="gguf", folder="gguf", bytes=folder_bytes(folder), against=against, facts=facts)


def _demand_tokens(found: Checked) -> Checked:
    """Refuse where the server's prompts are other tokens than in training; answers of f32 are shown, not demanded."""
    wrong = [d for d in found.differences if d.cause in ("template", "bos")]
    if wrong:
        raise Refusal(
            f"gguf refused: the chat template gives other tokens than in training. {wrong[0].words}",
            "rung release --to merged",
        )
    return found


def _typed(making: Making, folder: Path, library: Path, kind: str, context: int) -> Loss:
    """Quantise, serve, score; its answers to the golden prompts are kept."""
    name, target = f"gguf {kind}", folder / f"model-{kind}.gguf"
    making.told(f"{name}: quantising")
    threads = making.settings.model.threads or max(1, (os.cpu_count() or 2) // 2)
    script = Path(__file__).with_name("llama_quantise.py")
    source = str(making.work / WHOLE)
    command = [sys.executable, "-P", str(script), str(library / LIBRARY), source, str(target), str(FTYPES[kind])]
    run_tool(name, [*command, str(threads)], {"LD_LIBRARY_PATH": str(library)}, target)
    with serving(making.settings, target, context) as endpoint:
        loss = Scoring(making).score(name, Served(endpoint, f"{name} {sha256_file(target)[:8]}"))
        add_answers(making.work / GOLDEN, {name: _answers(endpoint, making.work)})
    return loss


def _answers(endpoint: Endpoint, work: Path) -> list[str]:
    goldens = read_goldens(work)
    return [endpoint.answer(item.turns, goldens.max_tokens).text for item in goldens.items]


def _convert(script: Path, model: Path, target: Path) -> None:
    environment = {"PYTHONPATH": str(script.parent), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(script), str(model), "--outfile", str(target), "--outtype", "f32"]
    run_tool("gguf f32", command, environment, target)
