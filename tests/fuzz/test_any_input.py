"""Whatever is in a file or on a command line, it is read, or refused in words; nothing fails otherwise.

Each file is a sound document that was hurt (bytes cut, doubled, changed; values of other types put in), or noise.
`make slow` tries more.
"""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import rung
from known_commands import leaves

from advisor.answer_file import parse_answers
from advisor.rulefiles import load_rulebook
from advisor.sizing.architecture import read_architecture
from advisor.sizing.run_estimate import estimate
from advisor.sizing.setup import Setup
from curation.rows import read_rows
from curation.split.manifest import read_manifest
from curation.store.ingest import merge_rejects
from evaluation.people_comparison import read_sheet
from evaluation.verdict.paired_scores import read_scores
from training.plan.plans import read_plan
from training.runs import curve, read_run
from workspace.errors import RungError
from workspace.settings import load_settings
from workspace.shipped_rules import rule_file

ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8) | st.sampled_from(
        ["", "unknown", "\ud800", "\x00", "1e999", "../../x", "=1+1", "\u202e", "NaN", "user", "assistant", [], {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip

ROW = {"messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}], "id": 1}
ALPACA = {"instruction": "Name it.", "input": "x", "output": "y"}
SHARE = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
PAIR = {"prompt": "p", "chosen": "c", "rejected": "r"}
ANSWERS = 'task = "extraction"\nprompting = "partial"\nexamples = 50\nlatency = "seconds"\n[answered]\n' \
          'task = { by = "sam", at = "2026-01-01", from = "said" }\n'  # fmt: skip
RULES = '[[veto]]\nid = "own"\nforbids = "fine_tune"\nwhen = { examples = { below = 50 } }\nbecause = "so"\n' \
        'source = ["own"]\n[[source]]\nid = "own"\ntitle = "t"\n'  # fmt: skip
CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 1000, "tie_word_embeddings": True,
          "architectures": ["LlamaForCausalLM"], "mlp_only_layers": [1]}  # fmt: skip
CONFIGS = [{**each["defaults"], **CONFIG, "model_type": each["id"]} for each in rule_file("models.toml")["family"]]
TOML = '[project]\nperson = "sam"\n[review]\npool = "all"\nreasons = ["a"]\n[dataset.licences]\n"a" = "MIT"\n' \
       "[training]\nrank = 4\n[web]\nport = 0\n"  # fmt: skip
SCORE = {"id": "a", "baseline": {"few_shot": 0.5, "prompt": 1}, "tuned": 1.0, "cluster": "x"}
METRIC = {"kind": "step", "step": 3, "steps": 9, "loss": 0.5, "at": "2026-01-01T00:00:00Z"}
PLAN = 'schema_version = 1\nid = "P-001"\ndataset = "v001"\n[recipe]\nbase = "m"\nmethod = "lora"\nsteps = 3\n'


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@st.composite
def hurt(draw: Any, sound: tuple[bytes, ...]) -> bytes:
    """A sound document with up to four wounds, or with values of other kinds, or noise."""
    kind = draw(st.integers(0, 9))
    data = draw(st.sampled_from(sound))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind < 5 and data[:1] == b"{":
        return b"\n".join(draw(odd_values(line)) for line in data.splitlines())
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 12))
        put = draw(
            st.binary(max_size=4) | st.sampled_from([b"", b'"', b"{", b"]", b"\n", b"\xff", b"-9", b"1e400", b","])
        )
        data = data[:at] + put + data[at + length :]
    return data


@st.composite
def odd_values(draw: Any, line: bytes) -> bytes:
    """The object with some values, at any depth, replaced by odd ones."""
    value = json.loads(line)
    for _ in range(draw(st.integers(1, 2))):
        place = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(ODD)
            break
    return json.dumps(value).encode()


def file_in(name: str, parse: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    def read(folder: Path, data: bytes) -> object:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return parse(path)

    return read


def rows_in(name: str) -> Callable[[Path, bytes], object]:
    return file_in(name, lambda path: [str(row) for row in read_rows(path, "auto", unanswered=True)])


def estimated(path: Path) -> str:
    document = estimate(read_architecture(path), Setup(batch=1, length=8, targets="all-linear")).as_json()
    assert document["parameters"] > 0
    return json.dumps(document, allow_nan=False)


TABLE = b'question,answer\n"a, b",c\nd,e\n'
ROWS = (lines(ROW, ROW), lines(ALPACA), lines(SHARE), lines(PAIR), lines({"text": "a"}, {"text": "b"}))
PARSERS: dict[str, tuple[Callable[[Path, bytes], object], tuple[bytes, ...]]] = {
    "rows.jsonl": (rows_in("a.jsonl"), ROWS),
    "rows.json": (rows_in("a.json"), (json.dumps([ROW, ROW]).encode(), json.dumps({"data": [ALPACA]}).encode())),
    "rows.csv": (rows_in("a.csv"), (TABLE, TABLE.replace(b",", b";"), TABLE.replace(b",", b"\t"))),
    "rows.parquet": (rows_in("a.parquet"), (b"PAR1" + bytes(20) + b"PAR1",)),
    "rejects": (file_in("r.jsonl", lambda path: merge_rejects(path, ["x"], [])),
                (lines({"line": 1, "file": "a", "field": "", "reason": "r", "raw": "x"}),)),
    "answers": (lambda _, data: parse_answers(data), (ANSWERS.encode(), lines({"task": "chat", "examples": 5}))),
    "rules": (file_in("rules/own.toml", lambda path: load_rulebook(path.parent)), (RULES.encode(),)),
    "config.json": (file_in("config.json", estimated), tuple(map(lines, CONFIGS))),
    "rung.toml": (file_in("rung.toml", lambda path: load_settings(path, {})), (TOML.encode(),)),
    "scores": (lambda _, data: read_scores("scores.jsonl", data), (lines(SCORE, {**SCORE, "id": 2}),)),
    "metrics.jsonl": (file_in("metrics.jsonl", lambda path: curve(path.parent)), (lines(METRIC, METRIC),)),
    "run.json": (file_in("run.json", lambda path: read_run(path.parent)), (lines({"id": "R-1", "state": "running"}),)),
    "manifest.json": (file_in("manifest.json", lambda path: read_manifest(path.parent)),
                      (lines({"schema_version": 1, "version": "v001", "splits": {}, "seed": 1}),)),
    "plan": (file_in("P-001.toml", read_plan), (PLAN.encode(),)),
    "labels": (file_in("sheet.jsonl", lambda path: read_sheet(path, "meets", ("yes", "no"), {1: lambda row: True})),
               (lines({"id": 1, "meets": "yes"}),)),
}  # fmt: skip


@pytest.mark.parametrize("examples", [30, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_or_says_what_is_wrong(name: str, examples: int, tmp_path: Path) -> None:
    read, sound = PARSERS[name]
    count = 4 if (name, examples) == ("rules", 30) else examples

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), derandomize=count < 99)
    @given(hurt(sound))
    def run(data: bytes) -> None:
        try:
            read(tmp_path, data)
        except RungError as error:
            assert error.message.strip()

    run()


LEFT_OUT = {"demo", "mcp", "serve", "watch", "train", "baseline", "evaluate", "judge", "generate", "score"}
"""Commands that load a model, serve, or wait for ever; their arguments have tests of their own."""
VALUES = ["", "-1", "0", "1", "1e400", "nan", "0x10", "a,b", "../x", "no-such", "\x00", "\udcff", "é", "a" * 300,
          "rung.toml", ".", "/dev/null", "rows.jsonl", "r-000001", "v001", "{",
          "unknown", "2026-13-45", "=1"]  # fmt: skip


TREE = [(path, flags) for path, flags in leaves() if not LEFT_OUT & set(path)]


@st.composite
def orders(draw: Any) -> list[str]:
    path, flags = draw(st.sampled_from(TREE))
    words = st.sampled_from(VALUES) | st.sampled_from(flags or ["--x"]) | st.text(max_size=4)
    return [*path, *draw(st.lists(words, max_size=4))]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "rung.toml").write_text("")
    (tmp_path / "p" / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "p"


@pytest.mark.parametrize("examples", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_any_words_end_well(examples: int, project: Path) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=examples < 99)
    @given(orders())
    def run(words: list[str]) -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        assert rung(*words, cwd=project).returncode in (0, 1, 2), words

    run()
