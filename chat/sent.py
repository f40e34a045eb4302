"""Paid calls that were sent and have no reply, on disk: after a kill it is known how many may have been paid."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from chat.privacy import Guarded, unguarded
from chat.protocols import Ask, ChatError, ChatModel
from workspace.counted import counted, money
from workspace.files import append_lines, read_lines


class SentCalls:
    """`path` has a line for each call that was sent, and one for each that ended without a reply, with its cost.

    A call is known by the key of its request, under which its reply is kept elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sent: Counter[str] = Counter()
        self._lost: dict[str, float] = {}
        for key, cost in read_lines(path, lambda row: (str(row["key"]), row["cost_usd"]), "call"):
            self._count(key, cost)

    def sending(self, model: ChatModel, asks: Iterable[tuple[str, Ask]]) -> Iterator[Ask]:
        """Yield the asks by key, each written down before it is handed on, where the model's calls cost money."""
        costs = getattr(unguarded(model), "costs", False)
        for key, ask in asks:
            if costs:
                if isinstance(model, Guarded):
                    model.allow()
                self._write(key, None)
            yield ask

    def failed(self, key: str, error: ChatError) -> None:
        """Record that a call ended without a reply; one that may have been charged stays in doubt."""
        if self._sent[key] and not error.may_be_paid:
            self._write(key, error.cost_usd)

    def notes(self, keys: Collection[str], costs: Mapping[str, float | None], *models: ChatModel | None) -> list[str]:
        """Return notes on calls without a reply that were charged or may have been; `costs` are those of all replies.

        `models` know of tries beside these. Empty if every call was answered.
        """
        unsure = sum(getattr(unguarded(model), "unsure", 0) for model in models)
        doubtful = unsure + sum(max(0, self._sent[key] - (key in costs)) for key in keys)
        lost = sum(self._lost.get(key, 0.0) for key in keys)
        found = [f"Replies that broke off cost {money(lost, 4)}."] if lost else []
        if not doubtful:
            return found
        most = max((cost or 0.0 for cost in costs.values()), default=0.0)
        bound = f", up to {money(doubtful * most, 4)}" if most else ""
        told = f"{counted(doubtful, 'call')} brought no reply (a kill, a timeout or a broken connection)"
        return [*found, f"{told} and may have been paid{bound}."]

    def _write(self, key: str, cost: float | None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(self.path, [{"key": key, "cost_usd": cost}], sync=False)
        self._count(key, cost)

    def _count(self, key: str, cost: float | None) -> None:
        self._sent[key] += 1 if cost is None else -1
        self._lost[key] = self._lost.get(key, 0.0) + (cost or 0.0)
