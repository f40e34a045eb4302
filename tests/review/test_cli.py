from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from curation.store import open_store
from workspace.settings import load_settings


def write(path: Path, rows: list[Any], extra: str = "") -> None:
    path.write_text("".join(row.to_json() + "\n" for row in rows) + extra)


def test_import_counts_every_line_and_changes_nothing_the_second_time(rung: Any, project: Any, rows_of: Any) -> None:
    rows = rows_of(20)
    near = [rows[0].with_answer("answer 0")]
    write(project.root / "a.jsonl", [*rows, *near, rows[1]], '{"mesages": []}\nnot json\n')
    bad = rung("data", "import", "a.jsonl", wanted=2)
    assert "line 23" in bad.stderr and "line 24" in bad.stderr and 'Did you mean "messages"' in bad.stderr
    asked = rung("data", "import", "a.jsonl", "--json", wanted=2)
    assert json.loads(asked.stdout)["error"]["hint"]
    good = rung("data", "import", "a.jsonl", "--rejects", "rejects.jsonl")
    assert good.stdout.startswith("24 lines: 20 kept, 2 duplicates removed (2 exact, 0 near), 2 unreadable\n")
    assert [json.loads(line)["line"] for line in (project.root / "rejects.jsonl").read_text().splitlines()] == [23, 24]
    again = json.loads(rung("data", "import", "a.jsonl", "--rejects", "rejects.jsonl", "--json").stdout)["files"][0]
    assert (again["kept"], again["known"], again["rejected"]) == (0, 22, 2)
    write(project.root / "b.jsonl", rows_of(1, 50), "{}\n")
    rung("data", "import", "b.jsonl", "--rejects", "rejects.jsonl")
    files = [json.loads(line)["file"] for line in (project.root / "rejects.jsonl").read_text().splitlines()]
    assert files == ["a.jsonl", "a.jsonl", "b.jsonl"]
    (project.root / "mine.jsonl").write_text("precious\n")
    refused = rung("data", "import", "b.jsonl", "--rejects", "mine.jsonl", wanted=2)
    assert "not a file of rejects" in refused.stderr and (project.root / "mine.jsonl").read_text() == "precious\n"


