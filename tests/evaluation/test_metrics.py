"""Each metric against the package that defines it, on the same outputs.

And metrics of tool calls, with a baseline of rows that are answered with a call.
"""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import in_shell
import pytest
from bank import freeze_by_hand

from chat.local.embedded import embedded_folder
from chat.protocols import Ask
from chat.tool_calls import with_calls
from curation.example import Example, chat_row
from evaluation.measure import items_of
from evaluation.metrics.item_metrics import ITEM_METRICS, item_metric
from evaluation.metrics.json_documents import json_fields, json_valid
from evaluation.metrics.text import (
    bleu,
    chrf,
    class_report,
    corpus,
    exact_match,
    label,
    last_number,
    normalised_match,
    perplexity,
    refuses,
    token_f1,
)
from workspace.errors import RungError

OUTPUTS = ["the cat sat on the mat", "a dog", "", "it rains in Spain today", "E10.42"]
EXPECTED = ["the cat is on the mat", "a dog", "nothing", "in Spain it rains", "E11.42"]


def test_classes_are_the_expected_labels_whatever_was_answered():
    result = class_report(["A.", "nonsense", "a", "c", "b\nsaid so"], ["a", "b", "a", "a", "b"])
    assert [(one.name, one.items) for one in result.each] == [("a", 3), ("b", 2)]
    assert [(one.precision, one.recall) for one in result.each] == [(1.0, pytest.approx(2 / 3)), (1.0, 0.5)]
    assert result.macro == pytest.approx((4 / 5 + 2 / 3) / 2) and result.micro == pytest.approx(3 / 4)
    accuracy = item_metric("accuracy").score
    assert (accuracy("A.\nsaid so", "a"), accuracy("b", "a"), accuracy("", "a")) == (1.0, 0.0, 0.0)
    never = class_report(["a", "nonsense", "a"], ["a", "b", "a"])
    assert (never.each[1].name, never.each[1].f1) == ("b", 0.0)


def test_bleu_and_chrf_equal_sacrebleu_and_print_their_signature():
    import sacrebleu

    assert corpus("BLEU", OUTPUTS, EXPECTED)[0] == pytest.approx(sacrebleu.corpus_bleu(OUTPUTS, [EXPECTED]).score / 100)
    assert corpus("CHRF", OUTPUTS, EXPECTED)[0] == pytest.approx(sacrebleu.corpus_chrf(OUTPUTS, [EXPECTED]).score / 100)
    for output, expected in zip(OUTPUTS, EXPECTED, strict=True):
        wanted = sacrebleu.sentence_bleu(output, [expected], use_effective_order=True).score / 100
        assert bleu(output, expected) == pytest.approx(wanted)
        assert chrf(output, expected) == pytest.approx(sacrebleu.sentence_chrf(output, [expected]).score / 100)
    assert "nc:6" in corpus("CHRF", OUTPUTS, EXPECTED)[1] and "tok:13a" in corpus("BLEU", OUTPUTS, EXPECTED)[1]


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
def test_rouge_equals_rouge_score(kind):
    from rouge_score.rouge_scorer import RougeScorer

    metric, reference = item_metric(f"rouge:{kind}"), RougeScorer([kind], use_stemmer=True)
    for output, expected in zip(OUTPUTS, EXPECTED, strict=True):
        assert metric.score(output, expected) == pytest.approx(reference.score(expected, output)[kind].fmeasure)


def test_matches_labels_refusals_and_token_f1_by_the_squad_definition():
    assert token_f1("The Norman conquest!", "norman conquest of England") == pytest.approx(2 * 2 / (2 + 4))
    assert token_f1("the", "a") == 1.0
    assert token_f1("", "x") == 0.0
    assert exact_match(" E10.42\n", "E10.42") == 1.0
    assert exact_match("e10.42", "E10.42") == 0.0
    assert normalised_match('"Eye both".', "eye  both") == 1.0
    assert normalised_match("C++", "C") == 0.0
    assert normalised_match("-1", "1") == 0.0
    assert normalised_match("cafe\u0301", "café") == 1.0
    assert label("\n Card lost. \nBecause") == "card lost"
    assert refuses("I'm sorry, but I can't help with that.") and refuses("", "refused") and not refuses("E10 eye both")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 2,640 rows", 2640.0),
        ("1 + 2 = -3.5", -3.5),
        ("#### 18", 18.0),
        ("1e-3", 0.001),
        ("none", None),
        ("5%", 5.0),
        ("about 5-10", 10.0),
        ("on 2024-05-01", 1.0),
        ("x=-5", -5.0),
        ("from 3\u22127", 7.0),
    ],
)
def test_the_last_number(text, number):
    assert last_number(text) == number


def test_numeric_tolerance_json_and_regex():
    assert item_metric("numeric:0.01").score("about 101", "100") == 1.0
    assert item_metric("numeric").score("about 101", "100") == 0.0
    assert json_valid('```json\n{"a": 1}\n```', "") == 1.0
    assert json_valid('{"a": NaN}', "") == 0.0
    assert json_fields('{"a": 1.0, "b": {"c": "x"}}', '{"a": 1, "b": {"c": "y"}, "d": []}') == pytest.approx(0.4)
    assert json_fields('{"a": true}', '{"a": 1}') == 0.0
    assert item_metric(r"regex:[A-Z]\d\d").score("E10\n", "") == 1.0


