"""Fixtures that several packages share."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forks import REAL, ROOT, stand_in
from hypothesis import HealthCheck, settings
from lives import mounted
from llamas import tiny  # noqa: F401
from loopback_server import Loopback, serving

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a hub that is named is not waited for; tests of that take it away
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what one process compiled, the next need not
sys.dont_write_bytecode = False
os.environ.pop("OPENAI_BASE_URL", None)  # nobody's own server is asked
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers of as many threads as cores only take turns


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stand-in for the interpreter; the workers of a run share the process that it forks."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["RUNG_STATE_DIR"] = str(base / "state")  # what a test trusts, this account does not
    with stand_in(base / "forks"):
        yield sys.executable


@pytest.fixture(autouse=True)
def interpreter(request: pytest.FixtureRequest, forked: str) -> Iterator[None]:
    """A test starts forks; a `cold` one, or any with `RUNG_TEST_COLD` set, starts interpreters."""
    sys.executable = REAL if request.node.get_closest_marker("cold") or "RUNG_TEST_COLD" in os.environ else forked
    yield
    sys.executable = forked


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders whose files take longest come first: at the end no core waits for the other's last file.

    A file of each in turn: workers that wait for a project which one of them makes would leave the cores idle.
    """
    place: dict[Path, int] = {}
    for folder in ("training", "tui"):
        files = dict.fromkeys(item.path for item in items if folder in item.path.parts)
        place.update({path: number for number, path in enumerate(files)})
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Freeze the imported objects: they live as long as the tests, so the collector need not visit them. It looks at
    others less often: a tenth of the time of the screens' tests went there.

    Of a whole run (no other has so many tests) the first worker has loops compiled meanwhile that the last tests need.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw0" and len(session.items) > 2_000:
        subprocess.Popen(["nice", REAL, "-P", str(Path(__file__).parent / "shared" / "compiling.py")], cwd=ROOT)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their place: a packed file holds the time, and two processes must collect the same tests."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with serving() as fake:
        yield fake


# Started in the background of a script, a process ignores Ctrl-C and so do its children: tests send it on purpose.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = ("127.", "localhost", "::1", "::ffff:127.", "0.0.0.0")
LOOKED_UP = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
reached_for: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note each address beyond this machine that this process looks up or connects to."""
    if event in LOOKED_UP:
        address = arguments[0] if event in LOOKED_UP[1:3] else arguments[-1]
        host = address[0] if isinstance(address, tuple) else address
        if isinstance(host, str) and host and not host.startswith((*HERE, "/", "\0")):
            reached_for.append(host)


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def nothing_beyond_this_machine(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """No test reaches beyond this machine, slow ones (which may install packages) apart: the addresses so far."""
    reached_for.clear()
    yield reached_for
    if request.node.get_closest_marker("slow") is None:
        assert not reached_for, reached_for


# Nobody's own keyring is asked by a test.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"

# A busy machine draws slowly; that says nothing about the code. The same examples each time: what a change did is told
# from what chance found. `make slow` looks for new ones.
settings.register_profile(
    "rung", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("search", settings.get_profile("rung"), max_examples=100, derandomize=False, print_blob=True)
settings.load_profile("rung")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB in memory; only root may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    with mounted(place, "2m"):
        yield place