def test_review_by_script(rung: Any, project: Any, rows_of: Any) -> None:
    (project.root / "guideline.md").write_text("# Guide\n")
    write(project.root / "c.jsonl", rows_of(2))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    item = json.loads(rung("review", "next", "--reviewer", "A", "--json").stdout)
    assert {"id", "token", "messages", "source", "guideline", "findings"} <= set(item)
    assert item["source"] == "c.jsonl:1" and item["guideline"]["version"] == 1
    (project.root / "new.txt").write_text("a better answer\n")
    stale = rung("review", "decide", item["id"], "approve", "--token", "x", "--reviewer", "A", wanted=1)
    assert stale.stderr
    rung("review", "decide", item["id"], "edit", "--token", item["token"], "--reviewer", "A", wanted=2)
    done = rung(
        "review", "decide", item["id"], "edit", "--token", item["token"], "--reviewer", "A",
        "--text-file", "new.txt", "--reason", "1", "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["state"] == "edited"
    rung("review", "undo", item["id"], "--reviewer", "A")
    rung("review", "undo", item["id"], "--reviewer", "A", wanted=1)
    other = json.loads(rung("review", "next", "--reviewer", "A", "--json").stdout)
    row = {"messages": [*other["messages"][:-1], {"role": "assistant", "content": "whole"}], "code": "X"}
    (project.root / "row.json").write_text(json.dumps(row, indent=1))
    rung(
        "review", "decide", other["id"], "edit", "--token", other["token"], "--reviewer", "A", "--row-file", "row.json"
    )
    status = json.loads(rung("review", "status", "--json").stdout)
    assert status["states"]["edited"] == 1 and status["states"]["pending"] == 1
    last = json.loads(rung("review", "next", "--reviewer", "B", "--json").stdout)
    assert json.loads(rung("review", "next", "--reviewer", "C", "--json").stdout) == {"id": None, "waiting": 1}
    rung(
        "review",
        "decide",
        last["id"],
        "reject",
        "--token",
        last["token"],
        "--reviewer",
        "B",
        "--reason",
        "wrong_answer",
    )
    shown = rung("review").stdout
    assert shown.startswith("2 of 2 decided, by A and B\n")
    assert shown.splitlines()[-1] == rung("status").stdout.splitlines()[-1]
    assert rung("review", "decide", "r-999999", "approve", "--token", "x", wanted=2).stderr.startswith("No row")


def test_decisions_by_mail(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "c.jsonl", rows_of(4))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    for name in ("out.csv", "out.jsonl"):
        rung("review", "export", "-o", name, "--assign", "mo")
    lines = [json.loads(line) for line in (project.root / "out.jsonl").read_text().splitlines()]
    lines[0]["decision"], lines[1]["decision"], lines[1]["text"] = "approve", "edit", "by mail"
    (project.root / "out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = json.loads(rung("review", "import", "out.jsonl", "--json").stdout)
    assert found == {"decided": 2, "open": 2, "conflicts": []}
    text = (
        (project.root / "out.csv")
        .read_text()
        .replace("answer 0,,,,", "answer 0,reject,,2,")
        .replace("answer 2,,,,", "answer 2,reject,,2,")
    )
    (project.root / "out.csv").write_text(text)
    clash = rung("review", "import", "out.csv", wanted=1)
    assert all(word in clash.stdout for word in ("mo", "r-000001", "approved", "reject"))
    status = json.loads(rung("review", "status", "--json").stdout)
    assert (status["states"]["rejected"], status["states"]["edited"], status["reviewers"][0]["name"]) == (1, 1, "mo")
    (project.root / "bad.jsonl").write_text(
        '{"id": "r-000003", "decision": "aprove"}\n{"id": "r-9", "decision": "reject"}\n'
    )
    bad = rung("review", "import", "bad.jsonl", wanted=2)
    assert 'bad.jsonl:1: "aprove" is not a decision' in bad.stderr and "bad.jsonl:2" in bad.stderr


def test_freeze_from_the_shell(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "a.jsonl", rows_of(60))
    rung("data", "import", "a.jsonl")
    assert "wait for review" in rung("data", "freeze", wanted=1).stderr
    (project.root / "rung.toml").write_text('[review]\npool = "trust"\n')
    assert rung("data", "freeze", "--dry-run").stdout.startswith("Would freeze: 48 train")
    done = json.loads(rung("data", "freeze", "--json").stdout)
    assert done["version"] == "v001" and sum(split["rows"] for split in done["splits"].values()) == 60
    write(project.root / "b.jsonl", rows_of(10, 500))
    rung("data", "import", "b.jsonl")
    again = json.loads(rung("data", "freeze", "--json").stdout)
    assert again["version"] == "v002" and sum(split["rows"] for split in again["splits"].values()) == 70


def test_invite_prints_a_link(rung: Any, project: Any) -> None:
    link = rung("review", "invite", "dana", "--role", "lead", "--days", "2").stdout.strip()
    assert link.startswith("http://127.0.0.1:") and len(link.split("/enter/")[1]) > 30
    said = rung("review", "invite", "dana", "-o", "dana.link").stdout
    kept = project.root / "dana.link"
    assert "/enter/" not in said and "/enter/" in kept.read_text() and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "is revoked" in rung("review", "invite", "dana", "--revoke").stdout
    settings = load_settings(project.settings_file)
    with open_store(project, settings) as store:
        assert [event.actor for event in store.events(kind="revoke")] == [settings.project.person]
    assert "did you mean" in rung("review", "invite", "x", "--role", "leed", wanted=2).stderr.lower()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("nosuch.csv", None, "nosuch.csv: no such file."),
        ("oot.csv", None, 'Did you mean "out.csv"?'),
        ("latin.csv", b"id,decision\nr-000001,caf\xe9\n", "latin.csv line 2: not UTF-8 text."),
        ("bad.jsonl", b'{"id": "r-1"}\n{"id"\n[3]\n' + b"[" * 9000, "bad.jsonl:4: not JSON"),
        ("bad.jsonl", b'{"id": "r-1"}\n{"id"\n[3]\n', 'bad.jsonl:3: "id" is missing.'),
    ],
)
def test_a_file_of_decisions_that_cannot_be_read_is_told_in_the_right_words(
    rung: Any, project: Any, rows_of: Any, name: str, data: bytes | None, said: str
) -> None:
    write(project.root / "c.jsonl", rows_of(2))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    rung("review", "export", "-o", "out.csv")
    if data is not None:
        (project.root / name).write_bytes(data)
    told = rung("review", "import", name, wanted=2).stderr
    assert said in told and "Errno" not in told and "UTF-8 text (" not in told
    if name == "bad.jsonl":
        assert "bad.jsonl:2: not JSON" in told, "every line is told at once"


