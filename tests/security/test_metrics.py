"""A metric of a project's own choice asks no network and ends: schemas refer to themselves, patterns have a limit."""

import json
from pathlib import Path
from typing import Any

import pytest

from chat.tool_calls import with_calls
from evaluation.metrics.item_metrics import item_metric
from workspace.errors import RungError

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "URL"},
        {"$ref": "URL#/$defs/a"},
        {"$id": "https://mine.example/s", "properties": {"a": {"items": {"$dynamicRef": "URL"}}}},
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"$ref": "URL"}}},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json"},
    ],
)
def test_a_schema_that_leads_elsewhere_is_refused_and_nobody_is_asked(
    schema: dict[str, Any], tmp_path: Path, loopback: Any
) -> None:
    loopback.say((200, {"type": "object"}))
    (tmp_path / "s.json").write_text(json.dumps(schema).replace("URL", loopback.url + "/s.json"))
    with pytest.raises(RungError) as refused:
        item_metric("json_schema:s.json", tmp_path).score('{"a": 1}', "")
    assert refused.value.where == str(tmp_path / "s.json") and refused.value.found and refused.value.exit_code == 2
    assert loopback.requests == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "https://mine.example/s", "$defs": {"n": {"type": "integer"}},
         "properties": {"a": {"$ref": "https://mine.example/s#/$defs/n"}}},
        {"properties": {"a": {"type": "integer"}, "s": {"$ref": DRAFT}}},
    ],
)  # fmt: skip
def test_references_inside_it_and_to_metaschemas_hold(schema: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(schema))
    score = item_metric("json_schema:s.json", tmp_path).score
    assert (score('{"a": 1}', ""), score('{"a": "x"}', "")) == (1.0, 0.0)


@pytest.mark.parametrize("spec", ["regex:(a|a)*$", "json_schema:s.json", "tool_call"])
def test_a_pattern_that_never_ends_is_stopped(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.metrics.text.PATTERN_SECONDS", 0.2)
    endless = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a|a)*$"}}}
    (tmp_path / "s.json").write_text(json.dumps(endless))
    text = "a" * 40 + "b"
    call = with_calls("", [{"name": "f", "arguments": {"a": text}}])
    output = {"regex": text, "json_schema": json.dumps({"a": text}), "tool_call": call}[spec.partition(":")[0]]
    metric = item_metric(spec, tmp_path)
    tools = [{"type": "function", "function": {"name": "f", "parameters": endless}}]
    with pytest.raises(RungError) as refused:
        metric.of_row(output, output, "", tools)
    assert "(a|a)*$" in refused.value.message and refused.value.exit_code == 2
