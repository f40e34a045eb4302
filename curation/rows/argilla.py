"""Records of Argilla (`dataset.records.to_json`): a text or a chat in `fields`, the answer in `responses`.

Format: https://docs.argilla.io/latest/how_to_guides/import_export, argilla 2.8.0. It keeps no status of a response.
"""

from __future__ import annotations

from typing import Any

from curation.rows import chat
from curation.rows.jsonline import Malformed, kind_of
from curation.rows.label_studio import agreed, text_key
from curation.rows.names import free, need_text, rest, scalar_text
from workspace.json_types import JsonObject


def read(row: JsonObject, unanswered: bool = False) -> JsonObject:
    """The text or the chat of `fields`, and the answer that all responses agree on; other fields and metadata are kept.

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
    kept = {**rest(fields, key), **metadata, "id": row.get("id")}
    free(kept, "messages")
    return chat.read({"messages": turns, **rest(kept, "system")}, unanswered)


def _values(responses: Any) -> list[Any]:
    """What people answered to one question. Raises Malformed where it is not as Argilla writes it."""
    given = responses or []
    if not isinstance(given, list) or not all(isinstance(one, dict) and "value" in one for one in given):
        raise Malformed("responses", 'the answers to a question must be a list of objects with a "value".')
    return [one["value"] for one in given]
