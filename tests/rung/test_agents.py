"""`rung mcp`, asked by the SDK's own client over real standard input and output."""

import json
import re
import shlex
import sys
from pathlib import Path

import anyio
import in_process
import pytest
from in_shell import rung
from rows_in_files import lines, row

from rung.start import start_project

ROOT = Path(__file__).parents[2]
SUMS = [row(f"What is {n} plus {n}?", str(2 * n)) for n in (1, 2, 2, 30)]


@pytest.fixture
def folder(tmp_path):
    start_project(tmp_path)
    lines(tmp_path / "rows.jsonl", SUMS)
    return tmp_path


def client(folder=None, options=()):
    """A client with a server of its own; the library is imported where it is needed, not in every worker."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    words = ["-P", "-m", "rung", "mcp", *options]
    server = StdioServerParameters(command=sys.executable, args=words, cwd=folder, env={"PYTHONPATH": str(ROOT)})
    return Client(stdio_client(server))


def ask(folder, *calls, options=()):
    """The results of calls (name, arguments) that are made at the same time, as (is_error, exit code, document)."""

    async def talk():
        found = [None] * len(calls)
        async with client(folder, options) as agent:

            async def one(place, name, arguments):
                found[place] = await agent.call_tool(name, arguments)

            async with anyio.create_task_group() as group:
                for place, call in enumerate(calls):
                    group.start_soon(one, place, *call)
        return found

    results = anyio.run(talk)
    for each in results:
        assert json.loads(each.content[0].text) == each.structured_content
    return [(r.is_error, r.structured_content["exit_code"], r.structured_content["result"]) for r in results]


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_tools_have_the_schemas_of_their_commands_and_a_person_keeps_the_rest():
    async def tools():
        async with client() as agent:
            return {tool.name: tool for tool in (await agent.list_tools()).tools}

    found = anyio.run(tools)
    dedup = found["data_dedup"]
    assert dedup.input_schema["required"] == ["sources", "out"]
    assert dedup.input_schema["properties"]["threshold"]["type"] == "number"
    assert not dedup.annotations.read_only_hint and found["status"].annotations.read_only_hint
    for name in ("train", "baseline", "release", "review_decide", "data_dismiss", "data_freeze", "trust"):
        assert list(found[name].input_schema["properties"]) == ["arguments"]
    given = {option for tool in found.values() for option in tool.input_schema["properties"]}
    assert not given & {"override", "set", "by", "reason", "reviewer", "accept_judgement", "save", "unmask"}


def test_a_call_runs_no_code_of_the_folder_and_a_broken_rung_toml_gives_the_error_document(folder):
    for name in ("rung", "typer", "json"):
        (folder / f"{name}.py").write_text(f"from pathlib import Path\nPath({str(folder / 'ran')!r}).touch()\n")
    assert ask(folder, ("status", {}))[0][:2] == (False, 0)
    (folder / "rung.toml").write_text("[model]\nbsae = 'x'\n")
    [(is_error, code, document)] = ask(folder, ("status", {}))
    assert (is_error, code) == (True, 2) and "bsae" in document["error"]["message"]
    assert not (folder / "ran").exists()


def test_an_agent_cannot_train_approve_or_override(folder):
    before = tree(folder)
    found = ask(
        folder,
        ("train", {"arguments": ["--override", "decision", "--by", "Kim", "--reason=it is fine"]}),
        ("review_decide", {"arguments": ["r-000001", "approve", "--token", "t; rm -rf /", "--reviewer", "Kim"]}),
        ("release", {"arguments": ["R-001", "--to", "adapter"]}),
        ("baseline", {}),
    )
    assert [(is_error, code, each["started"]) for is_error, code, each in found] == [(False, 1, False)] * 4
    assert shlex.split(found[0][2]["command"]) == [
        "rung", "train", "--override", "decision", "--by", "NAME", "--reason", "TEXT"
    ]  # fmt: skip
    assert shlex.split(found[1][2]["command"])[4:] == ["approve", "--token", "t; rm -rf /", "--reviewer", "NAME"]
    assert tree(folder) == before


REFUSED = (
    ("verdict", {"accept_judgement": True, "by": "Kim"}),
    ("advise", {"set": ["prompting=insufficient"]}),
    ("data_check", {"files": ["/etc/passwd"]}),
    ("data_check", {"files": ["../rows.jsonl"]}),
    ("data_check", {"files": ["out/secret"]}),
    ("data_check", {"files": ["--html=x.html"]}),
    ("estimate", {"model": "/etc"}),
    ("data_dedup", {"sources": ["rows.jsonl"], "out": "rows.jsonl"}),
    ("data_dedup", {"sources": ["rows.jsonl"], "out": "datasets/v001/train.jsonl"}),
    ("data_dedup", {"sources": ["rows.jsonl"], "out": ".claude/x.json"}),
    ("data_convert", {"source": "rows.jsonl", "out": "rung.toml"}),
    ("data_dedup", {"sources": ["rows.jsonl"]}),
    ("data_dedup", {"sources": "rows.jsonl", "out": "x.jsonl"}),
    ("no_such_tool", {}),
)


def test_what_a_tool_does_not_take_is_refused_with_an_error_document(folder):
    (folder / "out").symlink_to("/tmp")
    before = tree(folder)
    for call, (is_error, code, document) in zip(REFUSED, ask(folder, *REFUSED), strict=True):
        assert (is_error, code) == (True, 2) and document["error"]["message"], call
    assert tree(folder) == before


def test_rows_stay_from_an_agent_whose_model_is_unknown_where_the_privacy_answer_says_so(folder):
    (folder / "answers.toml").write_text('privacy = "no_external_api"\n')
    call = ("data_check", {"files": ["rows.jsonl"]})
    [(_, code, document)] = ask(folder, call)
    assert code == 1 and document["command"] == "rung data check -- rows.jsonl"
    written = ("data_dedup", {"sources": ["rows.jsonl"], "out": "kept.jsonl"})
    (_, _, document), (*ended, kept) = ask(folder, call, written, options=["--local-agent"])
    assert "findings" in document and (ended, kept["kept"]) == ([False, 0], 3)
    assert len((folder / "kept.jsonl").read_text().splitlines()) == 3


def test_each_command_of_the_skill_runs(tmp_path):
    text = rung("mcp", "--skill", cwd=tmp_path).stdout
    assert text == (ROOT / "skills" / "rung" / "SKILL.md").read_text()
    assert re.match(r"---\nname: rung\ndescription: .{50,1000}\n---\n", text)
    start_project(tmp_path)
    for name in ("rows", "train", "test"):
        lines(tmp_path / f"{name}.jsonl", SUMS)
    (tmp_path / "answers-draft.toml").write_text('task = "classification"\n')
    (tmp_path / "scores.jsonl").write_text('{"id": 1, "baseline": 0, "tuned": 1}\n')
    shown = re.findall(r"`rung ([^`]*--json)`", text)
    assert len(shown) == 9
    for line in shown:
        done = rung(*shlex.split(line), cwd=tmp_path)
        assert done.returncode in (0, 1) and json.loads(done.stdout), (line, done.stderr)
    for words in re.findall(r"`rung ((?:[a-z]+ ?)+)`", text.partition("## Only a person")[2]):
        in_process.rung(*words.split(), "--help", code=0)
