"""The wheel and the sdist: what they hold runs elsewhere, and removed it leaves little; the versions are locked."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from training.remote.connection import write_wheel

pytestmark = pytest.mark.cold

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """A wheel and an sdist built from this checkout."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]  # asks no index
    subprocess.run(build, check=True, capture_output=True)
    return out


def test_the_wheel_runs_elsewhere(dist, tmp_path, tmp_path_factory):
    """Unpacked beside the installed dependencies, not beside the checkout; names in the folder are not imported."""
    for name in ("advisor", "rules", "datasets", "curation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')\n")
    (tmp_path / "training.py").write_text("raise SystemExit('the wrong module was imported')\n")
    place = tmp_path_factory.mktemp("site")
    wheel = next(dist.glob("*.whl"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), str(wheel)], check=True
    )
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "untried"\n')
    code = (
        f"import sys; sys.path.insert(0, {str(place)!r}); import rung; assert rung.__file__.startswith({str(place)!r});"
        "from rung.cli import main; sys.argv = ['rung', 'advise', '--answers', 'answers.toml', '--json']; main()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert '"next_step"' in done.stdout


def test_data_travels_also_to_a_machine_that_trains(dist, tmp_path):
    """`rung remote check --install` writes the wheel from what is installed here."""
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as built, zipfile.ZipFile(write_wheel(tmp_path)) as sent:
        names = built.namelist()
        assert {name: built.read(name) for name in names if ".dist-info" not in name} == {
            name: sent.read(name) for name in sent.namelist() if ".dist-info" not in name
        }
    assert {"advisor/rules/sources.toml", "rung/tui/app.tcss"} <= set(names)
    assert any(name.startswith("curation/migrations/versions/") for name in names)
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"rules/sources.toml", "LICENSE"} <= inside


ROWS = "question,answer\n" + "".join(f"what is number {n} of the list in words,answer {n}\n" for n in range(30))


def ran(*command: str | Path, cwd: Path, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp")}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    done = subprocess.run(command, cwd=cwd, env=environment | kept, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_removed_it_leaves_projects_and_the_places_that_locate_names(dist: Path, tmp_path: Path) -> None:
    home, work, own = tmp_path / "home", tmp_path / "work", tmp_path / "own"
    pips = tmp_path / "pips"  # what pip itself leaves behind is not Rung's
    for each in (home, pips):
        (each / "tmp").mkdir(parents=True)
    work.mkdir()
    subprocess.run([sys.executable, "-m", "venv", own], check=True)
    before = files(own)
    ran(own / "bin/pip", "install", "-q", "--no-cache-dir", next(dist.glob("*.whl")), cwd=work, home=pips)
    rung = own / "bin/rung"
    (work / "rows.csv").write_text(ROWS)
    (work / "answers.toml").write_text('task = "classification"\n')
    ran(rung, "init", "claims", cwd=work, home=home)
    project = work / "claims"
    ran(rung, "advise", "--answers", "../answers.toml", "--save", cwd=project, home=home)
    for words in (("data", "import", "../rows.csv"), ("data", "check"), ("review", "next"), ("status",), ("trust",)):
        ran(rung, *words, cwd=project, home=home)
    places = json.loads(ran(rung, "locate", "--json", cwd=project, home=home))
    ran(own / "bin/pip", "uninstall", "-q", "-y", "rung", cwd=work, home=pips)
    assert not rung.exists() and not [name for name in files(own) - before if "/rung" in name or "advisor" in name]
    left = {str(home / name) for name in files(home)}
    assert left == {places["trusted"]}, "the cache holds models and tools, and none was asked for"
    assert {path.name for path in work.iterdir()} == {"rows.csv", "answers.toml", "claims"}


ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(.*?)(?=^[A-Za-z]|\Z)", re.S | re.M)


def test_locked_versions_fit_and_have_hashes() -> None:
    """They are those that pyproject.toml allows."""
    text = (ROOT / "requirements" / "locked.txt").read_text()
    locked = {canonicalize_name(name): (version, rest) for name, version, rest in ENTRY.findall(text)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(line) for line in [*project["dependencies"], *extras["dev"]] if not line.startswith("rung[")]
    for group in ("llm", "web", "postgres", "quality", "train", "demo", "keyring", "mcp"):
        wanted += [Requirement(line) for line in extras[group]]
    missing = {canonicalize_name(w.name) for w in wanted} - locked.keys() - {"torch", "rung"}
    assert not missing, "make lock"
    for one in wanted:
        if one.name != "torch":
            assert one.specifier.contains(locked[canonicalize_name(one.name)][0]), one
    assert len(locked) > 100 and all("--hash=sha256:" in rest for _, rest in locked.values())
