"""Argilla's dataset format: out, read by `datasets`, decided, and in again; no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from later import datasets

from curation.review import Desk, Ruling, decide, next_item, open_desk, progress
from curation.review.exchange import export_rows, import_decisions
from curation.review.gold import add_gold
from workspace.errors import InputError
from workspace.folder import Project
from workspace.settings import Settings

USER = "0a5b1f9e-7a31-4c3a-9d5b-2f6d1c1e0b42"


def take(desk: Desk, who: str, verdict: str, **more: Any) -> str:
    item = next_item(desk, who).item
    assert item is not None
    return decide(desk, item.id, item.token, who, Ruling(verdict, **more)).id


def another(tmp_path: Path, name: str, **review: Any) -> Desk:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "rung.toml").write_text("")
    return open_desk(Project(folder), Settings.model_validate({"review": review}))


def test_decisions_make_the_round_trip(make_desk: Any, project: Any, rows_of: Any, tmp_path: Path) -> None:
    project.guideline_file.write_text("# Guideline\n\nCode it.\n")
    desk = make_desk(gold=0.5)
    desk.store.add(rows_of(6), role="candidates")
    take(desk, "dana", "approve")
    take(desk, "dana", "edit", text="besser: 'ä' \u2028 [x]")
    take(desk, "mo", "reject", reason="wrong answer", remark="see 2.4")
    take(desk, "mo", "unsure")
    add_gold(desk.store, ["r-000001"], actor="dana")
    out = tmp_path / "argilla"
    assert export_rows(desk, out, form="argilla", everything=True) == 6
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["decision.responses"][:4] == [["approve"], ["edit"], ["reject"], ["unsure"]]
    assert loaded["decision.responses.users"][2] == ["mo"] and loaded["status"][4] == "pending"
    settings = json.loads((out / ".argilla" / "settings.json").read_text())
    assert settings["guidelines"].startswith("# Guideline") and settings["questions"][0]["name"] == "decision"
    assert "gold" not in json.dumps(settings) and not any("gold" in name for name in loaded.column_names)

    again = import_decisions(desk, out)
    assert (again.decided, again.conflicts) == (0, ()), "into the same project: nothing new, nothing in conflict"
    other = another(tmp_path, "other")
    with other.store:
        other.store.add(rows_of(6), role="candidates")
        found = import_decisions(other, out)
        assert (found.decided, found.open, found.conflicts) == (4, 2, ())
        rows = other.store.rows()
        theirs = desk.store.rows()
        assert [(r.state, r.payload, r.reviewer) for r in rows] == [(r.state, r.payload, r.reviewer) for r in theirs]
        assert rows[2].state == "rejected" and progress(other).reviewers[1].name == "mo"


def test_what_was_decided_in_argilla_comes_in(make_desk: Any, rows_of: Any, tmp_path: Path) -> None:
    """As `Dataset.to_datasets()` of argilla 2.8 gives it, saved by `save_to_disk`: ids of users, drafts, discards."""
    desk = make_desk()
    desk.store.add(rows_of(5), role="candidates")
    out = tmp_path / "out"
    export_rows(desk, out, form="argilla")
    records = datasets.Dataset.from_parquet(str(out / "data" / "*.parquet"), cache_dir=str(tmp_path / "c")).to_list()

    def answer(record: dict[str, Any], status: str, **given: str) -> None:
        for question in ("decision", "text", "reason", "remark"):
            value = given.get(question)
            record[f"{question}.responses"] = [value] if value else None
            record[f"{question}.responses.users"] = [USER] if value else None
            record[f"{question}.responses.status"] = [status] if value else None

    answer(records[0], "submitted", decision="approve")
    answer(records[1], "submitted", decision="edit", text="E11.42", remark="as 2.4 says")
    answer(records[2], "draft", decision="reject")
    answer(records[3], "discarded", decision="approve")
    records[0]["extra from argilla"] = "kept out"
    back = tmp_path / "back"
    datasets.Dataset.from_list(records).save_to_disk(str(back))
    with pytest.raises(InputError, match=f"{USER} has no name here") as refused:
        import_decisions(desk, back)
    assert "--user ID=NAME" in str(refused.value.hint) and progress(desk).decided == 0
    found = import_decisions(desk, back, users={USER: "dana"})
    assert (found.decided, found.open) == (2, 3)
    row = desk.store.row("r-000002")
    assert (row.state, row.example.answer, row.reviewer) == ("edited", "E11.42", "dana")
    assert import_decisions(desk, back, reviewer="dana").decided == 0


def test_two_who_differ_on_one_row(make_desk: Any, rows_of: Any, tmp_path: Path) -> None:
    for overlap, state, conflicts in ((0.0, "approved", 1), (1.0, "unsure", 0)):
        desk = another(tmp_path, f"p{overlap}", overlap=overlap)
        with desk.store:
            desk.store.add(rows_of(1), role="candidates")
            progress(desk)
            out = tmp_path / f"o{overlap}"
            export_rows(desk, out, form="argilla")
            record = datasets.Dataset.from_parquet(
                str(out / "data" / "*.parquet"), cache_dir=str(tmp_path / "c")
            ).to_list()
            record[0] |= {"decision.responses": ["approve", "reject"], "decision.responses.users": ["dana", "mo"],
                          "decision.responses.status": ["submitted", "submitted"]}  # fmt: skip
            back = tmp_path / f"b{overlap}"
            datasets.Dataset.from_list(record).save_to_disk(str(back))
            found = import_decisions(desk, back)
            assert (desk.store.row("r-000001").state, len(found.conflicts)) == (state, conflicts)


def test_a_folder_that_is_none(make_desk: Any, rows_of: Any, tmp_path: Path) -> None:
    desk = make_desk()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no dataset that"):
        import_decisions(desk, tmp_path / "empty")
    datasets.Dataset.from_list([{"a": 1}]).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(InputError, match=r"no column id"):
        import_decisions(desk, tmp_path / "set")
