"""Exit 2 says that nothing was written, and nothing was: an import, its rejects, a report, what was learnt."""

import json
from pathlib import Path

import pytest
from as_logged import litellm
from clinic_phrases import line_of, phrases
from in_shell import rung

from curation.store import open_store
from workspace.folder import Project
from workspace.settings import load_settings


def files_of(folder):
    """Every file below a folder but locks, with what is in it."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".lock" and p.name != ".lock"
    }


@pytest.fixture
def log(write):
    return write([litellm(1, phrases(1, 91)[0], "E13 OS"), "{"])


def test_rejects_that_cannot_be_written_leave_no_import(project: Project, log, tmp_path):
    other = tmp_path / "letter.txt"
    other.write_text("Dear Mo\n")
    done = rung("watch", "import", str(log), "--rejects", str(other), cwd=project.root)
    assert done.returncode == 2
    assert not list((project.root / "watch").glob("W-*")) and other.read_text() == "Dear Mo\n"
    done = rung("watch", "import", str(log), "--rejects", str(tmp_path), cwd=project.root)
    assert done.returncode == 2
    assert not list((project.root / "watch").glob("W-*"))


def test_a_database_that_is_none_leaves_no_import_and_no_rejects(project: Project, log, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    project.database_file.parent.mkdir(parents=True, exist_ok=True)
    project.database_file.write_bytes(b"no database at all" * 300)
    command = ("watch", "import", str(log), "--rejects", str(rejects))
    done = rung(*command, cwd=project.root)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert [path.name for path in (project.root / "watch").iterdir()] == [".lock"] and not rejects.exists()
    project.database_file.unlink()
    assert rung(*command, cwd=project.root).returncode == 0
    assert (project.root / "watch/W-001").is_dir() and len(rejects.read_text().splitlines()) == 1


def test_a_page_that_cannot_be_written_leaves_the_older_report(house: Project, write, tmp_path):
    texts = phrases(40, 5)
    log = write([litellm(n, text, line_of(text)) for n, text in enumerate(texts)])
    assert rung("watch", "import", str(log), cwd=house.root).returncode == 0
    report = house.root / "watch" / "report.json"
    for page in (tmp_path, Path("/dev/full"), tmp_path / "log.jsonl" / "page.html"):
        done = rung("watch", "report", "--html", str(page), cwd=house.root)
        assert done.returncode == 2 and "Traceback" not in done.stderr and not report.exists(), done.stderr
    assert rung("watch", "report", cwd=house.root).returncode in (0, 1)
    before = report.read_bytes()
    assert rung("watch", "report", "--html", "/dev/full", cwd=house.root).returncode == 2
    assert report.read_bytes() == before


def test_what_was_learnt_stands_whole_or_not_at_all(house: Project, write):
    """Something stands in the way of not_learnt.jsonl: no row is queued, and the next try takes them all."""
    text = phrases(2, 91)
    log = write([litellm(n, text[n % 2], line_of(text[n % 2])) for n in range(3)])
    assert rung("watch", "import", str(log), cwd=house.root).returncode == 0
    inway = house.root / "watch" / "not_learnt.jsonl"
    inway.mkdir()
    (inway / "x").write_text("")
    done = rung("watch", "learn", cwd=house.root)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    with open_store(house, load_settings(house.settings_file, {})) as store:
        assert store.rows(role="candidates", excluded=None) == []
    (inway / "x").unlink()
    inway.rmdir()
    done = rung("watch", "learn", cwd=house.root)
    with open_store(house, load_settings(house.settings_file, {})) as store:
        assert len(store.rows(role="candidates")) == 2, done.stderr


def test_a_damaged_list_of_what_was_kept_out_is_told_by_line(house: Project, write):
    question = phrases(2, 91)[0]
    log = write([litellm(n, question, line_of(question)) for n in range(2)])
    assert rung("watch", "import", str(log), cwd=house.root).returncode == 0
    assert rung("watch", "learn", cwd=house.root).returncode == 0
    path = house.root / "watch" / "not_learnt.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    found = json.loads(rung("why", "W-001", "--json", cwd=house.root).stdout)
    assert (len(found["candidates"]), found["kept_out"]) == (1, 0), "half a line was never said"
    for bad in (b"{\n", b"[]\n", b'{"ref": "W-001:2"}\n', b'{"ref": 1, "hash": "", "reason": "", "evidence": 3}\n'):
        path.write_bytes(whole + bad)
        for command in (("watch", "learn"), ("why", "W-001"), ("why", "W-001:2")):
            done = rung(*command, cwd=house.root)
            assert "not_learnt.jsonl line 2" in done.stderr and "Traceback" not in done.stderr, done.stderr
            assert path.read_bytes() == whole + bad


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:40]), Path.unlink])
def test_no_import_is_compared_with_one_that_was_damaged(project: Project, write, damage):
    first = rung("watch", "import", str(write([litellm(1, "q", "a")])), cwd=project.root)
    assert first.returncode == 0, first.stderr
    damage(project.root / "watch/W-001/requests.jsonl.gz")
    done = rung("watch", "import", str(write([litellm(2, "r", "b")], "more.jsonl")), cwd=project.root)
    assert done.returncode == 1 and str(project.root / "watch/W-001") in done.stderr, done.stderr
    assert not (project.root / "watch/W-002").exists()
