"""Import, review, freeze and undo by command, as people and scripts run them."""

import json
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from freezing import rows_of
from rows_in_files import lines

from curation.example import Example, chat_row
from curation.store import open_store
from workspace.settings import load_settings


def test_import_counts_every_line_and_changes_nothing_the_second_time(rung, told, project):
    rows = rows_of(20)
    near = [rows[0].with_answer("answer 0")]
    lines(Path("a.jsonl"), [row.row for row in [*rows, *near, rows[1]]], '{"mesages": []}\nnot json\n')
    assert told("data", "import", "a.jsonl", wanted=2)["error"]["hint"]
    (good,) = told("data", "import", "a.jsonl", "--rejects", "rejects.jsonl")["files"]
    assert [good[name] for name in ("kept", "exact", "near", "rejected")] == [20, 2, 0, 2]
    assert [json.loads(line)["line"] for line in (project.root / "rejects.jsonl").read_text().splitlines()] == [23, 24]
    again = told("data", "import", "a.jsonl", "--rejects", "rejects.jsonl")["files"][0]
    assert (again["kept"], again["known"], again["rejected"]) == (0, 22, 2)
    lines(Path("b.jsonl"), [row.row for row in rows_of(1, 50)], "{}\n")
    rung("data", "import", "b.jsonl", "--rejects", "rejects.jsonl")
    files = [json.loads(line)["file"] for line in (project.root / "rejects.jsonl").read_text().splitlines()]
    assert files == ["a.jsonl", "a.jsonl", "b.jsonl"]
    (project.root / "mine.jsonl").write_text("precious\n")
    refused = told("data", "import", "b.jsonl", "--rejects", "mine.jsonl", wanted=2)
    assert refused["error"]["where"] == "mine.jsonl" and (project.root / "mine.jsonl").read_text() == "precious\n"


def test_review_by_script(rung, told, imported, ruled, project):
    (project.root / "guideline.md").write_text("# Guide\n")
    imported("c.jsonl", rows_of(2), "--as", "candidates")
    item = told("review", "next", "--reviewer", "A")
    assert {"id", "token", "messages", "source", "guideline", "findings"} <= set(item)
    assert item["source"] == "c.jsonl:1" and item["guideline"]["version"] == 1
    (project.root / "new.txt").write_text("a better answer\n")
    rung("review", "decide", item["id"], "approve", "--token", "x", "--reviewer", "A", wanted=1)
    rung("review", "decide", item["id"], "edit", "--token", item["token"], "--reviewer", "A", wanted=2)
    _, done = ruled("edit", item, "--text-file", "new.txt", "--reason", "1", reviewer="A")
    assert done["state"] == "edited"
    rung("review", "undo", item["id"], "--reviewer", "A")
    rung("review", "undo", item["id"], "--reviewer", "A", wanted=1)
    assert '"AB"' in rung("review", "undo", item["id"], "--reviewer", "AB", wanted=2).stderr
    other = told("review", "next", "--reviewer", "A")
    row = {"messages": [*other["messages"][:-1], {"role": "assistant", "content": "whole"}], "code": "X"}
    (project.root / "row.json").write_text(json.dumps(row, indent=1))
    (project.root / "wrong.json").write_text('{"mesages": []}')
    for wrong in (
        ("approve", "--text-file", "new.txt"),
        ("edit", "--text-file", "new.txt", "--row-file", "row.json"),
        ("edit", "--row-file", "wrong.json"),
    ):
        rung("review", "decide", other["id"], *wrong, "--token", other["token"], "--reviewer", "A", wanted=2)
    ruled("edit", other, "--row-file", "row.json", reviewer="A")
    status = told("review", "status")
    assert status["states"]["edited"] == 1 and status["states"]["pending"] == 1
    last = told("review", "next", "--reviewer", "B")
    assert told("review", "next", "--reviewer", "C") == {"id": None, "waiting": 1}
    ruled("reject", last, "--reason", "2", reviewer="B")
    status = told("review", "status")
    assert (status["decided"], status["total"]) == (2, 2)
    assert [person["name"] for person in status["reviewers"]] == ["A", "B"]
    assert rung("review").stdout.splitlines()[-1] == rung("status").stdout.splitlines()[-1]
    missing = told("review", "decide", "r-999999", "approve", "--token", "x", wanted=2)
    assert missing["error"]["found"] == "r-999999"


