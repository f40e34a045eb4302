"""Metrics of tool calls, and rows that are answered with a call from import to baseline."""

import json
import shutil
from pathlib import Path

import in_shell
import pytest

from chat.local.embedded import embedded_folder
from chat.tool_calls import with_calls
from evaluation.metrics.item_metrics import item_metric

TOOLS = [{"type": "function", "function": {"name": "pay", "parameters": {
    "type": "object", "required": ["to"],
    "properties": {"to": {"type": "string"}, "sum": {"type": "number"}}}}}]  # fmt: skip


def call(name="pay", **arguments):
    return {"name": name, "arguments": dict(sorted(arguments.items()))}


def calls(*made, text=""):
    return with_calls(text, made)


RIGHT = calls(call(to="Ann", sum=3))


@pytest.mark.parametrize(
    ("output", "expected", "name", "args", "whole"),
    [
        (RIGHT, RIGHT, 1, 1, 1),
        (calls(call(to="Ann", sum=3.0), text="I pay."), RIGHT, 1, 1, 1),
        (calls(call(to="Ann", sum=4)), RIGHT, 1, 0.5, 0),
        (calls(call(to="Ann")), RIGHT, 1, 2 / 3, 0),
        (calls(call(to="Ann", sum=True)), RIGHT, 1, 0.5, 0),
        (calls(call("stop", to="Ann", sum=3)), RIGHT, 0, 0, 0),
        (calls(call(to="Ann", sum=3), call()), RIGHT, 0, 0.8, 0),
        ("", RIGHT, 0, 0, 0),
        ("I pay Ann 3.", RIGHT, 0, 0, 0),
        (RIGHT, "No.", 0, 0, 0),
        ("No.", "Never.", 1, 1, 1),
        ("", "No.", 0, 0, 0),
        ("", "", 1, 1, 1),
        (calls(call()), calls(call()), 1, 1, 1),
    ],
)
def test_each_metric_of_calls(output, expected, name, args, whole):
    for spec, wanted in (("tool_name", name), ("tool_args", args), ("tool_call", whole)):
        assert item_metric(spec).of_row(output, expected, "", None) == pytest.approx(wanted), spec


@pytest.mark.parametrize(
    ("made", "fits"), [(call(to="Ann"), True), (call(sum=3), False), (call(to=3), False), (call("stop"), False)]
)
def test_a_call_that_no_tool_takes_is_wrong_even_where_the_row_expects_it(made, fits):
    pytest.importorskip("jsonschema")
    line = calls(made)
    assert item_metric("tool_call").of_row(line, line, "", TOOLS) == float(fits)
    assert item_metric("tool_name").of_row(line, line, "", TOOLS) == 1


@pytest.mark.parametrize("tool", [{"name": "pay"}, {"function": {"name": "pay", "parameters": {}}}])
def test_a_tool_that_names_no_parameters_takes_any_arguments(tool):
    line = '[{"name": "pay", "arguments": ["Ann", 3]}]'
    assert item_metric("tool_call").of_row(line, line, "", [{"function": None}, {"name": ["x"]}, tool]) == 1


def rows(count, seed):
    for n in range(count):
        made = {"id": f"c{n}", "type": "function",
                "function": {"name": "pay", "arguments": json.dumps({"sum": n, "to": f"person{seed}{n}"})}}  # fmt: skip
        asked = {"role": "user", "content": " ".join(f"word{seed * 1000 + n * 20 + k}" for k in range(12))}
        yield {"messages": [asked, {"role": "assistant", "content": None, "tool_calls": [made]}], "tools": TOOLS}


def project(folder, base):
    for name, count, seed in (("test", 2, 1), ("validation", 1, 2), ("train", 3, 3)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(count, seed)))
    settings = f'[project]\nperson = "sam"\n[model]\nprovider = "local"\nbase = "{base}"\nmax_tokens = 32\n'
    settings += '[evaluation]\nmetric = "tool_call"\nfew_shot = 2\n'
    (folder / "rung.toml").write_text(settings + '[review]\npool = "trust"\n')
    for name in ("test", "validation", "train"):
        done = in_shell.rung("data", "import", f"{name}.jsonl", "--as", name, cwd=folder)
        assert done.returncode == 0, done.stderr
    done = in_shell.rung("data", "freeze", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_model_whose_template_drops_calls_is_refused_before_anything_is_asked(tmp_path):
    root = project(tmp_path, embedded_folder())
    done = in_shell.rung("baseline", "--arms", "base", "--json", cwd=root)
    assert done.returncode == 1 and not list((root / "evaluations").glob("E-*"))
    error = json.loads(done.stdout)["error"]
    assert "chat template" in error["message"] and error["hint"]


@pytest.mark.slow
def test_rows_answered_with_calls_are_measured_on_a_local_model(tmp_path):
    trl = pytest.importorskip("trl")
    base = tmp_path / "base"
    shutil.copytree(embedded_folder(), base)
    template = Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja"
    shutil.copy(template, base / "chat_template.jinja")
    (tmp_path / "project").mkdir()
    root = project(tmp_path / "project", base)
    done = in_shell.rung("baseline", "--arms", "few_shot", "--json", cwd=root)
    assert done.returncode == 0, done.stderr
    outputs = [json.loads(line) for line in next((root / "evaluations").glob("E-*/outputs.jsonl")).open()]
    test = [each for each in outputs if each["split"] == "test"]
    assert len(test) == 2 and all(json.loads(each["expected"])[0]["name"] == "pay" for each in test)
    assert {each["form"] for each in outputs} == {"free"}
    assert any(each["output"].startswith('[{"name": "pay"') for each in test), test
