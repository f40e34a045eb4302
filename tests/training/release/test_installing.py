"""Tools are installed whole or not at all, once, and nothing that a release started outlives it."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from training.release.tools import (
    LIBRARY,
    LOCKS,
    READY,
    SERVER,
    install_environment,
    install_target,
    llama_cpp,
    run_tool,
)
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.settings import load_settings
from workspace.trust import trust

ROOT = Path(__file__).parents[3]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip finds one small package of ours, and reaches nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    files = {
        "small_tool.py": b"print('here')\n",
        "small_tool-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: small-tool\nVersion: 1.0\n",
        "small_tool-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "small_tool-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(folder / "small_tool-1.0-py3-none-any.whl", "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
    digest = sha256_file(folder / "small_tool-1.0-py3-none-any.whl")
    locks = {"small": f"small-tool==1.0 --hash=sha256:{digest}", "other": f"other-tool==1.0 --hash=sha256:{digest}",
             "unpinned": "small-tool==1.0", "tampered": f"small-tool==1.0 --hash=sha256:{'0' * 64}"}  # fmt: skip
    for name, text in locks.items():
        (tmp_path / f"{name}.txt").write_text(text + "\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def shown(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_half_of_a_tool_is_never_found_and_made_anew(wheels: Path, tmp_path: Path) -> None:
    place = tmp_path / "tools" / "small"
    place.mkdir(parents=True)
    (place / "half.py").touch()
    place.with_name("small.new").mkdir()
    assert install_target(place, "small tool", tmp_path / "small.txt") == place
    assert (place / "small_tool.py").is_file() and not (place / "half.py").exists()
    assert shown(place.parent) == ["small"]


def test_what_cannot_be_installed_leaves_nothing(wheels: Path, tmp_path: Path) -> None:
    place = tmp_path / "tools" / "small"
    for lock in ("other", "unpinned", "tampered"):
        with pytest.raises(Refusal, match=rf"{lock}.txt.*ERROR"):
            install_target(place, "small tool", tmp_path / f"{lock}.txt")
        assert shown(place.parent) == [], lock
    (tmp_path / "file").touch()
    with pytest.raises(Refusal):
        install_target(tmp_path / "file" / "small", "small tool", tmp_path / "small.txt")


def test_two_at_once_make_it_once(wheels: Path, tmp_path: Path) -> None:
    place = tmp_path / "tools" / "small"
    code = "from training.release.tools import *; install_target(Path(sys.argv[1]), 't', Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(place), str(tmp_path / "small.txt")]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    seen: set[int] = set()
    while any(each.poll() is None for each in both):
        seen |= {place.stat().st_ino} if place.exists() else set()
        time.sleep(0.01)
    assert [each.wait() for each in both] == [0, 0], [each.communicate()[1] for each in both]
    assert len(seen | {place.stat().st_ino}) == 1 and shown(place.parent) == ["small"]


@pytest.mark.slow
def test_an_environment_works_where_it_was_moved_to(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by Python's own pip, whatever lies in the folder of the command."""
    (tmp_path / "pip.py").write_text("raise SystemExit('the project runs')")
    monkeypatch.chdir(tmp_path)
    place = install_environment(tmp_path / "tools" / "apart", "small tool", tmp_path / "small.txt")
    done = subprocess.run(
        [place / "bin" / "python", "-c", "import small_tool, sys; print(sys.prefix)"], capture_output=True, text=True
    )
    assert done.stdout.split() == ["here", str(place)] and (place / READY).is_file(), done.stderr


def test_a_tool_that_writes_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"Error .* end"):
        run_tool("x", ["sh", "-c", r"printf 'Error \377 end\n' >&2; exit 1"], {}, tmp_path / "t")


def test_a_llama_cpp_of_the_project_is_found_from_any_folder_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rung.toml").write_text('[release]\nllama_cpp = "own/llama"\n')
    for name in ("own/llama", "below"):
        (tmp_path / name).mkdir(parents=True)
    for name in (SERVER, LIBRARY):
        (tmp_path / "own" / "llama" / name).touch()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))
    with pytest.raises(Refusal):
        llama_cpp(load_settings(tmp_path / "rung.toml"))
    trust(tmp_path)
    assert llama_cpp(load_settings(tmp_path / "rung.toml")) == tmp_path / "own" / "llama"


def test_every_package_of_a_tool_is_pinned_by_its_hash() -> None:
    for lock in sorted(LOCKS.glob("*.txt")):
        packages = [line for line in lock.read_text().split("\n") if line and not line.startswith((" ", "#"))]
        assert packages and all("==" in line for line in packages), lock
        assert lock.read_text().count("--hash=sha256:") >= len(packages)
