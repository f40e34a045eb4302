"""A real OpenSSH server on loopback: its own keys, an unprivileged port, an ssh configuration for clients."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER = shutil.which("sshd") or "/usr/sbin/sshd"


class Sshd:
    """The server; `config` is what `ssh -F` reads, with the host `gpu`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.config = folder, folder / "ssh_config"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        self.config.write_text(
            f"Host gpu\n HostName 127.0.0.1\n Port {self.port}\n IdentityFile {folder / 'user'}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {folder / 'known'}\n StrictHostKeyChecking yes\n"
        )
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {folder / 'user.pub'}\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            f"ForceCommand sh {folder / 'greeting'}\n"
            f"SetEnv RUNG_STATE_DIR={folder / 'state'} OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PIP_NO_DEPS=1\n"
        )
        greeting = 'echo "Welcome to this box"; exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
        (folder / "greeting").write_text(greeting)  # as the shells of many machines do
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen; returns when it does."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where a server of root puts its unprivileged part
        command = [SERVER, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, start_new_session=True)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def cut(self) -> None:
        """End the server and every connection to it, as a lost line does; what was started there goes on."""
        assert self.process is not None
        mine = [self.process.pid]
        for parent in mine:
            children = Path(f"/proc/{parent}/task/{parent}/children")
            below = [int(pid) for pid in children.read_text().split()] if children.exists() else []
            mine += [pid for pid in below if _is_sshd(pid)]
        for pid in reversed(mine):
            with contextlib.suppress(ProcessLookupError):  # a connection may end by itself meanwhile
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


def _is_sshd(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    return False
