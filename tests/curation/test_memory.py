"""What a check, an import and a search for leaks keep of a row does not grow with its text; a check holds a sample."""

import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rows_in_files import lines, row

from curation.checks import run
from curation.checks import subjects as rows_held
from curation.checks.base import Subject
from curation.checks.run import check_files, check_project
from curation.example import Example, chat_row
from curation.likeness.leaks.find import find_leaks
from curation.rows.rowfile import RowFile
from curation.store import NewRow, open_store
from curation.store.ingest import merge_rejects, read_batches
from rung.start import start_project
from rung.text import checks_text
from workspace.settings import load_settings

WORDS = [a + b for a in ("ba", "co", "di", "fu", "ge", "hi", "ka", "lo") for b in ("nu", "ris", "tem", "vol", "xa")]


def prose(rng: random.Random, size: int) -> str:
    return " ".join(rng.choice(WORDS) + str(rng.randrange(90)) for _ in range(size))


def rows_of(count: int, size: int) -> list[Example]:
    """Rows with a question of so many words, and 3 KB beside it."""
    rng = random.Random(count)
    return [Example(chat_row(prose(rng, size), prose(rng, 2), note="x" * 3_000)) for _ in range(count)]


def traced(work: Callable[..., Any], *given: Any, **more: Any) -> tuple[Any, int, int]:
    """What this returns, and the bytes that it takes at most and at its end."""
    tracemalloc.start()
    try:
        return work(*given, **more), *reversed(tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()


def test_train_files_are_passed_over_and_not_held(tmp_path: Path) -> None:
    """Leaks between files are looked for in a pass: with four times the train rows hardly more is held."""
    rng = random.Random(5)
    test = [Example(chat_row(prose(rng, 60), prose(rng, 60))) for _ in range(20)]
    find_leaks(test, test, numba=True)
    most, sizes = [], []
    for count in (500, 2_000):
        rows = [*(Example(chat_row(prose(rng, 4), prose(rng, 300))) for _ in range(count)), test[3]]
        path = lines(tmp_path / "train.jsonl", rows)
        sizes.append(path.stat().st_size)
        del rows
        report, peak, _ = traced(find_leaks, RowFile([path]), test, numba=True)
        most.append(peak)
        assert [(leak.train, leak.test) for leak in report.leaks] == [(count, 3)]
    assert most[1] - most[0] < (sizes[1] - sizes[0]) / 8, (most, sizes)


def test_of_many_leaks_the_shared_words_are_not_held(tmp_path: Path) -> None:
    """Each train row leaks: all are told, each with its evidence, whose words are made when they are asked for."""
    rng = random.Random(9)
    test = [Example(chat_row(prose(rng, 60), prose(rng, 20))) for _ in range(100)]

    def train(count: int) -> RowFile:
        """Each row is a question of the test, one word changed."""
        rows = []
        for number in range(count):
            asked = test[number % 100].question.split()
            asked[7 + number // 100] = f"changed{number}"
            rows.append(Example(chat_row(" ".join(asked), test[number % 100].answer or "")))
        return RowFile([lines(tmp_path / "train.jsonl", rows)])

    find_leaks(train(300), test, numba=True)
    held = []
    for count in (300, 1_800):
        report, _, left = traced(find_leaks, train(count), test, numba=True)
        held.append(left)
        assert len(report.leaks) == count and report.train_rows == list(range(count)) and report.leaked_test == 100
        assert [leak.test for leak in report.shown()] == sorted(list(range(100)) * (count // 100))
        for leak in (report.leaks[0], report.leaks[-1], *report.leaks[40:60]):
            assert leak.train % 100 == leak.test and leak.evidence.shared in test[leak.test].question
            assert len(leak.evidence.shared.split()) > 20
    assert held[1] - held[0] < 700 * 1_500, held


@pytest.mark.parametrize("in_project", [False, True])
def test_rows_are_checked_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_project: bool) -> None:
    """Beside the sample of the statistical checks some numbers for each row, whatever its length."""
    monkeypatch.setattr(run, "checks", lambda options: [])
    monkeypatch.setattr(rows_held, "SAMPLE", 50)
    held: list[int] = []

    def stage(title: str) -> None:
        if title == "Duplicates":
            held.append(tracemalloc.get_traced_memory()[0])

    for count in (100, 900):
        rows = rows_of(count, 20)
        test = [Example(chat_row(row.question, row.answer or "")) for row in rows[7:10]]
        if in_project:
            made = start_project(tmp_path / str(count)).project
            settings = load_settings(made.settings_file)
            with open_store(made, settings) as store:
                store.add([NewRow(row, line=n) for n, row in enumerate(rows, 1)], role="pool")
                store.add(test, role="test")
                del rows
                found, *_ = traced(check_project, store, made, settings, stage=stage)
            assert found.named("leaks").ids == ("r-000008", "r-000009", "r-000010")
        else:
            check_files([lines(tmp_path / "train.jsonl", test), lines(tmp_path / "test.jsonl", test)])
            files = [lines(tmp_path / "rows.jsonl", rows), lines(tmp_path / "test.jsonl", test)]
            del rows
            found, *_ = traced(check_files, files, stage=stage)
        assert found.named("leaks").rows == 3
    assert held[1] - held[0] < 1_000 * 800, held


def test_lines_that_cannot_be_read_are_kept_and_not_held(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "rejects.jsonl"
    broken = [f'{{"text": "a line of {n} that was cut {"x" * 3_000}' for n in range(2_000)]
    path.write_text("".join(f'{line}\n{{"text": "sound"}}\n' for line in broken))
    read_batches([path], "pool", keep_rejects=True)

    def work() -> Any:
        (batch,) = read_batches([path], "pool", keep_rejects=True)
        merge_rejects(out, [batch.path], batch.rejects)
        merge_rejects(out, ["another file"], [])
        return batch

    batch, peak, _ = traced(work)
    assert peak < path.stat().st_size
    assert len(batch.rejects) == len(batch.rows) == 2_000
    assert [(each.line, each.file) for each in batch.rejects] == [(line, str(path)) for line in range(1, 4_000, 2)]
    assert [json.loads(line)["raw"] for line in out.read_text().splitlines()] == broken


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
        held = [subject.line for subject in sampler.rows()]
        assert held == sorted(set(held)) and 5 <= len(held) <= 25 and sampler.seen == 100
        drawn.update(held)
    expected = drawn.total() / 100
    assert all(abs(drawn[line] - expected) < 5 * expected**0.5 for line in range(100))


def test_how_many_rows_were_judged_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long rows, fewer than SAMPLE of them, are sampled too."""
    monkeypatch.setattr(rows_held, "SAMPLE_BYTES", 40_000)
    monkeypatch.setattr(rows_held, "FEWEST_HELD", 5)
    for size, is_sampled in ((10, False), (200, True)):
        found = check_files([lines(tmp_path / "rows.jsonl", rows_of(size, 40))])
        assert found.kept == size and (found.sampled is not None) == is_sampled
    assert found.sampled is not None and 5 <= found.sampled < 200
    assert f"{found.sampled} rows" in " ".join(checks_text.lines(found, "rung data check", True))