def test_decisions_by_mail(rung, told, imported, project):
    """A row as long as rows may be goes out to CSV and comes back, too."""
    long = Example(chat_row("word " * 60_000, "yes"))
    imported("c.jsonl", [*rows_of(4), long], "--as", "candidates")
    assert "new/deep" in rung("review", "export", "-o", "new/deep/out.csv").stderr, "a folder that is made is told"
    assert not rung("review", "export", "-o", "new/deep/more.csv").stderr
    for name in ("out.csv", "out.jsonl"):
        rung("review", "export", "-o", name, "--assign", "mo")
    lines = [json.loads(line) for line in (project.root / "out.jsonl").read_text().splitlines()]
    lines[0]["decision"], lines[1]["decision"], lines[1]["text"] = "approve", "edit", "by mail"
    (project.root / "out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = told("review", "import", "out.jsonl")
    assert found == {"decided": 2, "open": 3, "conflicts": []}
    text = (project.root / "out.csv").read_text().replace("answer 0,,,,", "answer 0,reject,,2,")
    text = text.replace("answer 2,,,,", "answer 2,reject,,2,").replace(",yes,,,,", ",yes,approve,,,")
    (project.root / "out.csv").write_text(text)
    clash = rung("review", "import", "out.csv", wanted=1)
    assert all(word in clash.stdout for word in ("mo", "r-000001", "approved", "reject"))
    status = told("review", "status")
    assert [status["states"][each] for each in ("rejected", "edited", "approved")] == [1, 1, 2]
    (mo,) = status["reviewers"]
    assert (mo["name"], mo["decided"], mo["by_sheet"]) == ("mo", 4, 4)
    assert (mo["minutes"], mo["rows_an_hour"], status["rows_an_hour"]) == (0, None, None), "a sheet has no pace"
    (project.root / "bad.jsonl").write_text(
        '{"id": "r-000003", "decision": "aprove"}\n{"id": "r-9", "decision": "reject"}\n'
    )
    bad = told("review", "import", "bad.jsonl", wanted=2)["error"]["problems"]
    assert [each["where"] for each in bad] == ["bad.jsonl:1", "bad.jsonl:2"] and "aprove" in bad[0]["message"]


def test_invite_prints_a_link(rung, project):
    link = rung("review", "invite", "dana", "--role", "lead", "--days", "2").stdout.strip()
    assert link.startswith("http://127.0.0.1:") and len(link.split("/enter/")[1]) > 30
    said = rung("review", "invite", "dana", "-o", "dana.link").stdout
    kept = project.root / "dana.link"
    assert "/enter/" not in said and "/enter/" in kept.read_text() and stat.S_IMODE(kept.stat().st_mode) == 0o600
    rung("review", "invite", "dana", "--revoke")
    settings = load_settings(project.settings_file)
    with open_store(project, settings) as store:
        assert [event.actor for event in store.events(kind="revoke")] == [settings.project.person]
    wrong = rung("review", "invite", "x", "--role", "leed", wanted=2).stderr
    assert "leed" in wrong and '"lead"' in wrong


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("nosuch.csv", None, ["nosuch.csv"]),
        ("oot.csv", None, ["oot.csv", '"out.csv"']),
        ("latin.csv", b"id,decision\nr-000001,caf\xe9\n", ["latin.csv line 2"]),
        ("bad.jsonl", b'{"id": "r-1"}\n{"id"\n[3]\n' + b"[" * 9000, ["bad.jsonl:2", "bad.jsonl:3", "bad.jsonl:4"]),
    ],
)
def test_a_file_of_decisions_that_cannot_be_read_is_named_with_every_line(
    rung, imported, project, name: str, data: bytes | None, said: list[str]
):
    imported("c.jsonl", rows_of(2), "--as", "candidates")
    rung("review", "export", "-o", "out.csv")
    if data is not None:
        (project.root / name).write_bytes(data)
    told = rung("review", "import", name, wanted=2).stderr
    assert all(datum in told for datum in said) and "Errno" not in told and "bad.jsonl:1" not in told


