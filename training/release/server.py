"""A llama-server of our own, for as long as a form is scored: started, waited for, and always stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from chat.endpoint import Endpoint
from training.release.tools import SERVER, llama_cpp
from workspace.children import ending_with_us
from workspace.errors import Refusal, RungError
from workspace.settings import Settings

HERE = "127.0.0.1"
STEP = 0.1
STOP_SECONDS = 20.0


@contextlib.contextmanager
def serving(settings: Settings, model: Path, context: int, *more: str) -> Iterator[Endpoint]:
    """llama-server with this GGUF on loopback while the block runs, with room for `context` tokens; `more` are options
    of its own.

    Raises Refusal where the binary is missing, the port is taken, the server ends or is not ready in time.
    """
    folder, port = llama_cpp(settings), _port(settings)
    command = [
        str(folder / SERVER),
        "--model",
        str(model),
        "--host",
        HERE,
        "--port",
        str(port),
        *options(settings, context),
        *more,
    ]
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=_environment(folder),
                start_new_session=True,
                preexec_fn=ending_with_us(),
            )
        except OSError as error:
            raise Refusal(f"{command[0]} cannot be started: {error.strerror}.", "rung release --to merged") from error
        try:
            yield _when_ready(process, Endpoint(f"http://{HERE}:{port}"), settings.release.ready_seconds, log)
        finally:
            _stop(process)


def options(settings: Settings, context: int) -> Sequence[str]:
    """Greedy answers that hang on nothing but the prompt: one slot, the model's own template, no GPU."""
    threads = settings.model.threads or max(1, (os.cpu_count() or 2) // 2)
    return ["--ctx-size", str(context), "--parallel", "1", "--threads", str(threads), "--gpu-layers", "0", "--jinja"]


def _port(settings: Settings) -> int:
    """The port that rung.toml names, found free; else any free one."""
    named = settings.release.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, named))
        except OSError as error:
            raise Refusal(f"Port {named} is in use ([release] port).", "[release] port = 0 in rung.toml") from error
        return int(probe.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    old = os.environ.get("LD_LIBRARY_PATH", "")
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{old}".rstrip(":")}


def _when_ready(process: subprocess.Popen[bytes], endpoint: Endpoint, patience: float, log: IO[bytes]) -> Endpoint:
    until = time.monotonic() + patience
    asking = Endpoint(endpoint.root, patience=5.0)
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Refusal(
                f"{SERVER} ended before it was ready: {_why(process.returncode, log)}", "rung release --to merged"
            )
        with contextlib.suppress(RungError):
            asking.get("/health")
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
