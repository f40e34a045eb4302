"""Privacy: what may leave the machine. The privacy answer is read again before each call to a remote model.

Paid calls that were sent and have no reply are on disk: after a kill it is known how many may have been paid.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chat.protocols import Ask, ChatError, ChatModel, ModelWrapper, Reply, StreamedModel, replies
from workspace.counted import counted, money
from workspace.errors import Refusal
from workspace.files import append_lines, read_lines
from workspace.folder import Project
from workspace.settings import Settings
from workspace.shipped_rules import rule_file
from workspace.trust import HOST, demand, is_trusted

SEALED = "no_external_api"
UNTRAINED = "no_training"


@dataclass(frozen=True, slots=True)
class Override:
    """A person who lets rows leave against the privacy answer; printed on the cards."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides whether rows may go to a host. `read` brings the present privacy answers, `today` the date for expiry."""

    read: Callable[[], frozenset[str]]
    own_hosts: tuple[str, ...] = ()
    override: Override | None = None
    today: Callable[[], date] = date.today
    local_way: str = "--provider local"
    root: Path | None = None
    """The project whose trust counts: a host that its rung.toml names is asked only after `rung trust`."""

    def check(self, provider: str, host: str) -> None:
        """Raises Refusal if the privacy answer keeps rows from this host; nothing was sent then."""
        if self.override or is_own(host, self.own_hosts):
            return
        answers = self.read()
        if SEALED in answers:
            raise self._refusal(SEALED, "keeps rows on this machine", host)
        if UNTRAINED in answers and (why := trains(provider, host, self.today())):
            raise self._refusal(UNTRAINED, f"allows only providers known not to train on inputs; {why}", host)

    def demand_trust(self, host: str) -> None:
        """Raises Refusal if the project names this host, beyond this machine, and this account did not trust it."""
        if self.root is not None:
            demand(self.root, HOST, host.lower())

    def may_have_key(self, host: str) -> bool:
        """True if the person named the host (by a flag or the environment) or trusts the project that names it."""
        return self.root is None or is_trusted(self.root, HOST, host.lower())

    def _refusal(self, answer: str, rule: str, host: str) -> Refusal:
        return Refusal(
            f"Not sent: your answer privacy = {answer} {rule} (asked for: {host}).",
            f'{self.local_way}   (a server of your own: [privacy] own_hosts = ["{host}"] in rung.toml)',
            where="answers.toml",
        )


class Guarded(ModelWrapper, StreamedModel):
    """A model that asks the guard before every single call."""

    def __init__(self, model: ChatModel, guard: Guard, provider: str, host: str) -> None:
        self.model = model
        self.guard = guard
        self.provider = provider
        self.host = host

    def allow(self) -> None:
        """Raises Refusal if nothing may be sent now."""
        self.guard.check(self.provider, self.host)

    def stream(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply | ChatError]]:
        """Yield the model's replies, with the guard asked before each ask is handed over."""
        return replies(self.model, self._allowed(asks))

    def _allowed(self, asks: Iterable[Ask]) -> Iterator[Ask]:
        for ask in asks:
            self.allow()
            yield ask


def unguarded(model: ChatModel | None) -> Any:
    """Return the model below its guard."""
    return model.model if isinstance(model, Guarded) else model


def notices(model: ChatModel | None) -> list[str]:
    """Return the notices of a hosted model so far."""
    return list(getattr(unguarded(model), "notices", ()))


def project_guard(project: Project, settings: Settings, override: Override | None = None) -> Guard:
    """Return the guard of a project: its answers.toml, read before each call, and its own hosts."""
    answers = project.answers_file
    return Guard(lambda: privacy_answers(answers), settings.privacy.own_hosts, override, root=project.root)


def privacy_answers(path: Path) -> frozenset[str]:
    """Return the privacy answers in answers.toml; none without the file. Raises Refusal if it cannot be read."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8")).get("privacy", ())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise Refusal(
            f"Not sent: {path.name} cannot be read ({error}), so the privacy answer is unknown.",
            "Correct answers.toml, or use --provider local",
            where=str(path),
        ) from error
    return frozenset([said] if isinstance(said, str) else map(str, said))


def trains(provider: str, host: str, today: date) -> str:
    """Return the reason why a host may train on inputs; empty if a dated entry says that it does not."""
    for entry in rule_file("providers.toml")["provider"]:
        if entry["id"] == provider and _bare(host) in entry["hosts"]:
            if entry["trains_on_inputs"]:
                return f"{provider} trains on inputs (read {entry['read']})"
            late = f"the entry of {provider} in rules/providers.toml expired on {entry['expires']}"
            return late if today > entry["expires"] else ""
    return f"rules/providers.toml has no entry for {host}"


def is_own(host: str, own_hosts: Sequence[str]) -> bool:
    """True if a host (with or without port) is listed. A listed name covers every port, a listed port only itself."""
    listed = {urlsplit(own).netloc if "//" in own else own for own in own_hosts}
    return bool({host.lower(), _bare(host)} & {own.lower() for own in listed})


def _bare(host: str) -> str:
    """Return the host without port, brackets and case."""
    return (urlsplit(f"//{host}").hostname or "").lower()


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