def test_a_failed_sample_is_said_at_once_and_everywhere(rung, told, imported, ruled, project):
    """By the decision itself, while the sample goes on; then in both states, at the freeze and on the card."""
    (project.root / "rung.toml").write_text("[review]\nsample = 4\n[project]\nperson = 'dana'\n")
    imported("pool.jsonl", rows_of(40))
    notes = []
    for number in range(4):
        notes.append("note" in ruled("reject" if number == 1 else "approve")[1])
        (sample,) = told("review", "status")["samples"]
        assert sample["failed"] == (number >= 1)
    assert notes == [False, True, False, False]
    stages = {each["name"]: each for each in told("status")["stages"]}
    assert stages["review"]["state"] == "needs_you" and stages["review"]["command"] == "rung review sample"
    tried = told("data", "freeze", "--dry-run")
    assert tried["sizes"]["train"] and not (project.root / "datasets" / "v001").exists()
    made = told("data", "freeze")
    for samples in (tried["samples"], made["review"]["samples"]):
        assert [(each["failed"], each["found"], each["allowed"]) for each in samples] == [(True, 1, 0)]
    marked = [line for line in rung("review", "status").stdout.splitlines() if "✗" in line]
    assert marked and "4 of 4" in marked[0], marked
    card = (project.root / "datasets" / "v001" / "README.md").read_text()
    assert next(line for line in card.splitlines() if "4 of 4" in line).endswith("**")  # set apart: it failed


def test_a_sample_of_rows_that_are_not_frozen_stands_on_no_card(rung, told, imported, ruled, project):
    (project.root / "rung.toml").write_text("[review]\nsample = 4\n")
    imported("test.jsonl", rows_of(3), "--as", "test")
    imported("pool.jsonl", rows_of(40, 100))
    rung("data", "freeze", wanted=1)
    for _ in range(3):
        ruled("approve")
    made = told("data", "freeze", "--test-only")
    assert [(each["role"], each["found"]) for each in made["review"]["samples"]] == [("test", 0)]


@pytest.mark.parametrize("verdict", ["unsure", "flag"])
def test_one_person_alone_can_always_finish(rung, told, imported, ruled, project, verdict: str):
    """A row that the project's own person is not sure of comes back last, on its own, by name, and after an undo."""
    (project.root / "rung.toml").write_text("[project]\nperson = 'dana'\n[review]\npool = 'all'\n")
    imported("test.jsonl", rows_of(3), "--as", "test")
    first = ruled(verdict)[0]["id"]
    assert first not in [ruled("approve")[0]["id"] for _ in range(2)]
    item = told("review", "next")
    assert item["id"] == told("review", "next", "--row", first)["id"] == first
    assert [finding["kind"] for finding in item["findings"]] == ["later"]
    ruled(verdict)
    assert told("review", "undo", first)["state"] == "pending"
    ruled("approve", told("review", "next", "--row", first))
    assert told("review", "next") == {"id": None, "waiting": 0}
    rung("data", "freeze", "--test-only")


def test_with_others_about_a_row_waits_for_them_and_the_way_out_is_said(rung, told, imported, ruled, project):
    (project.root / "rung.toml").write_text("[project]\nperson = 'dana'\n")
    imported("c.jsonl", rows_of(1), "--as", "candidates")
    rung("review", "invite", "mo")
    item, _ = ruled("unsure")
    for more in ((), ("--row", item["id"])):
        nothing = told("review", "next", *more)
        assert nothing == {"id": None, "waiting": 1, "mine": [item["id"]]}
        assert f"rung review undo {item['id']}" in rung("review", "next", *more).stdout
    rung("review", "undo", item["id"])
    assert told("review", "next")["id"] == item["id"]


