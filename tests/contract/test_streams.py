"""Exit codes and streams: usage errors, outputs that are refused before the work, settings that stop a command."""

import contextlib
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import in_process
import pytest

from curation.example import chat_row as row
from rung import cli


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nonsense --json", "nonsense"),
        ("data dedupe x --json", "dedup"),
        ("import rows.csv --json", "rung data import"),
        ("freeze --json", "rung data freeze"),
        ("data chekc --json", "rung data check"),
        ("advice --json", "rung advise"),
        ("data dedup --json", "IN"),
        ("data convert a.jsonl --json", "--out"),
        ("verdict --json --scores", "--scores"),
        ("data dedup a.jsonl -o o --threshold many --json", "--threshold"),
        ("data dedup a.jsonl -o o --threshold 1.5 --json", "1.5"),
        ("estimate --model nope --method lora --json", "nope"),
        ("status --json", "No Rung project"),
    ],
)
def test_bad_usage_is_one_error_document_and_exit_2(rung, tmp_path, arguments, says):
    ran = rung(*arguments.split())
    assert ran.code == 2 and ran.error["hint"]
    assert says in ran.error["message"] and says in ran.err
    assert not list(tmp_path.iterdir())


def test_every_command_of_the_contract_is_there():
    """Each name, and the flags that the contract gives it."""
    wanted = """
status --json|init|demo --fast|doctor --json|questions --json|advise --answers --save --as-of --json
data import --format --as --rejects|data convert -o --format --to --rejects --json
data dedup -o --threshold --removed --pairs --rejects --engine --json|data leakage --train --test --clean --json
data check --json|data fix --all --dry-run|data dismiss --by --reason|data undo
data generate --count --provider --model --budget-usd --batch|review --reviewer|review serve --host --port
review next --reviewer --json|review decide --token --reviewer --text-file --row-file --reason
review undo --reviewer|review status --json|review export|review import|review invite --role --days --revoke
data freeze --test-only|baseline --arms|estimate --model --method --rank --targets --batch --length --json|plan --json
train --override --by --reason|runs list --json|runs watch --json|runs pause --json|runs stop --json|runs resume --json
evaluate|verdict --scores --json --accept-judgement --by --reason --chosen|release --to --by --reason|why"""
    for entry in wanted.replace("\n", "|").strip("|").split("|"):
        words = entry.split()
        found = cli.command()
        for name in (word for word in words if word[0] != "-"):
            found = found.commands[name]
        assert {w for w in words if w[0] == "-"} <= {opt for param in found.params for opt in param.opts}, entry


def test_outputs_are_refused_before_anything_is_written(rung, tmp_path, lines):
    lines("a.jsonl", [row("hello there", "hi")])
    (tmp_path / "file").write_text("x")
    for outputs in (["-o", "out", "--removed", "file/x"], ["-o", "out", "--pairs", "./out"], ["-o", "."]):
        assert rung("data", "dedup", "a.jsonl", *outputs, "--json").code == 2
        assert not (tmp_path / "out").exists()
    assert rung("data", "dedup", "a.jsonl", "-o", "/dev/null", "--removed", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert rung("data", "dedup", "a.jsonl", "-o", "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real").read_text())["messages"][1]["content"] == "hi"


@pytest.mark.parametrize(
    "command", ["convert a.jsonl -o", "dedup a.jsonl -o", "leakage --train a.jsonl --test b.jsonl --clean"]
)
def test_rows_for_a_pipe_are_alone_on_standard_output(rung, lines, command):
    lines("a.jsonl", [row("who may open the hall", "the guard")])
    lines("b.jsonl", [row("when does the shift begin", "at six")])
    ran = rung("data", *command.split(), "/dev/stdout")
    assert (ran.code, ran.json) == (0, row("who may open the hall", "the guard"))
    assert "1" in ran.err and "Next:" not in ran.err
    ran = rung("data", *command.split(), "/dev/stdout", "--json")
    assert (ran.code, ran.error["where"]) == (2, "/dev/stdout")


