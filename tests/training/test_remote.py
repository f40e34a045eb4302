"""`rung train --on NAME`: a real sshd on loopback trains; the line, the run there and this machine are killed."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import REAL
from lives import free_port, mounted, wait_until

from curation.store import open_store
from rung import __version__
from training.remote import box as sent
from training.remote.connection import LineLost, _put, open_box, root_there
from training.remote.following import unpack_home
from training.runs import LIVE, curve, find_run, read_run
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.lock import is_held
from workspace.settings import load_settings
from workspace.trust import trust

SERVER = shutil.which("sshd") or "/usr/sbin/sshd"
pytestmark = pytest.mark.skipif(not Path(SERVER).exists(), reason="no sshd: apt install openssh-server")


class Sshd:
    """A real OpenSSH server on loopback; `config` is what `ssh -F` reads, with the host `gpu`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.config = folder, folder / "ssh_config"
        self.port = free_port()
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
        wait_until(self.listens)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

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


@pytest.fixture
def sshd(tmp_path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd")
    server.start()
    yield server
    if server.process:
        server.cut()


@pytest.fixture
def box(tmp_path):
    """The folder on the machine; what still trains in it is ended."""
    folder = tmp_path / "box"
    yield folder
    for record in folder.glob("*/runs/*/run.json"):
        if is_held(record.with_name("run.lock")) and (pid := json.loads(record.read_text())["pid"]):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def far(ready: Project, tiny, sshd: Sshd, box, tmp_path, monkeypatch) -> Iterator[Project]:
    """The project, with a trusted machine `gpu` that costs 2 dollars an hour; who still follows a run is ended."""
    monkeypatch.setenv("RUNG_SSH_CONFIG", str(sshd.config))
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))
    settings(ready, f'[model]\nbase = "{tiny}"\n[remotes.gpu]\nhost = "gpu"\nfolder = "{box}"\n'
             f'python = "{REAL}"\nusd_per_hour = 2.0\n')  # fmt: skip
    yield ready
    if is_held(ready.runs / "R-001" / "run.lock"):
        os.kill(follower(ready), signal.SIGKILL)


def settings(project: Project, more, **changed):
    text = project.settings_file.read_text()
    for old, new in changed.items():
        text = text.replace(f"{old} = ", f"{old} = {new} #")
    project.settings_file.write_text(text + more)
    trust(project.root)


def follower(project: Project):
    """The process of this machine that follows R-001."""
    return int(json.loads((project.runs / "R-001" / "run.lock").read_text())["pid"])


def figures(project: Project):
    return list(curve(project.runs / "R-001"))


def there(box):
    (folder,) = box.glob("*/runs/R-001")
    return folder


@pytest.mark.slow
@pytest.mark.cold
def test_a_run_trains_there_and_all_of_it_comes_home(far: Project, rung, box):
    done = rung("train", "--on", "gpu", "--json", code=0)
    run = json.loads(done.stdout)
    assert (run["state"], run["remote"]["name"], run["remote"]["home"]) == ("finished", "gpu", True)
    home = far.runs / "R-001"
    assert {name: sha256_file(home / "adapter" / name) for name in run["files"]} == run["files"] != {}
    assert sha256_file(home / "clearance.json") == run["clearance_sha256"] == sha256_file(there(box) / "clearance.json")
    assert not (home / "checkpoints").exists()
    steps = [line for line in figures(far) if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, run["steps"] + 1)) and all("usd" in line for line in steps)
    with open_store(far, load_settings(far.settings_file)) as store:
        assert [e.kind for e in store.events(ref="R-001")] == ["cleared", "started", "finished"]
        (event,) = store.events(kind="sent")
        assert "datasets/v001/train.jsonl" in event.detail["files"], "the log says what left"
    sent = {path.name for path in there(box).parents[1].iterdir()}
    assert "documents" not in sent and {"rung.db", "datasets", "plans", "evaluations"} <= sent
    assert json.loads(rung("train", "--on", "gpu", "--json").stdout)["id"] == "R-001", "nothing trains twice"
    assert rung("evaluate", "R-001", "--json").returncode in (0, 1)