def test_a_frozen_version_has_one_hash_everywhere(rung, told, imported, project):
    """In text, status, card and log, frozen now or before; each split's own hash is the manifest's."""
    (project.root / "rung.toml").write_text('[review]\npool = "trust"\n[project]\nperson = "dana"\n')
    for role, rows in (("test", rows_of(20)), ("pool", rows_of(60, 20))):
        imported(f"{role}.jsonl", rows, "--as", role)
    assert told("status")["dataset"] is None
    first, again = (rung("data", "freeze").stdout for _ in range(2))
    folder = project.root / "datasets" / "v001"
    whole = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    card = (folder / "README.md").read_text()
    for place in (first, again, card, rung("why", "v001").stdout):
        assert whole[:8] in place, place
    assert told("status")["dataset"] == {"version": "v001", "sha256": whole}
    for split in json.loads((folder / "manifest.json").read_text())["splits"].values():
        assert split["sha256"] == sha256((folder / split["file"]).read_bytes()).hexdigest()
        assert split["sha256"][:8] in card


def test_a_review_again_by_script(rung, told, imported, ruled, project):
    project.guideline_file.write_text("# G\n\nCode it.\n")
    rows = [Example(chat_row(f"{word} case", "A1")) for word in ("asthma", "fracture", "fever")]
    imported("c.jsonl", rows, "--as", "candidates")
    for _ in rows:
        ruled("approve", reviewer="mo")
    rung("review", "again", wanted=1)
    project.guideline_file.write_text("# G\n\nCode it.\nAsthma first.\n")
    dry = told("review", "again", "--word", "Asthma", "--dry-run")
    assert list(dry["rows"].values()) == [["asthma"]] and dry["change"] is None
    assert len(told("review", "again", "--all", "--dry-run")["rows"]) == 3, "as scripts ask"
    asked = json.loads(rung("review", "again", "--json", wanted=2).stdout)["error"]
    assert (asked["where"], asked["found"]) == ("--word", "3"), "all older rows only with --yes"
    assert told("review", "status")["older_guideline"] == 3
    rung("review", "again", "--word", "!", wanted=2)
    done = told("review", "again", "--word", "Asthma", "--yes")
    assert (done["guideline"], done["older"], len(done["rows"])) == (2, 3, 1)
    with open_store(project, load_settings(project.settings_file)) as store:
        assert [event.detail["rows"] for event in store.events(kind="guideline_review")] == [1]
    assert told("review", "next", "--reviewer", "kim")["queued"] == "guideline v2"
    rung("data", "undo")
    assert told("review", "status")["states"]["approved"] == 3
    assert told("review", "again", "--word", "Asthma", "--yes")["change"] == done["change"] + 1
    assert told("review", "status")["states"]["pending"] == 1
    assert len(told("review", "again", "--yes")["rows"]) == 2, "the third one is open already"


def test_a_row_that_was_taken_out_is_not_reopened(rung, imported, project):
    """Nobody would be given it, though it was told as sent to review."""
    imported("c.jsonl", rows_of(2), "--as", "candidates")
    with open_store(project, load_settings(project.settings_file)) as store:
        store.exclude(["r-000001"], "exact duplicate", "duplicates")
    refused = rung("review", "reopen", "r-000001", "r-000002", wanted=2).stderr
    assert "r-000001" in refused and "exact duplicate" in refused and "r-000002" not in refused
    rung("review", "reopen", "r-000002")


def state(told) -> dict[str, Any]:
    """Return the rows' state as a user sees it."""
    return {"status": told("status")["stages"][2:5], "review": told("review", "status")["states"]}


