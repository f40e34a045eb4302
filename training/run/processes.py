"""Several processes of one run: who is who, how they agree, and how the first starts the others.

Process 0 leads: it holds the lock, writes, and decides. The others train along and write nothing. A launcher names the
processes as torchrun does (RANK, WORLD_SIZE, LOCAL_RANK); where none did, the leader starts the others itself.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from workspace.errors import Refusal
from workspace.interrupt import end_with

LEADER = "RUNG_LEADER"
"""Variable of a child that ends when the process of this id does."""
PATIENCE = 60.0
"""Seconds that the others have to end after the leader has."""
ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
UNSET = f"unset {' '.join(ALONE)}"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    """This process among those of its run; `local` counts on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """True if this process writes and decides."""
        return self.rank == 0


def world() -> World:
    """Return this process's place by the launcher's variables; alone if there are none.

    Raises Refusal if it says what cannot be: a helper without a leader would train and save nothing.
    """
    given = {name: os.environ.get(name) or default for name, default in ALONE.items()}
    told = " ".join(f"{name}={value}" for name, value in given.items())
    if not all(value.isdecimal() for value in given.values()):
        raise Refusal(f"The launcher's variables are not numbers: {told}.", UNSET)
    rank, size, local = (int(given[name]) for name in ALONE)
    if max(rank, local) >= size:
        raise Refusal(f"The launcher's rank is too high for {size} process{'es' * (size != 1)}: {told}.", UNSET)
    return World(rank, size, local)


@contextmanager
def together(folder: Path, here: World, processes: int) -> Iterator[None]:
    """Run the block once all processes of the plan have met; those without a launcher are started here.

    Raises Refusal if a launcher started another number than the plan says.
    """
    if here.size not in (1, processes):
        raise Refusal(
            f"The plan trains on {processes} process{'es' * (processes > 1)}, but the launcher started {here.size}.",
            f"rung train   (starts them itself), or torchrun --standalone --nproc_per_node {processes} ...",
        )
    if processes == 1:
        yield
        return
    met = threading.Event()
    with _others(folder, processes, met) if here.size == 1 else nullcontext():
        _join(processes)
        met.set()
        yield
        _part()


@contextmanager
def _others(folder: Path, count: int, met: threading.Event) -> Iterator[None]:
    """Start the processes 1 to `count` - 1 of this run on this machine; they die with this one, however it ends.

    The port is one that the system gives and this process keeps.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore("127.0.0.1", 0, count, is_master=True, wait_for_workers=False, multi_tenant=True)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(count)}
    shared |= {"LOCAL_WORLD_SIZE": str(count), LEADER: str(os.getpid())}
    command = [sys.executable, "-P", "-m", "training.run", str(folder)]
    started = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(n), "LOCAL_RANK": str(n)})
        for n in range(1, count)
    ]
    os.environ.update({**shared, "RANK": "0", "LOCAL_RANK": "0"})
    for process in started:
        threading.Thread(target=_ends_before, args=(process, met), daemon=True).start()
    try:
        yield
        for process in started:
            process.wait(PATIENCE)
    finally:
        for process in started:
            process.kill()
        del store


def _ends_before(process: subprocess.Popen[bytes], met: threading.Event) -> None:
    """End this process if the other ends before all have met; afterwards the others notice by themselves."""
    if process.wait() and not met.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def follow_the_leader() -> None:
    """End this process when the one that started it ends: what trains together ends together."""
    leader = os.environ.get(LEADER)
    if leader is not None:
        end_with(int(leader), signal.SIGKILL)


def _join(processes: int) -> None:
    """Meet the other processes of the run. Imports torch and accelerate.

    Raises Refusal if fewer train together than the plan says: some launchers drop them without a word.
    """
    import torch
    from accelerate import PartialState

    found = PartialState(cpu=not torch.cuda.is_available()).num_processes
    if found != processes:
        raise Refusal(f"The plan trains on {processes} processes, but {found} train together.", "rung train")


def _part() -> None:
    """Leave the others in peace: without it they complain when this process ends first."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def all_of(value: T) -> list[T]:
    """Return each process's value, in order. Every process has to call it."""
    import torch

    if not torch.distributed.is_initialized():
        return [value]
    found: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return found


def agreed(value: T) -> T:
    """Return the leader's value. Every process has to call it."""
    return all_of(value)[0]


def in_turn(shares: Sequence[Sequence[T]]) -> list[T]:
    """Interleave the results of processes that worked in turn (0, 1, ..., 0, 1, ...)."""
    longest = max(len(share) for share in shares)
    return [share[n] for n in range(longest) for share in shares if n < len(share)]


def unshared(loader: Any) -> Any:
    """Accelerate's loader, giving each process every batch as it is: none left to the others, none filled up."""
    from accelerate.data_loader import BatchSamplerShard

    shard = loader.batch_sampler
    if isinstance(shard, BatchSamplerShard):
        shard.num_processes, shard.process_index, shard.even_batches = 1, 0, False
    return loader