def test_rows_that_are_redirected_go_where_the_file_is_and_replace_nothing(tmp_path, lines):
    lines("a.jsonl", [row("who may open the hall", "the guard")])
    command = [sys.executable, "-m", "rung", "data", "convert", "a.jsonl", "-o", "/dev/stdout"]
    with (tmp_path / "b.jsonl").open("wb", buffering=0) as file:
        file.write(b"before\n")
        done = subprocess.run(command, cwd=tmp_path, stdout=file, stderr=subprocess.PIPE, check=True)
        file.write(b"after\n")
    before, written, after = (tmp_path / "b.jsonl").read_text().splitlines()
    assert (before, after) == ("before", "after"), "what others write into the same file stays"
    assert json.loads(written) == row("who may open the hall", "the guard")
    assert b"Next:" not in done.stderr


@pytest.mark.cold
@pytest.mark.parametrize("output", ["/dev/stdout", "/dev/fd/77"])
def test_a_stream_that_is_not_open_takes_no_rows(tmp_path, lines, output):
    lines("a.jsonl", [row("who may open the hall", "the guard")])
    command = f"{sys.executable} -m rung data convert a.jsonl -o {output} >&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and output in done.stderr


def test_the_next_command_names_the_files(rung, lines):
    for name in ("a train.jsonl", "test.jsonl"):
        lines(name, [row("who may open the big hall on a holiday in winter", "only the guard of the north gate")])
    words = ("data", "leakage", "--train", "a train.jsonl", "--test", "test.jsonl")
    assert shlex.join(["rung", *words, "--clean", "OUT"]) in rung(*words).out


@pytest.mark.cold  # a fork hears of the signal later than of the end of its input
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_dies_leaves_the_old_file(tmp_path, lines, sent):
    """The input is a pipe that never ends: the command is certainly in the middle."""
    (tmp_path / "out.jsonl").write_text("old\n")
    command = [sys.executable, "-m", "rung", "data", "convert", "-", "-o", "out.jsonl"]
    running = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    line = json.dumps(row("hello " * 9, "hi")).encode() + b"\n"
    running.stdin.write(line * 2000)
    running.stdin.flush()
    running.send_signal(sent)
    with contextlib.suppress(BrokenPipeError):
        for _ in range(500_000):  # a signal just before a read is heard after it: rows go on to come
            if running.poll() is not None:
                break
            running.stdin.write(line)
            running.stdin.flush()
    said = running.communicate()[1]
    assert running.returncode == (130 if sent == signal.SIGINT else -sent)
    assert said.rstrip().endswith(b"Interrupted.") == (sent == signal.SIGINT)
    assert (tmp_path / "out.jsonl").read_text() == "old\n"


PROJECT_COMMANDS = (
    "status", "advise --set prompting=untried", "baseline", "evaluate", "evaluate R-001", "verdict", "judge",
    "trust --yes", "train", "release --to prompt", "why R-001", "why r-000001", "data check",
    "data fix leaks", "data fix --all", "data dismiss leaks --by A --reason B", "data undo", "data import x.jsonl",
    "data freeze", "data generate --count 1", "review next --reviewer A",
    "review decide r-000001 approve --token T --reviewer A", "review undo r-000001 --reviewer A", "review status",
    "review sample", "review invite A", "review export -o x.csv", "review import x.csv --reviewer A",
    "plan", "plan check",
    "plan export axolotl", "plan sweep lr=1e-4,2e-4", "runs list", "runs watch", "runs resume",
    "watch import x.jsonl", "watch report", "watch learn",
)  # fmt: skip
"""Not: `locate`, `trust --revoke`, and `runs pause` and `stop`, since a run that goes on can always be ended."""


