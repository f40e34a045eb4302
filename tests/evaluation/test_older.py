"""Older versions whose files are not as they were frozen."""

import pytest

from chat.scripted import Scripted
from curation.manifest import read_manifest
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from evaluation.looks import standing
from evaluation.older import older_tests
from evaluation.tuned import run_evaluation
from workspace.errors import Refusal

VERSIONS = ("v999", "v1000", "v1001")


@pytest.mark.parametrize("damage", [b'{"messages": [', b"\xff\xfe\n", b'{"text": "nothing of before"}\n'])
def test_an_older_scored_test_set_that_was_changed_is_refused_by_name(project, settings, model, kit, damage):
    run_baseline(open_bench(project, settings, model), arms_named(["base", "prompt"]))
    run_evaluation(open_bench(project, settings, Scripted(kit.reply, name="t")), "R-001", "Topic.")
    folder = kit.freeze_by_hand(project, "v002", test=kit.rows_of(kit.places, " today"))
    bench = open_bench(project, settings, model)
    assert bench.dataset == folder
    assert standing(project, settings, bench.test_sha256).runs == ("R-001 on v001",)
    old = project.datasets / "v001" / "test.jsonl"
    old.write_bytes(damage)
    with pytest.raises(Refusal, match=r"test\.jsonl: changed since it was frozen"):
        standing(project, settings, bench.test_sha256)


def test_versions_come_oldest_first_beyond_three_digits(project, kit):
    made = [kit.freeze_by_hand(project, v, test=kit.rows_of(kit.places, " " * n)) for n, v in enumerate(VERSIONS, 1)]
    shas = [read_manifest(folder).splits["test"].sha256 for folder in made]
    assert [older.version for older in older_tests(project, shas[2], shas, ())] == ["v999", "v1000"]
