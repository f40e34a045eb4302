"""What a check, an import and a search for leaks keep of a row does not grow with its text; a check holds a sample."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rows_in_files import row, text

from curation.checks import run
from curation.checks import subjects as rows_held
from curation.checks.base import Subject
from curation.checks.run import check_project
from curation.example import Example, chat_row
from curation.likeness.leaks.find import find_leaks
from curation.rows.rowfile import RowFile
from curation.store import NewRow, open_store
from curation.store.ingest import merge_rejects, read_batches
from rung.report.quality import write_quality_page
from rung.start import start_project
from rung.text import checks_text
from workspace.settings import load_settings

WORDS = [a + b for a in ("ba", "co", "di", "fu", "ge", "hi", "ka", "lo") for b in ("nu", "ris", "tem", "vol", "xa")]


def prose(rng: random.Random, size: int) -> str:
    return " ".join(rng.choice(WORDS) + str(rng.randrange(90)) for _ in range(size))


def rows_of(count: int, size: int) -> list[Example]:
    rng = random.Random(7)
    return [Example(chat_row(prose(rng, size), rng.choice(["yes", "no"]))) for _ in range(count)]


def test_train_files_are_passed_over_and_not_held(tmp_path: Path) -> None:
    """Leaks between files are looked for in a pass: with four times the train rows hardly more is held."""
    rng = random.Random(5)
    path = tmp_path / "train.jsonl"
    test = [Example(chat_row(prose(rng, 60), prose(rng, 60))) for _ in range(20)]
    find_leaks(test, test, numba=True)
    most, sizes = [], []
    for count in (500, 2_000):
        rows = [*(Example(chat_row(prose(rng, 4), prose(rng, 300))) for _ in range(count)), test[3]]
        path.write_text("".join(row.to_json() + "\n" for row in rows))
        sizes.append(path.stat().st_size)
        del rows
        tracemalloc.start()
        report = find_leaks(RowFile([path]), test, numba=True)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert [(leak.train, leak.test) for leak in report.leaks] == [(count, 3)]
    assert most[1] - most[0] < (sizes[1] - sizes[0]) / 8, (most, sizes)


def test_rows_on_their_way_into_the_store_are_not_held(tmp_path: Path) -> None:
    rows, files = rows_of(3000, 60), []
    for part in range(2):
        files.append(tmp_path / f"{part}.jsonl")
        files[-1].write_text("".join(row.to_json() + "\n" for row in rows[part::2]))
    read_batches([files[0]], "pool")
    tracemalloc.start()
    try:
        batches = read_batches(files, "pool")
        assert tracemalloc.get_traced_memory()[0] < files[0].stat().st_size / 4
    finally:
        tracemalloc.stop()
    for part in (1, 0, 1):
        found = batches[part].rows
        assert [(found.where(at)[1], row) for at, row in enumerate(found)] == list(enumerate(rows[part::2], 1))
        assert len(found) == 1500


class Made:
    """Train rows that are made when they are asked for: each is a question of the test, one word changed."""

    def __init__(self, count: int, test: list[Example]) -> None:
        self.count, self.test = count, test

    def __iter__(self) -> Iterator[Example]:
        return (self._row(index) for index in range(self.count))

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        return [self._row(index) for index in indices]

    def _row(self, index: int) -> Example:
        item = self.test[index % len(self.test)]
        asked = item.question.split()
        asked[7 + index // len(self.test) % 40] = f"changed{index}"
        return Example(chat_row(" ".join(asked), item.answer or ""))


def test_of_many_leaks_the_shared_words_are_not_held() -> None:
    """Each train row leaks: all are told, each with its evidence, whose words are made when they are asked for."""
    rng = random.Random(9)
    test = [Example(chat_row(prose(rng, 60), prose(rng, 20))) for _ in range(100)]
    find_leaks(Made(300, test), test, numba=True)
    held = []
    for count in (300, 1_800):
        tracemalloc.start()
        report = find_leaks(Made(count, test), test, numba=True)
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(report.leaks) == count and report.train_rows == list(range(count)) and report.leaked_test == 100
        assert [leak.test for leak in report.shown()] == sorted(list(range(100)) * (count // 100))
        for leak in (report.leaks[0], report.leaks[-1], *report.leaks[40:60]):
            assert leak.train % 100 == leak.test and leak.evidence.shared in test[leak.test].question
            assert len(leak.evidence.shared.split()) > 20
    assert held[1] - held[0] < 700 * 1_500, held


def test_rows_of_a_project_are_checked_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the sample of the statistical checks some numbers for each row, whatever its length."""
    monkeypatch.setattr(run, "checks", lambda options: [])
    monkeypatch.setattr(rows_held, "SAMPLE", 50)
    held: dict[str, list[int]] = {}
    for count in (200, 1_700):
        rng = random.Random(count)
        made = start_project(tmp_path / str(count)).project
        settings = load_settings(made.settings_file)
        rows = [Example(chat_row(prose(rng, 60), prose(rng, 300))) for _ in range(count)]
        test = [Example(chat_row(row.question, row.answer or "")) for row in rows[7:10]]
        with open_store(made, settings) as store:
            store.add([NewRow(row, line=n) for n, row in enumerate(rows, 1)], role="pool")
            store.add(test, role="test")
            del rows

            def stage(title: str) -> None:
                held.setdefault(title, []).append(tracemalloc.get_traced_memory()[0])

            tracemalloc.start()
            found = check_project(store, made, settings, stage=stage)
            tracemalloc.stop()
        (leaks,) = (finding for finding in found.findings if finding.name == "leaks")
        assert leaks.ids == ("r-000008", "r-000009", "r-000010") and leaks.rows == 3
    few, many = held["Duplicates"]
    assert many - few < 250 * 1_500 + (1 << 20), held


