"""Requests and scores as gateways log them."""

from pathlib import Path
from typing import Any

from hosted_replies import completion

from curation.store import StoredRow, open_store
from training.monitoring.drift import DriftReport, measure
from training.monitoring.learn import Learnt, learn
from training.monitoring.log_import import read_logs, take_in
from training.monitoring.log_lines import read_part
from training.monitoring.requests import JoinedRequests, join
from workspace.folder import Project
from workspace.settings import load_settings

ASKED = [{"role": "user", "content": "q"}]


def litellm(number: int, question: str, answer: str, **more: Any) -> dict[str, Any]:
    """A request as LiteLLM's standard payload logs it."""
    name = f"chatcmpl-{number}"
    return {
        "id": name,
        "call_type": "acompletion",
        "status": "success",
        "model": "house",
        "startTime": 1_764_000_000.0 + 60 * number,
        "endTime": 1_764_000_000.5 + 60 * number,
        "response_cost": 0.001,
        "messages": [{"role": "user", "content": question}],
        "response": {**completion(answer), "id": name, "usage": {"prompt_tokens": 9, "completion_tokens": 3}},
        **more,
    }


def generation(name: str, **more: Any) -> dict[str, Any]:
    """An observation of Langfuse."""
    return {
        "id": name, "traceId": f"trace-of-{name}", "type": "GENERATION", "name": "answer", "level": "DEFAULT",
        "startTime": "2026-11-25T10:00:00.000Z", "endTime": "2026-11-25T10:00:01.500Z", "model": "house",
        "input": {"messages": ASKED}, "output": {"role": "assistant", "content": "a"},
        "usage": {"input": 9, "output": 3, "total": 12, "unit": "TOKENS"}, "calculatedTotalCost": 0.002, **more,
    }  # fmt: skip


def score(value: Any, **more: Any) -> dict[str, Any]:
    """A score of Langfuse."""
    return {
        "id": "s-1", "timestamp": "2026-11-25T11:00:00.000Z", "name": "user-feedback", "source": "API",
        "dataType": "NUMERIC", "value": value, "stringValue": None, "comment": None, "traceId": "trace-of-o-1",
        "observationId": None, **more,
    }  # fmt: skip


def imported(house: Project, *logs: Path, **wish: Any) -> Any:
    return take_in(house, read_logs(list(logs), keep_rejects=True), **wish)


def learnt(house: Project, **wish: Any) -> Learnt:
    settings = load_settings(house.settings_file, {})
    with open_store(house, settings) as store:
        return learn(house, settings, store, **wish)


def measured(house: Project, **wish: Any) -> DriftReport:
    return measure(house, load_settings(house.settings_file, {}), **wish)


def candidates(house: Project) -> dict[str, StoredRow]:
    """The candidates of the project, each by its request: `W-001:1`."""
    with open_store(house, load_settings(house.settings_file, {})) as store:
        return {str(row.meta["request"]): row for row in store.rows(role="candidates", excluded=None)}


def joined(*lines: dict[str, Any], model: str = "") -> JoinedRequests:
    """The requests of these lines, numbered from 1."""
    parts = [read_part(line) for line in lines]
    for number, part in enumerate(parts, 1):
        part.line = number
    return join(parts, model)