def test_wrong_settings_stop_every_project_command(tmp_path):
    (tmp_path / "rung.toml").write_text('[review]\npol = "all"\n[evaluation]\nmargin = "x"\n')
    for command in PROJECT_COMMANDS:
        error = json.loads(in_process.rung(*command.split(), "--json", cwd=tmp_path, code=2).stdout)["error"]
        assert [each["where"] for each in error["problems"]] == ["rung.toml line 2", "rung.toml line 4"], command
        assert '"review.pol"' in error["message"] and '"pool"' in error["message"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rung.toml"]
    (tmp_path / "scores.jsonl").write_text('{"id":1,"baseline":0,"tuned":1}')
    in_process.rung("verdict", "--scores", "scores.jsonl", cwd=tmp_path, code=1)


@pytest.mark.parametrize("text", ["[review\n", '[review]\npol = "all"\n'])
def test_the_doctor_shows_all_that_it_found_and_ends_with_2_for_wrong_settings(rung, tmp_path, text):
    (tmp_path / "rung.toml").write_text(text)
    ran = rung("doctor", "--json")
    checks = {check["name"]: check["ok"] for check in ran.json["checks"]}
    assert ran.code == rung("doctor").code == 2
    assert ran.json["ok"] is False and checks["rung.toml"] is False and checks["rung"] is True


def test_trust_of_wrong_settings_can_be_ended_but_not_given(rung, tmp_path):
    (tmp_path / "rung.toml").write_text("[model\n")
    state = {"RUNG_STATE_DIR": str(tmp_path / "state")}
    assert rung("trust", "--yes", **state).code == 2
    assert not (tmp_path / "state").exists()
    assert rung("trust", "--revoke", **state).code == 0


def test_the_environment_overrides_and_is_checked(rung, tmp_path):
    (tmp_path / "rung.toml").write_text("review = 3\n")
    assert rung("status", RUNG_REVIEW__POOL="all").code == 2
    (tmp_path / "rung.toml").write_text('[review]\npool = "all"\n')
    assert rung("review", "status", "--json", RUNG_REVIEW__POOL="trust").json["policy"] == "trust"
    ran = rung("status", RUNG_REVIEW__SAMPLE="many", RUNG_NOPE__X="1")
    assert ran.code == 2
    assert "RUNG_REVIEW__SAMPLE" in ran.err
    assert "RUNG_NOPE__X" in ran.err


def test_any_terminal_can_show_the_output(rung):
    given = '{"id":"\\ud800","baseline":{"\\ud800":0.5},"tuned":1}'
    assert rung("verdict", "--scores", "-", "--json", given=given).json["chosen"] == "\ud800"
    shown = rung("questions", "--json", PYTHONIOENCODING="ascii")
    assert shown.out.isascii()
    assert {"id", "text", "why", "kind", "answers", "sets"} <= set(shown.json[0])


def test_nothing_found_is_one_document_too(rung, tmp_path, lines):
    """Each command with --json on a project that has no rows; those that need some say so in an error document."""
    lines("one.jsonl", [row("What is the code?", "E11")])
    lines("other.jsonl", [row("Which way is north?", "up")])
    assert rung("init").code == 0
    ran = rung("data", "leakage", "--train", "one.jsonl", "--test", "other.jsonl", "--json")
    assert (ran.code, ran.json["leaks"]) == (0, [])
    for command in (
        *("data check", "data check one.jsonl", "data fix --all", "data dedup one.jsonl -o out.jsonl"),
        *("review next --reviewer a", "review status", "runs list", "status"),
    ):
        ran = rung(*command.split(), "--json")
        assert ran.code == 0 and isinstance(ran.json, dict | list), command
    for command in (
        *("data generate --count 1", "data freeze", "data undo", "data fix leaks", "verdict", "evaluate", "baseline"),
        *("judge", "plan", "runs watch", "watch report", "watch learn", "review again", "why r-000001"),
    ):
        ran = rung(*command.split(), "--json")
        assert ran.code in (1, 2) and ran.error["message"] and ran.error["hint"], command


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.jsonl", b""), ("a.jsonl", b"\n \n"), ("a.csv", b""), ("a.csv", b"question,answer\n"), ("a.json", b"[]")],
)
def test_an_input_without_rows_is_told(rung, tmp_path, lines, name, data):
    (tmp_path / name).write_bytes(data)
    lines("rows.jsonl", [row("q", "a")])
    assert rung("init").code == 0
    ran = rung("data", "import", name, "--json")
    assert (ran.code, ran.error["where"]) == (2, name)
    ran = rung("data", "import", name, "rows.jsonl", "--json")
    assert (ran.code, [each["read"] for each in ran.json["files"]]) == (0, [0, 1]) and f"! {name}" in ran.err
    for command in (
        ("convert", name, "-o", "out.jsonl"),
        ("dedup", name, "-o", "out.jsonl"),
        ("check", name),
        ("leakage", "--train", name, "--test", "rows.jsonl"),
        ("leakage", "--train", "rows.jsonl", "--test", name),
    ):
        ran = rung("data", *command, "--json", "--quiet")
        assert ran.code == 0 and isinstance(ran.json, dict) and f"! {name}" in ran.err, command
        assert "! rows.jsonl" not in ran.err
