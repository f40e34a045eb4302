"""This machine: memory, cores, GPUs. Read from the system, without torch."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from advisor.sizing.cards import find_card

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Machine:
    """`ram_gib` is all that this process may use (a container's limit counts); `cards` are (name, GiB)."""

    ram_gib: float
    cores: int
    cards: tuple[tuple[str, float], ...] = ()

    @property
    def where(self) -> str:
        """Return where the memory is, in words."""
        return "on the GPU" if self.cards else "in this machine"

    @property
    def memory_gib(self) -> float:
        """Memory of one GPU where there is one, else the machine's."""
        return self.cards[0][1] if self.cards else self.ram_gib


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(_ram() / GIB, len(os.sched_getaffinity(0)), _cards())


def with_cards(card: str, count: int = 1) -> Machine:
    """Return a machine with these GPUs, for a plan elsewhere. Raises InputError if `card` is no name and no size."""
    found = find_card(card)
    here = this_machine()
    return Machine(here.ram_gib, here.cores, ((found.name, found.memory_gib),) * count)


def _ram() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return total


def _cards() -> tuple[tuple[str, float], ...]:
    """NVIDIA's own listing; none where its tool is missing or silent, or where the user hid all GPUs."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return ()
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = [line.rsplit(",", 1) for line in found.splitlines() if "," in line]
    return tuple((name.strip(), float(mib) / 1024) for name, mib in lines)