def test_json_schema(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"type": "object", "required": ["code"]}))
    metric = item_metric("json_schema:s.json", tmp_path)
    assert (metric.score('{"code": 1}', ""), metric.score("{}", ""), metric.score("code", "")) == (1.0, 0.0, 0.0)
    with pytest.raises(RungError, match="none"):
        item_metric("json_schema:none.json", tmp_path)
    (tmp_path / "hole.json").write_text('{"properties": {"a": {"$ref": "#/$defs/none"}}}')
    with pytest.raises(RungError, match=r"hole.json: .*none"):
        item_metric("json_schema:hole.json", tmp_path).score('{"a": 1}', "")


def test_names_are_checked():
    for name, told in (
        ("exact_mach", '"exact_match"'),
        ("macro_f1", "macro_f1"),
        ("regex", "PATTERN"),
        ("numeric:wide", "wide"),
    ):
        with pytest.raises(RungError, match=told):
            item_metric(name)
    for name in ITEM_METRICS.keys() - {"regex", "json_schema", "judge"}:
        assert 0.0 <= item_metric(name).score("a b", "a c") <= 1.0


def test_perplexity_per_token_and_per_byte():
    """Of a scorer whose every token is half as likely as sure, and whose tokens are characters."""
    coin = SimpleNamespace(loglikelihoods=lambda asks, answers: [(len(a) * math.log(0.5), len(a)) for a in answers])
    assert perplexity(coin, [Ask(())] * 2, ["ab", "é"]) == pytest.approx((2.0, 2 ** (3 / 4)))


def test_no_output_stops_a_metric_or_leaves_the_range(tmp_path):
    """Output that breaks a reader of JSON or of numbers is scored, and nothing is raised."""
    schema = {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 0.01}}}
    (tmp_path / "amount.json").write_text(json.dumps(schema), encoding="utf-8-sig")
    outputs = ["", "1" * 400, "1e999", '{"a": 1e999}', '{"a": %s}' % ("9" * 400), "[" * 5000, "\ud800", "NaN", "a" * 99]
    for spec in ("exact_match", "accuracy", "token_f1", "numeric", "json_valid", "json_schema:amount.json",
                 "json_fields", "bleu", "chrf", "rouge"):  # fmt: skip
        score = item_metric(spec, tmp_path).score
        assert all(0 <= score(output, expected) <= 1 for output in outputs for expected in outputs), spec
    assert json_fields('{"a": %s}' % ("9" * 400), '{"a": %s}' % ("9" * 400)) == 1.0
    assert json_fields('{"a": %s}' % ("9" * 400), '{"a": %s}' % ("8" * 400)) == 0.0


def test_a_key_that_holds_null_has_no_tests_that_every_program_passes() -> None:
    rows = [Example({**chat_row("add", "1"), **more}) for more in ({}, {"tests": None}, {"tests": "assert f() == 1"})]
    assert [item.tests for item in items_of(rows, "last")] == ["", "", "assert f() == 1"]
    with pytest.raises(RungError):
        item_metric("code").of_row("anything()", "1", rows[1].tests, None)


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


@pytest.fixture
def calling(project):
    """`calling(base)`: the project with rows that are answered with a call, on this local model."""

    def rows(count):
        for n in range(count):
            made = {"name": "pay", "arguments": json.dumps({"sum": n, "to": f"person {n}"})}
            said = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": made}]}
            yield {"messages": [{"role": "user", "content": f"Pay person {n} {n} euros."}, said], "tools": TOOLS}

    def made(base):
        freeze_by_hand(project, "v001", test=list(rows(2)), validation=list(rows(1)), train=list(rows(3)))
        model = f'[model]\nprovider = "local"\nbase = "{base}"\nmax_tokens = 32\n'
        project.settings_file.write_text(f'{model}[evaluation]\nmetric = "tool_call"\nfew_shot = 2\n')
        return project.root

    return made


def test_a_model_whose_template_drops_calls_is_refused_before_anything_is_asked(calling):
    root = calling(embedded_folder())
    done = in_shell.rung("baseline", "--arms", "base", "--json", cwd=root, code=1)
    assert not list((root / "evaluations").glob("E-*"))
    error = json.loads(done.stdout)["error"]
    assert "chat template" in error["message"] and error["hint"]


@pytest.mark.slow
def test_rows_answered_with_calls_are_measured_on_a_local_model(calling, tmp_path):
    trl = pytest.importorskip("trl")
    base = tmp_path / "base"
    shutil.copytree(embedded_folder(), base)
    template = Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja"
    shutil.copy(template, base / "chat_template.jinja")
    root = calling(base)
    in_shell.rung("baseline", "--arms", "few_shot", "--json", cwd=root, code=0)
    outputs = [json.loads(line) for line in next((root / "evaluations").glob("E-*/outputs.jsonl")).open()]
    test = [each for each in outputs if each["split"] == "test"]
    assert len(test) == 2 and all(json.loads(each["expected"])[0]["name"] == "pay" for each in test)
    assert {each["form"] for each in outputs} == {"free"}
    assert any(each["output"].startswith('[{"name": "pay"') for each in test), test
