"""Exports of labelling tools: Label Studio's tasks, Argilla's records, and those that are refused by name because their
label is in a key of their own.

Formats: https://labelstud.io/guide/task_format and
https://docs.argilla.io/latest/how_to_guides/import_export (argilla 2.8.0; it keeps no status of a response).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from itertools import zip_longest
from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed, kind_of
from curation.rows.names import QUESTIONS, first_of, free, need_text, others, rest, room, scalar_text, single
from curation.rows.turns import read_chat
from workspace.json_types import JsonObject

JSON_MIN = {"id", "text", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
"""Keys of a row of Label Studio's JSON-MIN that are no label."""
VALUES = {"choices": "choices", "textarea": "text", "rating": "rating", "number": "number"}
"""Kinds of result that are an answer, and where each holds it."""


def read_task(row: JsonObject, unanswered: bool = False) -> JsonObject:
    """Return the text of `data` and the answer that all annotations agree on; other keys of `data` are kept.

    Raises Malformed for a task of several texts, of spans, pictures or several answers, of annotators who disagree, and
    without an annotation unless `unanswered`.
    """
    data = row["data"]
    if not isinstance(data, dict) or not data:
        raise Malformed("data", f'"data" must be an object with a text, found {kind_of(data)}.')
    key = text_key(data, "data")
    question = need_text(data, key)
    kept = {**rest(data, key), **({"id": row["id"]} if "id" in row and "id" not in data else {})}
    free(kept, "messages")
    given = row["annotations"] or []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Malformed("annotations", '"annotations" must be a list of objects, as Label Studio exports them.')
    answers = {_answer(each) for each in given if not each.get("was_cancelled")}
    return {"messages": [{"role": "user", "content": question}, *agreed(answers, "annotations", unanswered)], **kept}


def text_key(data: Mapping[str, Any], field: str) -> str:
    """Return the key of a task's text. Raises Malformed if it is not clear."""
    texts = [key for key, value in data.items() if isinstance(value, str)]
    key = "text" if "text" in texts else first_of(texts, QUESTIONS) or (texts[0] if len(texts) == 1 else "")
    if not key:
        found = ", ".join(f'"{each}"' for each in data)
        raise Malformed(field, f"a task whose text is not clear; {field} holds {found}.", 'name its text "text"')
    return key


def agreed(answers: Collection[str], field: str, unanswered: bool) -> list[JsonObject]:
    """Return the message of the one answer; none if there is none and that is allowed. Raises Malformed otherwise."""
    if len(answers) > 1:
        raise Malformed(field, f"{len(answers)} {field} that disagree.", "keep one, or review it in Rung")
    if not answers and not unanswered:
        raise Malformed(field, "a task that nobody annotated.", "rows without an answer: --as pool")
    return [{"role": "assistant", "content": text} for text in answers]


def _answer(annotation: Mapping[str, Any]) -> str:
    results = annotation.get("result") or []
    kinds = {str(result.get("type")) for result in results}
    if unread := kinds - VALUES.keys():
        kind = ", ".join(sorted(unread))
        raise Malformed("annotations", f"a result of type {kind}; the answer must be one text.", ", ".join(VALUES))
    if len(results) != 1:
        raise Malformed("annotations", f"an annotation with {len(results)} results; the answer must be one.")
    kind = str(results[0]["type"])
    return scalar_text((results[0].get("value") or {}).get(VALUES[kind]), "annotations", "answer")


def write_task(example: Example) -> JsonObject:
    """Return a task with the answer as a `TextArea` annotation called answer. Raises CannotHold as `single` does."""
    question, answer = single(example, "label_studio")
    kept = others(example)
    room(kept, "label_studio", "text")
    result = {"from_name": "answer", "to_name": "text", "type": "textarea", "value": {"text": [answer]}}
    return {"data": {"text": question, **kept}, "annotations": [{"result": [result]}]}