def test_a_project_of_many_files_is_sent(far: Project, sshd: Sshd, box):
    far.prompts.mkdir(exist_ok=True)
    for number in range(2_000):
        (far.prompts / f"{number:04d}-a-name-as-long-as-people-make-them.md").write_text(f"Prompt {number}\n")
    configured = load_settings(far.settings_file)
    machine = open_box(far, configured, "gpu")
    root = root_there(far, machine)
    found = {path.relative_to(far.root).as_posix(): path for path in far.prompts.iterdir()}
    hashes = {name: sha256_file(path) for name, path in found.items()}
    assert sorted(machine.ask("missing", root=root, files=hashes)["missing"]) == sorted(hashes)
    _put(machine, root, found)
    assert machine.ask("missing", root=root, files=hashes) == {"missing": [], "other": 0}


@pytest.mark.parametrize(
    ("kind", "comes", "raised"), [("link", 99_999, Refusal), ("file", 99_999, None), ("file", 900, LineLost)]
)
def test_a_link_among_what_comes_home_is_refused_and_not_asked_for_again(tmp_path, kind, comes, raised):
    (tmp_path / "file").write_text("x" * 2000)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(tmp_path / kind, "adapter/weights")
    (tmp_path / "tar").write_bytes((tmp_path / "tar").read_bytes()[:comes])
    (tmp_path / "made").mkdir()
    with pytest.raises(raised) if raised else contextlib.nullcontext():
        unpack_home(tmp_path / "tar", tmp_path / "made", "gpu")
    assert (tmp_path / "made" / "adapter").exists() is (raised is None)


def test_a_check_shows_what_the_machine_has_and_who_is_not_trusted_is_not_asked(far: Project, rung, sshd: Sshd):
    found = json.loads(rung("remote", "check", "gpu", "--json").stdout)
    assert found["faults"] == [] and found["rung"] and found["ram_gib"] > 0 and found["cards"] == []
    assert rung("remote", "check", "cpu").returncode == 2
    settings(far, "", python='"/nowhere/python"')
    assert "/nowhere/python" in rung("remote", "check", "gpu").stderr
    sshd.cut()
    lost = rung("remote", "check", "gpu", "--json")
    assert lost.returncode == 2 and json.loads(lost.stdout)["error"]["where"] == "gpu"
    far.settings_file.write_text(far.settings_file.read_text().replace('host = "gpu"', 'host = "other"'))
    refused = rung("remote", "check", "gpu", "--json")
    assert refused.returncode == 1 and "rung trust" in json.loads(refused.stdout)["error"]["hint"]


@pytest.mark.slow
@pytest.mark.cold
def test_rung_is_installed_there_where_it_is_asked_for(far: Project, rung, tmp_path):
    """The pip of the machine is told to install no dependencies: torch stays missing."""
    environment = tmp_path / "box" / "env"
    settings(far, "", python=json.dumps(str(environment / "bin" / "python")))
    refused = json.loads(rung("remote", "check", "gpu", "--json").stdout)
    assert "--install" in refused["error"]["hint"] and not environment.exists()
    for _ in range(2):
        done = rung("remote", "check", "gpu", "--install", "--json")
        found = json.loads(done.stdout)
        assert found["rung"] == __version__ and found["torch"] is None and done.returncode == 1, done.stderr
    assert list(environment.glob("lib/*/site-packages/advisor/rules/approach.toml"))
    assert [path.name for path in environment.parent.iterdir()] == ["env"]


def test_nothing_is_installed_where_others_keep_theirs_and_a_host_is_never_an_option_or_a_command(
    far: Project, rung, box
):
    venv.create(box / "their", symlinks=True)
    (box / "notes").mkdir()
    before = sorted(box.rglob("*"))
    for python in ("python3", str(box / "their/bin/python"), str(box / "notes/bin/python")):
        settings(far, "", python=json.dumps(python))
        done = rung("remote", "check", "gpu", "--install", "--json")
        assert done.returncode == 1 and "python" in json.loads(done.stdout)["error"]["hint"], python
        assert sorted(box.rglob("*")) == before, python
    for host in ("-oProxyCommand=touch here", "gpu;touch here", ""):
        settings(far, "", host=json.dumps(host))
        assert rung("remote", "check", "gpu").returncode == 2
        assert not list(far.root.rglob("here")), host


