"""The wheel and the sdist install and run outside the checkout, in a folder full of misleading names."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest

from training.remote.connection import write_wheel

pytestmark = pytest.mark.cold

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """A wheel and an sdist built from this checkout."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]  # asks no index
    subprocess.run(build, check=True, capture_output=True)
    return out


@pytest.fixture
def traps(tmp_path):
    """A working folder with names that must not be imported."""
    for name in ("advisor", "rules", "datasets", "curation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")
    (tmp_path / "training.py").write_text("raise SystemExit('the wrong module was imported')\n")
    return tmp_path


def test_the_wheel_runs_elsewhere(dist, traps, tmp_path_factory):
    """Unpacked beside the installed dependencies, not beside the checkout."""
    place = tmp_path_factory.mktemp("site")
    wheel = next(dist.glob("*.whl"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), str(wheel)], check=True
    )
    (traps / "answers.toml").write_text('task = "classification"\nprompting = "untried"\n')
    code = (
        f"import sys; sys.path.insert(0, {str(place)!r}); import rung; assert rung.__file__.startswith({str(place)!r});"
        "from rung.cli import main; sys.argv = ['rung', 'advise', '--answers', 'answers.toml', '--json']; main()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=traps, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert '"next_step"' in done.stdout


def test_a_machine_that_trains_gets_the_files_of_the_wheel(dist, tmp_path):
    """`rung remote check --install` writes it from what is installed here."""
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as built, zipfile.ZipFile(write_wheel(tmp_path)) as sent:
        assert {name: built.read(name) for name in built.namelist() if ".dist-info" not in name} == {
            name: sent.read(name) for name in sent.namelist() if ".dist-info" not in name
        }


def test_data_travels(dist):
    names = zipfile.ZipFile(next(dist.glob("*.whl"))).namelist()
    assert "advisor/rules/sources.toml" in names
    assert "rung/tui/app.tcss" in names
    assert any(name.startswith("curation/migrations/versions/") for name in names)
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        inside = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    assert "rules/sources.toml" in inside
    assert "LICENSE" in inside