@pytest.mark.parametrize("role", ["pool", "candidates", "train", "test"])
def test_the_last_import_is_taken_back_whole(rung, told, imported, role: str):
    """Also with duplicates inside and beside it, with a sample drawn, and twice; the same file comes in again."""
    imported("a.jsonl", rows_of(20))
    before = state(told)
    lines(Path("b.jsonl"), [row.row for row in [*rows_of(30, 15), *rows_of(2, 16)]])
    first = told("data", "import", "b.jsonl", "--as", role)["files"][0]
    assert state(told) != before
    assert "b.jsonl" in told("data", "undo")["undone"]
    assert state(told) == before
    again = told("data", "import", "b.jsonl", "--as", role)["files"][0]
    assert [again[name] == first[name] for name in ("kept", "exact", "near", "known")] == [True] * 4
    rung("data", "undo")
    assert state(told) == before
    rung("data", "undo")
    assert sum(state(told)["review"].values()) == 0
    assert "undo" in rung("data", "undo", wanted=2).stderr


def test_what_something_stands_on_stays(rung, told, imported, ruled, project):
    """Frozen rows, decided rows; an import that came later is undone first."""
    project.settings_file.write_text('[review]\npool = "trust"\n')
    imported("a.jsonl", rows_of(40))
    rung("data", "freeze", "--test-only")
    error = told("data", "undo", wanted=1)["error"]
    assert error["where"] == "a.jsonl" and "v001" in error["message"]
    imported("b.jsonl", rows_of(3, 40), "--as", "candidates")
    item, _ = ruled("approve")
    error = told("data", "undo", wanted=1)["error"]
    assert error["where"] == "b.jsonl" and item["id"] in error["message"]
    imported("c.jsonl", rows_of(5, 50))
    rung("data", "undo")
    assert told("review", "status")["states"].get("approved") == 1


def test_a_sample_that_people_see_stands_as_it_was_drawn(rung, imported, project):
    project.settings_file.write_text("[review]\nsample = 10\n")
    imported("a.jsonl", rows_of(20))
    imported("b.jsonl", rows_of(20, 30))
    rung("review", "next", "--reviewer", "dana")
    rung("data", "undo", wanted=1)


def test_a_folder_is_taken_only_where_that_was_asked_for(rung, told, project):
    Path("in/deep").mkdir(parents=True)
    lines(Path("in/a.jsonl"), [row.row for row in rows_of(5)])
    lines(Path("in/deep/b.jsonl"), [row.row for row in rows_of(5, 10)])
    error = told("data", "import", "in", wanted=2)["error"]
    assert error["where"] == "in" and "2 data files" in error["message"]
    assert len(told("data", "import", "in", "--dry-run")["files"]) == 2 and not project.database_file.exists()
    made = told("data", "import", "in", "--recursive")["files"]
    assert [each["kept"] for each in made] == [5, 5]
    (sample,) = told("review", "status")["samples"]
    assert (sample["plan"]["population"], sample["plan"]["replaces"]) == (10, None), "files of one import, one sample"


@pytest.mark.parametrize("words", [("data", "import"), ("data", "check"), ("data", "convert", "-o", "o.jsonl")])
def test_a_loop_of_links_is_an_error_in_words(rung, project, words: tuple[str, ...]):
    (project.root / "a.jsonl").symlink_to("b.jsonl")
    (project.root / "b.jsonl").symlink_to("a.jsonl")
    done = rung(*words, "a.jsonl", wanted=2)
    assert "a.jsonl" in done.stderr and "Traceback" not in done.stderr


def test_named_columns_are_remembered_by_the_header(rung, told, project):
    for name, first in (("a.csv", "one"), ("b.csv", "two"), ("c.csv", "three")):
        (project.root / name).write_text(f"id,said,team\n1,{first} card,cards\n2,{first} pin,pins\n")
    (project.root / "d.csv").write_text("id,words,team\n1,where,cards\n")
    rung("data", "import", "a.csv", wanted=2)
    rung("data", "import", "a.csv", "--question", "said", "--answer", "team")
    (shown,) = told("data", "import", "b.csv", "--dry-run")["files"]
    assert shown["first"][0] == {"question": "two card", "answer": "cards"}
    assert told("data", "import", "b.csv", "c.csv")["files"][1]["kept"] == 2
    rung("data", "import", "b.csv", "d.csv", wanted=2)  # one of them has other columns