def test_rows_that_must_stay_here_are_not_sent(far: Project, rung, box):
    answers = far.answers_file.read_text().replace('privacy = "none"', 'privacy = "no_external_api"')
    far.answers_file.write_text(answers)
    rung("advise")
    done = rung("train", "--on", "gpu")
    assert done.returncode == 1 and "no_external_api" in done.stderr
    assert not box.exists() and not list(far.runs.glob("R-*"))


@pytest.mark.slow
@pytest.mark.cold
def test_the_line_is_cut_and_this_machine_dies_and_the_run_comes_home(far: Project, rung, box, sshd: Sshd):
    settings(far, "", epochs="12")
    assert rung("train", "--on", "gpu", "--detach").returncode == 0
    sshd.cut()
    wait_until(lambda: any("line lost" in str(line.get("text")) for line in figures(far)))
    sshd.start()
    before = find_run(far, "R-001").step
    os.kill(follower(far), signal.SIGKILL)
    wait_until(lambda: not is_held(far.runs / "R-001" / "run.lock"))
    lost = find_run(far, "R-001")
    assert lost.state == "crashed" and "gpu" in lost.ending
    started = json.loads((there(box) / "run.json").read_text())["started_at"]
    rung("runs", "watch", "R-001", code=0)
    run = find_run(far, "R-001")
    assert run.state == "finished" and run.step >= before and run.remote and run.remote.home
    assert json.loads((there(box) / "run.json").read_text())["started_at"] == started, "it ran once"
    steps = [line["step"] for line in figures(far) if line["kind"] == "step"]
    assert steps == sorted(set(steps)), "no figure twice"