def test_lines_that_cannot_be_read_are_kept_and_not_held(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "rejects.jsonl"
    broken = [f'{{"text": "a line of {n} that was cut {"x" * 600}' for n in range(6_000)]
    path.write_text("".join(f'{line}\n{{"text": "sound"}}\n' for line in broken))
    read_batches([path], "pool", keep_rejects=True)
    tracemalloc.start()
    try:
        (batch,) = read_batches([path], "pool", keep_rejects=True)
        merge_rejects(out, [batch.path], batch.rejects)
        merge_rejects(out, ["another file"], [])
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size
    finally:
        tracemalloc.stop()
    assert len(batch.rejects) == len(batch.rows) == 6_000
    assert [each.line for each in batch.rejects] == list(range(1, 12_000, 2))
    assert [each.raw.decode() for each in batch.rejects[5_990:]] == broken[5_990:]
    assert batch.rejects[-1].reason and batch.rejects[0].file == str(path)
    assert [json.loads(line)["raw"] for line in out.read_text().splitlines()] == broken


MEMORY = """
import re, sys
from pathlib import Path
from curation.checks import subjects
from curation.checks.run import check_files
subjects.SAMPLE = 1000
found = check_files([Path(sys.argv[1])])
print(found.read, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_texts_are_not_held_when_a_file_is_checked(tmp_path):
    """3 times the rows, of 8 KB each: what grows is a fingerprint a row, far below the text."""
    peaks = []
    for count in (1_000, 3_000):
        rng = random.Random(count)
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for i in range(count):
                file.write(json.dumps({**row(f"{text(rng, 30)} {i}", f"the answer is {i}"), "note": "x" * 8000}) + "\n")
        out = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, out.stdout.split())
        assert rows == count
        peaks.append(peak)
    text_kb = (path.stat().st_size - (tmp_path / "1000.jsonl").stat().st_size) / 1024
    assert peaks[1] - peaks[0] < 0.5 * text_kb, (peaks, text_kb)


def test_a_sample_of_long_rows_is_smaller_and_every_row_is_as_likely(monkeypatch):
    monkeypatch.setattr(rows_held, "SAMPLE", 40)
    monkeypatch.setattr(rows_held, "SAMPLE_BYTES", 250)
    monkeypatch.setattr(rows_held, "FEWEST_HELD", 5)
    one = Example(row("q", "a"))
    drawn = Counter()
    for seed in range(400):
        sampler = rows_held.Sampler(seed)
        for line in range(100):
            sampler.add(Subject(one, "f", line), 10)
        lines = [subject.line for subject in sampler.rows()]
        assert lines == sorted(set(lines)) and 5 <= len(lines) <= 25 and sampler.seen == 100
        drawn.update(lines)
    expected = drawn.total() / 100
    assert all(abs(drawn[line] - expected) < 5 * expected**0.5 for line in range(100))


def test_the_check_of_a_project_says_how_many_rows_it_judged(tmp_path, monkeypatch):
    """Long rows, fewer than SAMPLE of them, are sampled too, and the terminal is told."""
    monkeypatch.setattr(rows_held, "SAMPLE_BYTES", 40_000)
    monkeypatch.setattr(rows_held, "FEWEST_HELD", 5)
    project = start_project(tmp_path / "p").project
    settings = load_settings(project.settings_file)
    rng, counts = random.Random(4), []
    with open_store(project, settings) as store:
        for size in (30, 60):
            rows = [Example(row(text(rng, 40), text(rng, 100))) for _ in range(size)]
            store.add([NewRow(each, line=n) for n, each in enumerate(rows, 1)], role="pool")
            found = check_project(store, project, settings)
            counts.append((found.kept, found.sampled))
    assert counts[0] == (30, None)
    assert counts[1][0] == 90 and counts[1][1] is not None and 5 <= counts[1][1] < 90
    page = tmp_path / "page.html"
    write_quality_page(page, found)
    for told in (*checks_text.lines(found, "rung data check", True),), page.read_text().splitlines():
        assert f"{counts[1][1]} rows" in " ".join(told)