def read_record(row: JsonObject, unanswered: bool = False) -> JsonObject:
    """Return the text or the chat of `fields`, and the answer that all responses agree on; other fields and metadata
    are kept; metadata with the name of a field as `metadata.NAME`.

    A suggestion is no answer. Raises Malformed for a record of several texts, several questions or several answers, of
    people who disagree, and without a response unless `unanswered`.
    """
    fields, responses = row["fields"], row["responses"]
    if not isinstance(fields, dict) or not isinstance(responses, dict):
        raise Malformed("fields", '"fields" and "responses" must be objects, as Argilla exports them.')
    chats = [key for key, value in fields.items() if isinstance(value, list)]
    key = chats[0] if len(chats) == 1 else text_key(fields, "fields")
    asked = fields[key] if chats else [{"role": "user", "content": need_text(fields, key)}]
    given = {name: said for name, each in responses.items() if (said := _values(each))}
    if len(given) > 1:
        names = ", ".join(f'"{name}"' for name in given)
        raise Malformed(
            "responses", f"answers to {len(given)} questions: {names}.", "export the one that is the answer"
        )
    answers = {scalar_text(value, "responses", "answer") for values in given.values() for value in values}
    turns = [*asked, *agreed(answers, "responses", unanswered)]
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise Malformed("metadata", f'"metadata" must be an object, found {kind_of(metadata)}.')
    same = fields.keys() & metadata.keys()
    beside = {"metadata": {name: metadata[name] for name in metadata if name in same}} if same else {}
    kept = {**rest(metadata, *same), **rest(fields, key), **beside, "id": row.get("id")}
    free(kept, "messages")
    return read_chat({"messages": turns, **rest(kept, "system")}, unanswered)


def unflattened(row: Mapping[str, Any]) -> JsonObject | None:
    """Convert a record that `to_datasets` or `to_list(flatten=True)` wrote for `read_record`; None for another row.

    A response counts where it was submitted, or where it has no status. Metadata is among the fields there.
    """
    questions = [key.removesuffix(".responses") for key in row if key.endswith(".responses")]
    if not questions:
        return None
    responses = {}
    for name in questions:
        said, told = row[f"{name}.responses"] or [], row.get(f"{name}.responses.status") or []
        pairs = zip_longest(said, told, fillvalue=None) if isinstance(said, list) else [(said, None)]
        responses[name] = [{"value": value} for value, status in pairs if status in (None, "submitted")]
    fields = {
        key: value
        for key, value in row.items()
        if key not in ("id", "status", "_server_id") and ".responses" not in key and ".suggestion" not in key
    }
    vectors = [
        key
        for key, value in fields.items()
        if isinstance(value, list) and not all(isinstance(one, dict) for one in value)
    ]
    return {"id": row.get("id"), "fields": rest(fields, *vectors), "responses": responses}


def _values(responses: Any) -> list[Any]:
    """Return people's answers to one question. Raises Malformed if it is not as Argilla writes it."""
    given = responses or []
    if not isinstance(given, list) or not all(isinstance(one, dict) and "value" in one for one in given):
        raise Malformed("responses", 'the answers to a question must be a list of objects with a "value".')
    return [one["value"] for one in given]


def check_export(row: Mapping[str, Any]) -> Malformed | None:
    """Return the fault of a row that a labelling tool wrote and whose label is not where Rung would read it."""
    if "_task_hash" in row or "_input_hash" in row:
        return _fault("answer", "Prodigy", "its label counts only where the answer is accept", "label")
    label = next((key for key in row if key.endswith((".responses", ".suggestion", "-suggestion"))), "")
    if label or {"annotation", "annotation_agent"} <= row.keys():
        return _fault(
            label or "annotation", "Argilla", f'its label is in "{label or "annotation"}"', label or "annotation"
        )
    if "annotation_id" in row and "lead_time" in row and "label" not in row:
        label = next((key for key in row if key not in JSON_MIN), "KEY")
        return _fault(label, "Label Studio", "its label is in a key with the name of its question", label)
    return None


def _fault(field: str, tool: str, why: str, answer: str) -> Malformed:
    hint = f"name the columns: --question text --answer {shlex.quote(answer)}"
    return Malformed(field, f"an export of {tool}; {why}.", hint)
