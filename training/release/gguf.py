"""GGUF by llama.cpp's own converter and quantiser, each type answered by a real llama-server and scored."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from chat.endpoint import Endpoint, ServedModel
from chat.keys import without_secrets
from chat.local.prompt import encode, render
from training.plan.plans import read_plan
from training.release.goldens import GOLDEN, NEW_TOKENS, add_answers, check_server, read_goldens
from training.release.making import Loss, Making, Scoring, as_facts, demand
from training.release.releases import ReleasedForm, folder_bytes
from training.release.tools import CONVERTER, LIBRARY, SERVER, converter, llama_cpp, run_tool
from training.run.tokens import with_system
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.interrupt import ending_with_us
from workspace.settings import Settings

FTYPES = {"f16": 1, "q8_0": 7, "q4_k_m": 15}
"""llama.cpp's numbers of the types that are made from the f32 file."""
WHOLE = ".whole.f32.gguf"


def make_gguf(making: Making, folder: Path) -> ReleasedForm:
    """`model-q8_0.gguf` and so on, made from the merged model.

    First the weights unchanged, in f32: its server must be asked in the very tokens of training. Then each type, scored
    on the validation rows. Raises Refusal if a tool is missing or fails, the tokens differ, or a type loses too
    much; what was written goes with the release's hidden folder.
    """
    tool, library, context = converter(), llama_cpp(making.settings), context_of(making)
    folder.mkdir(parents=True)
    whole = making.work / WHOLE
    making.ways.told("gguf: converting")
    _convert(tool, making.work / "merged", whole)
    with serving(making.settings, whole, context) as endpoint:
        equal = check_server(endpoint, read_goldens(making.work), making.work)  # answers are shown, not demanded
    if wrong := [each for each in equal.differences if each.side == "prompt"]:
        raise Refusal(
            f"gguf refused: the chat template gives other tokens than in training. {wrong[0].words}",
            "rung release --to merged",
        )
    losses = [_typed(making, folder, library, kind, context) for kind in making.settings.release.gguf if kind != "f32"]
    losses = demand(making, losses)
    if "f32" in making.settings.release.gguf:
        whole.rename(folder / "model-f32.gguf")
    whole.unlink(missing_ok=True)
    sizes = {path.stem.removeprefix("model-"): path.stat().st_size for path in sorted(folder.glob("*.gguf"))}
    facts: dict[str, object] = {"converter": CONVERTER, "bytes": sizes, "context": context, "f32": equal.as_facts()}
    facts["validation"] = as_facts(losses)
    against = ", ".join(loss.short for loss in losses) or equal.words
    return ReleasedForm(form="gguf", folder="gguf", bytes=folder_bytes(folder), against=against, facts=facts)


