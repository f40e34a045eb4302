"""Backup, restore and repair, on a real project that others write to meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from in_shell import rung

from rung.keeping import LIST, LOCKS, MARKER, back_up, half_backups, leftovers, restore
from workspace.errors import InputError, Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import load_settings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Rows, decisions and a frozen test set."""
    root = tmp_path / "p"
    rows = [{"prompt": f"what is the {n}th word of page {n * 7}?", "completion": f"word {n}"} for n in range(12)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command in (("init", str(root)), ("data", "import", str(tmp_path / "t.jsonl"), "--as", "test")):
        assert rung(*command, cwd=root if root.exists() else tmp_path).returncode == 0
    assert rung("review", "export", "-o", "../s.csv", cwd=root).returncode == 0
    sheet = (tmp_path / "s.csv").read_text().replace(",,,,", ",approve,,,")
    (tmp_path / "s.csv").write_text(sheet)
    assert rung("review", "import", "../s.csv", "--reviewer", "dana", cwd=root).returncode == 0
    assert rung("data", "freeze", "--test-only", cwd=root).returncode == 0
    return Project(root)


def contents(root: Path) -> dict[str, str]:
    kept = (p for p in root.rglob("*") if p.is_file() and not p.name.endswith((".lock", "-wal", "-shm", "rung.db")))
    return {str(p.relative_to(root)): sha256_file(p) for p in kept}


def test_there_and_back(project: Project, tmp_path: Path) -> None:
    done = rung("backup", "../b.tar.gz", "--json", cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert rung("restore", "b.tar.gz", "q", cwd=tmp_path).returncode == 0
    assert contents(tmp_path / "q") == contents(project.root)
    assert rung("status", "--json", cwd=tmp_path / "q").stdout == rung("status", "--json", cwd=project.root).stdout
    assert rung("doctor", cwd=tmp_path / "q").returncode == 0
    assert rung("why", "r-000003", cwd=tmp_path / "q").stdout == rung("why", "r-000003", cwd=project.root).stdout


def test_the_database_is_of_one_moment_while_someone_imports(project: Project, tmp_path: Path) -> None:
    rows = [{"prompt": f"how far is town {n} from lake {n * 3}?", "completion": f"{n} km"} for n in range(4000)]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-P", "-m", "rung", "data", "import", "../more.jsonl"]
    with subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as writer:
        number = 0
        while writer.poll() is None or number == 0:
            back_up(project, load_settings(project.settings_file), tmp_path / f"b{number}.tar")
            restore(tmp_path / f"b{number}.tar", tmp_path / f"q{number}")
            status = json.loads(rung("doctor", "--json", cwd=tmp_path / f"q{number}").stdout)
            store = next(check for check in status["checks"] if check["name"] == "store")
            assert store["ok"] and store["fact"] in ("12 rows", "4,012 rows"), "all of an import or nothing"
            number += 1


@pytest.mark.parametrize("hurt", ["byte", "cut", "missing", "more", "no list", "outside"])
def test_a_backup_that_is_not_whole_restores_nothing(project: Project, tmp_path: Path, hurt: str) -> None:
    good, bad = tmp_path / "b.tar", tmp_path / "bad.tar"
    back_up(project, load_settings(project.settings_file), good)
    if hurt == "cut":
        bad.write_bytes(good.read_bytes()[:-9000])
    else:
        with tarfile.open(good) as old, tarfile.open(bad, "w") as new:
            for member in old.getmembers():
                data = old.extractfile(member).read()
                if (hurt == "missing" and member.name == "guideline.md") or (hurt == "no list" and member.name == LIST):
                    continue
                if hurt == "byte" and member.name == "guideline.md":
                    data = data[:-1] + b"!"
                new.addfile(member, BytesIO(data))
            if hurt in ("more", "outside"):
                extra = tarfile.TarInfo("../escaped.txt" if hurt == "outside" else "extra.txt")
                new.addfile(extra, BytesIO(b""))
    with pytest.raises(InputError):
        restore(bad, tmp_path / "q")
    assert not (tmp_path / "q").exists() and not (tmp_path / "escaped.txt").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".q")]


@pytest.mark.parametrize("packing", ["gz", "xz", "bz2"])
def test_a_backup_whose_compression_is_damaged_is_told_plainly(tmp_path: Path, packing: str) -> None:
    (tmp_path / "rows.txt").write_text("".join(f"{n * 7919 % 100_003} is a row\n" for n in range(30_000)))
    bad = tmp_path / f"bad.tar.{packing}"
    with tarfile.open(bad, f"w:{packing}") as tar:
        tar.add(tmp_path / "rows.txt", "rows.txt")
    good = bad.read_bytes()
    for tenth in range(1, 10):
        place = len(good) * tenth // 10
        bad.write_bytes(good[:place] + bytes(range(200, 256)) * 4 + good[place + 224 :])
        with pytest.raises(InputError):
            restore(bad, tmp_path / "q")
        assert not (tmp_path / "q").exists()


