"""Tasks of Label Studio (its JSON export): a text in `data`, one answer in `annotations`.

Format: https://labelstud.io/guide/task_format
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed, kind_of
from curation.rows.names import QUESTIONS, first_of, free, need_text, others, rest, room, scalar_text, single
from workspace.json_types import JsonObject

VALUES = {"choices": "choices", "textarea": "text", "rating": "rating", "number": "number"}
"""Kinds of result that are an answer, and where each holds it."""


def read(row: JsonObject, unanswered: bool = False) -> JsonObject:
    """The text of `data` and the answer that all annotations agree on; other keys of `data` are kept.

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
    """The key of a task's text. Raises Malformed where it is not clear."""
    texts = [key for key, value in data.items() if isinstance(value, str)]
    key = "text" if "text" in texts else first_of(texts, QUESTIONS) or (texts[0] if len(texts) == 1 else "")
    if not key:
        found = ", ".join(f'"{each}"' for each in data)
        raise Malformed(field, f"a task whose text is not clear; {field} holds {found}.", 'name its text "text"')
    return key


def agreed(answers: Collection[str], field: str, unanswered: bool) -> list[JsonObject]:
    """The message of the one answer; none where there is none and that is allowed. Raises Malformed otherwise."""
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


def write(example: Example) -> JsonObject:
    """A task with the answer as an annotation of a `TextArea` called answer. Raises CannotHold as `single` does."""
    question, answer = single(example, "label_studio")
    kept = others(example)
    room(kept, "label_studio", "text")
    result = {"from_name": "answer", "to_name": "text", "type": "textarea", "value": {"text": [answer]}}
    return {"data": {"text": question, **kept}, "annotations": [{"result": [result]}]}