def test_a_long_row_goes_out_to_csv_and_comes_back(rung: Any, project: Any) -> None:
    long = {"messages": [{"role": "user", "content": "word " * 60_000}, {"role": "assistant", "content": "yes"}]}
    (project.root / "c.jsonl").write_text(json.dumps(long) + "\n")
    rung("data", "import", "c.jsonl", "--as", "candidates")
    rung("review", "export", "-o", "out.csv")
    text = (project.root / "out.csv").read_text().replace(",yes,,,,", ",yes,approve,,,")
    (project.root / "out.csv").write_text(text)
    assert rung("review", "import", "out.csv", "--reviewer", "mo").stdout.startswith("1 decision imported")


def test_a_folder_that_is_made_for_an_output_is_told(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "c.jsonl", rows_of(2))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    assert "Folder created: new/deep" in rung("review", "export", "-o", "new/deep/out.csv").stderr
    assert "Folder made" not in rung("review", "export", "-o", "new/deep/more.csv").stderr
    wrong = rung("review", "export", "-o", "other/out.xlsx", wanted=2)
    assert "Folder made" not in wrong.stderr and not (project.root / "other").exists()
    assert "nothing can be written" in rung("review", "export", "-o", "c.jsonl/out.csv", wanted=2).stderr


def test_a_failed_sample_is_said_at_once_and_everywhere(rung: Any, project: Any, rows_of: Any) -> None:
    """By the decision itself, while the sample goes on; then in both states, at the freeze and on the card."""
    (project.root / "rung.toml").write_text("[review]\nsample = 4\n[project]\nperson = 'dana'\n")
    write(project.root / "pool.jsonl", rows_of(40))
    rung("data", "import", "pool.jsonl")
    notes = []
    for number in range(4):
        item = json.loads(rung("review", "next", "--json").stdout)
        verdict = "reject" if number == 1 else "approve"
        made = json.loads(rung("review", "decide", item["id"], verdict, "--token", item["token"], "--json").stdout)
        notes.append("pool failed" in made.get("note", ""))
        (sample,) = json.loads(rung("review", "status", "--json").stdout)["samples"]
        assert sample["failed"] == (number >= 1)
    assert notes == [False, True, False, False]
    stages = {each["name"]: each for each in json.loads(rung("status", "--json").stdout)["stages"]}
    assert stages["review"]["state"] == "needs_you" and stages["review"]["command"] == "rung review sample"
    tried = json.loads(rung("data", "freeze", "--dry-run", "--json").stdout)
    made = json.loads(rung("data", "freeze", "--json").stdout)
    for samples in (tried["samples"], made["review"]["samples"]):
        assert [(each["failed"], each["found"], each["allowed"]) for each in samples] == [(True, 1, 0)]
    assert "pool failed" in rung("data", "freeze").stdout
    assert "sample failed" in (project.root / "datasets" / "v001" / "README.md").read_text()
    assert "✗ Sample" in rung("review", "status").stdout


def test_faults_of_rows_that_nobody_decided_stand_on_no_card(rung: Any, project: Any, rows_of: Any) -> None:
    (project.root / "rung.toml").write_text("[review]\nsample = 4\n")
    write(project.root / "test.jsonl", rows_of(3))
    write(project.root / "pool.jsonl", rows_of(40, 100))
    rung("data", "import", "test.jsonl", "--as", "test")
    rung("data", "import", "pool.jsonl")
    for _ in range(3):
        item = json.loads(rung("review", "next", "--json").stdout)
        rung("review", "decide", item["id"], "approve", "--token", item["token"])
    made = json.loads(rung("data", "freeze", "--test-only", "--json").stdout)
    assert [(each["role"], each["found"]) for each in made["review"]["samples"]] == [("test", 0)]
    card = (project.root / "datasets" / "v001" / "README.md").read_text()
    assert "- sample of test: 3 of 3 rows drawn by seed 13, 3 decided, 0 with faults, 0 allowed" in card