def test_a_backup_says_what_it_leaves_out_and_keeps_a_file_of_ones_own_of_any_name(
    project: Project, tmp_path: Path
) -> None:
    root = project.root
    own = ("uv.lock", "documents/notes.tmp", "documents/.tmp/deep.txt", ".jobs.txt", "documents/rung.db")
    for name in own:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
    for name in (".rung.toml.abcd1234.tmp", ".jobs/out.txt", ".venv/bin/x", "datasets/.tmp/v009/train.jsonl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("of the moment")
    (root / "more").symlink_to(tmp_path)
    (root / "documents" / "one.md").symlink_to("../guideline.md")
    os.mkfifo(root / "pipe")
    done = rung("backup", "../b.tar", cwd=root)
    assert done.returncode == 0, done.stderr
    for told in (f"more: a link to {tmp_path}", "documents/one.md: a link to ../guideline.md",
                 "pipe: not a regular file", ".venv: a Python environment"):  # fmt: skip
        assert f"! Left out: {told}." in done.stdout
    assert done.stdout.count("Left out") == 4
    restore(tmp_path / "b.tar", tmp_path / "q")
    assert all((tmp_path / "q" / name).read_text() == "mine" for name in own)
    there = {str(p.relative_to(tmp_path / "q")) for p in (tmp_path / "q").rglob("*")}
    assert not [
        n for n in there if n.endswith("1234.tmp") or n.startswith((".jobs/", "datasets/.tmp", "more", "runs/w"))
    ]


@pytest.mark.parametrize("listed", [{"files": ["guideline.md"]}, {"files": 3}, ["files"], {}])
def test_a_backup_with_a_list_that_is_none_is_told_plainly(tmp_path: Path, listed: object) -> None:
    text = json.dumps(listed).encode()
    member = tarfile.TarInfo(LIST)
    member.size = len(text)
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        tar.addfile(member, BytesIO(text))
    with pytest.raises(InputError, match=f"has no {LIST}"):
        restore(tmp_path / "bad.tar", tmp_path / "q")


def test_nothing_is_overwritten_and_work_under_way_is_not_cut(project: Project, tmp_path: Path) -> None:
    settings = load_settings(project.settings_file)
    back_up(project, settings, tmp_path / "b.tar")
    with pytest.raises(RungError, match="overwrites nothing"):
        back_up(project, settings, tmp_path / "b.tar")
    with pytest.raises(RungError, match="is inside the project"):
        back_up(project, settings, project.root / "b.tar")
    with pytest.raises(RungError, match="not empty"):
        restore(tmp_path / "b.tar", project.root)
    with writer_lock(project.datasets / ".lock", "A freeze"), pytest.raises(Refusal, match="already running"):
        back_up(project, settings, tmp_path / "c.tar")
    assert not (tmp_path / "c.tar").exists()


def test_only_what_a_killed_backup_or_restore_left_is_removed(project: Project, tmp_path: Path) -> None:
    """A folder of the user's that is named alike stays, and one that a living program holds."""
    own, half, gone, held, other = (
        tmp_path / name
        for name in (
            ".p.20250101.backup", ".p.aaaaaaaa.backup", ".p.bbbbbbbb.restore", ".p.cccccccc.backup",
            ".the-new-place.dddddddd.restore",
        )
    )  # fmt: skip
    for room in (own, half, gone, held, other):
        room.mkdir()
        (room / ("notes.txt" if room is own else MARKER)).write_text("mine")
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert half_backups(project) == [half, gone, other]
        (project.root / ".decision.json.abc123_z.tmp").write_text("{")
        told = rung("doctor", cwd=project.root).stdout
        assert half.name in told and other.name in told and ".decision.json.abc123_z.tmp" in told, (
            "what is beside the project, and what is in it"
        )
        back_up(project, load_settings(project.settings_file), tmp_path / "b.tar")
    finally:
        os.close(descriptor)
    assert sorted(tmp_path.glob(".*.*.*")) == [own, held] and (own / "notes.txt").read_text() == "mine"


def test_only_what_commands_leave_is_named_and_nothing_that_one_is_making(project: Project) -> None:
    """The user's own hidden files stay; a workshop is half only once nobody holds the lock of its command."""
    own = [".env.old", "documents/.notes.new", "documents/.L-1", "documents/.a.md.abc123_z.tmp", ".W-hite", ".x.tmp"]
    works = {
        "datasets": ["datasets/.tmp/v002", "datasets/v003"],
        "evaluations": ["evaluations/E-001"],
        "releases": ["releases/.L-001", "releases/L-002/.trl.new"],
        "runs": ["runs/R-001/.adapter.new", "runs/R-001/.adapter.old"],
        "watch": ["watch/.W-001"],
    }
    for name in own:
        (project.root / name).parent.mkdir(exist_ok=True)
        (project.root / name).write_text("mine")
    for name in (name for names in works.values() for name in names):
        (project.root / name).mkdir(parents=True)
    for name in ("releases/L-002/release.json", "runs/R-001/run.json"):
        (project.root / name).write_text("{}")
    found = leftovers(project)
    assert [str(r.path.relative_to(project.root)) for r in found] == sorted(
        n for names in works.values() for n in names
    )
    for lock in LOCKS:
        room = lock.split("/")[0]
        with writer_lock(project.root / lock, "Work"):
            assert {r.path.relative_to(project.root).parts[0] for r in leftovers(project)} == works.keys() - {room}


def test_a_place_that_cannot_be_written_and_a_file_that_is_no_tar_are_told_plainly(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(RungError, match=r"could not be written: Not a directory"):
        back_up(project, load_settings(project.settings_file), project.root.parent / "t.jsonl" / "b.tar")
    (tmp_path / "junk.tar").write_bytes(b"no tar at all" * 90)
    with pytest.raises(InputError) as told:
        restore(tmp_path / "junk.tar", tmp_path / "q")
    assert told.value.message.endswith("is not a complete tar file.") and not (tmp_path / "q").exists()


@pytest.mark.parametrize("room", [40_000, 600_000])
def test_a_full_disk_is_told_plainly_and_leaves_nothing(project: Project, small_disk: Path, room: int) -> None:
    """Too little room for the database's copy, and for the files behind it."""
    (project.root / "large.bin").write_bytes(os.urandom(1 << 20))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - room))
    with pytest.raises(RungError, match=r"b\.tar could not be written: .*(full|space)"):
        back_up(project, load_settings(project.settings_file), small_disk / "b.tar")
    assert list(small_disk.iterdir()) == [filler]