@pytest.mark.slow
@pytest.mark.cold
def test_a_run_that_was_killed_there_is_resumed_there(far: Project, rung, box):
    settings(far, "", epochs="12")
    assert rung("train", "--on", "gpu", "--detach").returncode == 0
    wait_until(lambda: list(there(box).glob("checkpoints/*")))
    os.kill(json.loads((there(box) / "run.json").read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: find_run(far, "R-001").state == "crashed")
    done = rung("runs", "resume", "R-001", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["state"] == "finished", done.stderr


@pytest.mark.slow
@pytest.mark.cold
def test_a_run_pauses_goes_on_stops_and_is_resumed_there(far: Project, rung, box):
    settings(far, "", epochs="20")
    assert rung("train", "--on", "gpu", "--detach").returncode == 0
    wait_until(lambda: figures(far))
    assert rung("runs", "pause").returncode == 0
    wait_until(lambda: find_run(far, "R-001").state == read_run(there(box)).state == "paused")
    step = read_run(there(box)).step
    assert rung("runs", "resume", "--detach").returncode == 0
    wait_until(lambda: read_run(there(box)).state == "running" and figures(far)[-1].get("step", 0) > step)
    assert rung("runs", "stop").returncode == 0
    wait_until(lambda: find_run(far, "R-001").state == "stopped")
    assert list(there(box).glob("checkpoints/*")) and not is_held(there(box) / "run.lock")
    done = rung("runs", "resume", "--json")
    run = json.loads(done.stdout)
    assert (done.returncode, run["state"], run["step"]) == (0, "finished", run["steps"]), done.stderr


@pytest.fixture
def small_disk(far: Project, box):
    """A file that leaves no room on the disk of the project's copy there; the disk is a small one."""
    root = Path(root_there(far, open_box(far, load_settings(far.settings_file), "gpu")))
    root.mkdir(parents=True)
    with mounted(root, "600m"):
        yield root / "full"


def fill(path):
    for size in (1 << 20, 1 << 12):
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            while file.write(bytes(size)):
                pass


@pytest.mark.slow
@pytest.mark.cold
def test_a_full_disk_there_loses_nothing(far: Project, rung, box, small_disk):
    settings(far, "", epochs="20")
    fill(small_disk)
    done = rung("train", "--on", "gpu", "--json")
    assert done.returncode == 1 and "disk" in json.loads(done.stdout)["error"]["message"], done.stderr
    assert find_run(far, "R-001").state == "stopped" and os.listdir(small_disk.parent) == ["full"]
    small_disk.unlink()
    assert rung("runs", "resume", "--detach").returncode == 0
    wait_until(lambda: list(there(box).glob("checkpoints/*")))
    fill(small_disk)
    wait_until(lambda: find_run(far, "R-001").state not in LIVE)
    run = find_run(far, "R-001")
    assert run.state in ("stopped", "crashed") and "disk" in run.ending
    small_disk.unlink()
    done = rung("runs", "resume", "--json")
    run = find_run(far, "R-001")
    assert (done.returncode, run.state, run.step) == (0, "finished", run.steps), done.stderr


@pytest.mark.slow
@pytest.mark.cold
def test_a_base_folder_that_is_missing_there_is_sent(far: Project, tiny, rung, sshd: Sshd, tmp_path):
    """Who comes by ssh sees another folder at the path of the base."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    hide = f"mount --bind {theirs} {tiny}"
    if subprocess.run(["unshare", "-m", "sh", "-c", hide], capture_output=True).returncode:
        pytest.skip("mounting a folder is not allowed here")
    command = f"exec unshare -m sh -c '{hide} && exec sh -c \"$SSH_ORIGINAL_COMMAND\"'\n"
    (sshd.folder / "greeting").write_text(command)
    (theirs / "config.json").write_text("{}")
    assert rung("train", "--on", "gpu").returncode == 1
    assert [path.name for path in theirs.iterdir()] == ["config.json"], "another model is left as it is"
    (theirs / "config.json").unlink()
    assert rung("train", "--on", "gpu", "--detach").returncode == 0
    assert sha256_file(theirs / "model.safetensors") == sha256_file(tiny / "model.safetensors")


@pytest.mark.slow
@pytest.mark.cold
def test_its_time_is_over_there_though_nobody_is_connected(far: Project, rung, box):
    settings(far, "", epochs="2000")
    assert rung("train", "--on", "gpu", "--at-most", "soon").returncode == 2
    assert rung("train", "--on", "gpu", "--at-most", "12s", "--detach").returncode == 0
    os.kill(follower(far), signal.SIGKILL)
    wait_until(lambda: read_run(there(box)).state == "stopped")
    done = rung("runs", "watch", "R-001")
    assert find_run(far, "R-001").state == "stopped", done.stderr


def test_the_timer_is_the_one_that_was_sent_whatever_rung_is_there(tmp_path):
    """An older Rung on the machine has no such timer, and nobody would see that none runs."""
    older = tmp_path / "older" / "training"
    older.mkdir(parents=True)
    (older / "__init__.py").touch()
    (older / "runs.py").write_text("def is_alive(folder):\n    return (folder / 'alive').exists()\n")
    run = tmp_path / "R-001"
    run.mkdir()
    (run / "alive").touch()
    (run / "run.json").write_text('{"pid": null}')
    begin = "import sys; from pathlib import Path; exec(sys.stdin.read(), names := {'__name__': 'box'}); "
    begin += f"names['_set_timer'](Path({str(run)!r}), 0.2)"
    program, environment = Path(sent.__file__).read_text(), {**os.environ, "PYTHONPATH": str(older.parent)}
    subprocess.run([REAL, "-c", begin], input=program, text=True, check=True, env=environment)
    try:
        wait_until(lambda: list(run.glob("control")) and (run / "control").read_text() == "stop\n")
    finally:
        (run / "alive").unlink()


@pytest.mark.slow
@pytest.mark.cold
def test_what_was_changed_there_does_not_come_home(far: Project, rung, box):
    assert rung("train", "--on", "gpu", "--detach").returncode == 0
    os.kill(follower(far), signal.SIGKILL)
    wait_until(lambda: read_run(there(box)).state == "finished")
    weights = there(box) / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    done = rung("runs", "watch", "R-001")
    assert done.returncode == 1 and find_run(far, "R-001").state == "failed"
    assert not (far.runs / "R-001" / "adapter").exists()
    shutil.rmtree(box)