def _typed(making: Making, folder: Path, library: Path, kind: str, context: int) -> Loss:
    """Quantise, serve, score; its answers to the golden prompts are kept."""
    name, target = f"gguf {kind}", folder / f"model-{kind}.gguf"
    making.ways.told(f"{name}: quantising")
    threads = making.settings.model.threads or max(1, (os.cpu_count() or 2) // 2)
    script = Path(__file__).with_name("programs") / "llama_quantise.py"
    source = str(making.work / WHOLE)
    command = [sys.executable, "-P", str(script), str(library / LIBRARY), source, str(target), str(FTYPES[kind])]
    run_tool(name, [*command, str(threads)], {"LD_LIBRARY_PATH": str(library)}, target)
    with serving(making.settings, target, context) as endpoint:
        loss = Scoring(making).score(name, ServedModel(endpoint, f"{name} {sha256_file(target)[:8]}"))
        goldens = read_goldens(making.work)
        answers = [endpoint.answer(item.turns, goldens.max_tokens).text for item in goldens.items]
        add_answers(making.work / GOLDEN, {name: answers})
    return loss


def _convert(script: Path, model: Path, target: Path) -> None:
    environment = {"PYTHONPATH": str(script.parent), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(script), str(model), "--outfile", str(target), "--outtype", "f32"]
    run_tool("gguf f32", command, environment, target)


USUAL = 4096
"""Default context of a server, if the model can read that much and no row needs more."""


def context_of(making: Making) -> int:
    """Return the model's limit or the usual length, the lesser; more if training or validation rows are longer."""
    tokenizer = making.tokenizer()
    asks = ((with_system(row.asked, making.run.system_prompt), row.row.get("tools")) for row in making.rows)
    asked = max((len(encode(tokenizer, render(tokenizer, *each))) for each in asks), default=0)
    answer = max(making.settings.model.max_tokens, NEW_TOKENS)
    plan = making.project.runs / making.run.id / "plan.toml"
    trained = read_plan(plan).recipe.max_length if plan.is_file() else 0  # a run made elsewhere may have no plan
    config = json.loads((making.work / "merged" / "config.json").read_text(encoding="utf-8"))
    told = config.get("max_position_embeddings") or (config.get("text_config") or {}).get("max_position_embeddings")
    return max(trained, asked + answer, min(USUAL, told) if isinstance(told, int) else USUAL)


HERE = "127.0.0.1"
GREEDY = ("--parallel", "1", "--gpu-layers", "0", "--jinja")
"""Answers depend on nothing but the prompt: one slot, the model's own template, no GPU."""
STEP = 0.1
STOP_SECONDS = 20.0


@contextlib.contextmanager
def serving(settings: Settings, model: Path, context: int, *more: str) -> Iterator[Endpoint]:
    """llama-server with this GGUF on loopback while the block runs, with room for `context` tokens; `more` are options
    of its own.

    Raises Refusal if the binary is missing, the port is taken, the server ends or is not ready in time.
    """
    folder, port = llama_cpp(settings), _port(settings)
    command = [str(folder / SERVER), "--model", str(model), "--host", HERE, "--port", str(port)]
    threads = str(settings.model.threads or max(1, (os.cpu_count() or 2) // 2))
    command += ["--ctx-size", str(context), "--threads", threads, *GREEDY, *more]
    old = os.environ.get("LD_LIBRARY_PATH", "")
    own = {**without_secrets(os.environ), "LD_LIBRARY_PATH": f"{folder}:{old}".rstrip(":")}
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=own, start_new_session=True, preexec_fn=ending_with_us()
            )
        except OSError as error:
            raise Refusal(f"{command[0]} cannot be started: {error.strerror}.", "rung release --to merged") from error
        try:
            yield _when_ready(process, Endpoint(f"http://{HERE}:{port}"), settings.release.ready_seconds, log)
        finally:
            _stop(process)


def _port(settings: Settings) -> int:
    """Return the port that rung.toml names, found free; else any free one."""
    named = settings.release.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, named))
        except OSError as error:
            raise Refusal(f"Port {named} is in use ([release] port).", "[release] port = 0 in rung.toml") from error
        return int(probe.getsockname()[1])


def _when_ready(process: subprocess.Popen[bytes], endpoint: Endpoint, patience: float, log: IO[bytes]) -> Endpoint:
    until = time.monotonic() + patience
    asking = Endpoint(endpoint.root, patience=5.0)
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Refusal(
                f"{SERVER} ended before it was ready: {_why(process.returncode, log)}", "rung release --to merged"
            )
        with contextlib.suppress(RungError):
            asking.ask("/health")
            return endpoint
        time.sleep(STEP)
    raise Refusal(
        f"{SERVER} was not ready after {patience:g} s ([release] ready_seconds) and was stopped: {_last(log)}",
        "rung release --to merged",
    )


def _why(code: int, log: IO[bytes]) -> str:
    if code == -signal.SIGILL:
        return "this build uses instructions that this processor has not. Name your own: [release] llama_cpp."
    if code < 0:
        return f"{signal.Signals(-code).name}; last line: {_last(log)}"
    return f"exit {code}; {_last(log)}"


def _last(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    telling = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return (telling or lines or ["it wrote nothing"])[-1].strip()[:200]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