@pytest.mark.parametrize("verdict", ["unsure", "flag"])
def test_one_person_alone_can_always_finish(rung: Any, project: Any, rows_of: Any, verdict: str) -> None:
    """What the project's own person is not sure of comes back last, by itself, by name, and after an undo."""
    (project.root / "rung.toml").write_text("[project]\nperson = 'dana'\n[review]\npool = 'all'\n")
    write(project.root / "test.jsonl", rows_of(3))
    rung("data", "import", "test.jsonl", "--as", "test")

    def given(*more: str) -> Any:
        return json.loads(rung("review", "next", "--json", *more).stdout)

    def rule(item: Any, verdict: str) -> None:
        rung("review", "decide", item["id"], verdict, "--token", item["token"])

    first = given()
    rule(first, verdict)
    for _ in range(2):
        other = given()
        assert other["id"] != first["id"]
        rule(other, "approve")
    assert given()["id"] == given("--row", first["id"])["id"] == first["id"]
    assert [finding["kind"] for finding in given()["findings"]] == ["later"]
    rule(given(), verdict)
    assert json.loads(rung("review", "undo", first["id"], "--json").stdout)["state"] == "pending"
    rule(given("--row", first["id"]), "approve")
    assert given() == {"id": None, "waiting": 0}
    rung("data", "freeze", "--test-only")


def test_with_others_about_a_row_waits_for_them_and_the_way_out_is_said(rung: Any, project: Any, rows_of: Any) -> None:
    (project.root / "rung.toml").write_text("[project]\nperson = 'dana'\n")
    write(project.root / "c.jsonl", rows_of(1))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    rung("review", "invite", "mo")
    item = json.loads(rung("review", "next", "--json").stdout)
    rung("review", "decide", item["id"], "unsure", "--token", item["token"])
    for more in ((), ("--row", item["id"])):
        nothing = json.loads(rung("review", "next", "--json", *more).stdout)
        assert nothing == {"id": None, "waiting": 1, "mine": [item["id"]]}
        assert f"rung review undo {item['id']}" in rung("review", "next", *more).stdout
    rung("review", "undo", item["id"])
    assert json.loads(rung("review", "next", "--json").stdout)["id"] == item["id"]


async def test_a_frozen_version_has_one_hash_everywhere(rung: Any, project: Any, rows_of: Any) -> None:
    """In text, status, card, log and on the screen, frozen now or before; each split's own hash is the manifest's."""
    from hashlib import sha256

    from conftest_tui import opened, running, settled, text_of

    from rung.tui.app import RungApp
    from rung.tui.source import ScreenSource

    (project.root / "rung.toml").write_text('[review]\npool = "trust"\n[project]\nperson = "dana"\n')
    for role, rows in (("test", rows_of(20)), ("pool", rows_of(60, 20))):
        write(project.root / f"{role}.jsonl", rows)
        rung("data", "import", f"{role}.jsonl", "--as", role)
    assert json.loads(rung("status", "--json").stdout)["dataset"] is None
    first, again = (rung("data", "freeze").stdout for _ in range(2))
    folder = project.root / "datasets" / "v001"
    whole = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    card = (folder / "README.md").read_text()
    for place in (first, again, card, rung("why", "v001").stdout):
        assert whole[:8] in place, place
    assert json.loads(rung("status", "--json").stdout)["dataset"] == {"version": "v001", "sha256": whole}
    for split in json.loads((folder / "manifest.json").read_text())["splits"].values():
        assert split["sha256"] == sha256((folder / split["file"]).read_bytes()).hexdigest()
        assert split["sha256"][:8] in card
    app = RungApp(ScreenSource.of(project.root))
    async with running(app) as pilot:
        await opened(pilot, 5)
        await settled(pilot)
        assert whole[:8] in text_of(app)
