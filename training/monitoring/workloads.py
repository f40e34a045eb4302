"""Request logs as workloads: calls of one task, with their volume, cost, repeats and faults, and what to do with each.

Calls belong together whose system message, and whose first user message, share a template: 5-grams of words that at
least 20 calls, and 2% of them, have in common. Templates that are half alike are one. So an instruction with a date or
a name in it is one workload, and two instructions below the same system message are two.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from advisor.answers import Answers
from advisor.breakeven import DAYS, CachedTokens, break_even
from advisor.rulebook import Rule, Rulebook, holds
from chat.local.prompt import common_beginning
from chat.prices import Usage, price_line, price_of
from curation.likeness.hashing import hash_texts
from curation.likeness.join import components, near_sets
from curation.likeness.sets import I64, Sets, offsets, set_keys
from training.monitoring.fields import on_scale, scale_of
from training.monitoring.log_lines import LogPart
from training.monitoring.pii import masked_text
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file

HEAD = 2_000
LEAST, SHARE = 20, 0.02
"""Calls, and share of them, that a 5-gram of a template is in."""
SHORTEST = 3
"""5-grams that the template of a user message has at least (7 words)."""
ALIKE = 0.5
MANY = 2_000
"""Templates from which likeness is looked for by MinHash."""
FEW = 50
"""Calls below which each system message is a template by itself."""
CHARS = 4
"""Characters of a token, where the log counts none."""
PREFIXES = 500
"""Calls whose common beginning is taken."""
NAME = 100
"""Characters of a workload's name."""
CHEAP = 0.5
"""Share of its price at which another model counts as cheaper."""


@dataclass(frozen=True, slots=True)
class WorkloadFacts:
    """Facts of a workload for the rules: None if the log and the prices do not give them.

    `failing`: share of calls that failed, were cut, edited or rated below the middle. `repeats`: share of calls whose
    request occurred before, word for word. `prefix_tokens`, `prefix_share`: the beginning that the requests have in
    common. `answers`: different answers. `narrow`: one template. `pays`: more calls a day than a tuned 8B model on one
    rented GPU needs to break even. `cheaper`: the price list has a model at half the price.
    """

    calls: int
    failing: float
    repeats: float
    prefix_tokens: int
    prefix_share: float
    answers: int
    narrow: bool
    calls_per_day: float | None = None
    usd_per_month: float | None = None
    pays: bool | None = None
    cheaper: bool | None = None


@dataclass(frozen=True, slots=True)
class LoggedWorkload:
    """Calls of one task. Tokens are means a call; `tokens_estimated`: where the log has none, by 4 characters each.

    `usd` is what these calls cost, as logged, else by the price list; None if `unknown` says which price is missing.
    `line` is the line of its first call.
    """

    name: str
    rules: tuple[Rule, ...]
    facts: WorkloadFacts
    models: dict[str, int]
    input_tokens: float
    output_tokens: float
    tokens_estimated: bool
    usd: float | None
    unknown: str
    line: int

    @property
    def advice(self) -> str:
        """Keep, cache, cheaper_model, better_prompt or tune: by the first rule that holds."""
        return str(self.rules[0].effect["advice"])

    def as_json(self) -> JsonObject:
        """Return the fields of `--json`."""
        own = {name: getattr(self, name) for name in self.__slots__ if name not in ("rules", "facts")}
        return {"advice": self.advice, "rules": [_rule(rule) for rule in self.rules], **asdict(self.facts), **own}


def _rule(rule: Rule) -> JsonObject:
    what = {name: rule.effect[name] for name in ("advice", "text")}
    return {"id": rule.id, **what, "because": rule.because, "source": list(rule.source)}


@dataclass(frozen=True, slots=True)
class LogPeriod:
    """Facts of the whole log: days between its first and last call, the scale of ratings, the prices."""

    days: float | None
    scale: tuple[float, float]
    book: Rulebook
    as_of: date
    own_prices: Path | None


def workloads(
    calls: Sequence[LogPart], book: Rulebook, as_of: date, own_prices: Path | None = None
) -> list[LoggedWorkload]:
    """Return the workloads of joined requests, the one with the most calls first.

    A month's cost is that of the log's days, scaled; a log of less than a day counts as a day.
    """
    times = [call.at for call in calls if call.at]
    days = max(1.0, (max(times) - min(times)).total_seconds() / 86_400) if len(times) > 1 else None
    rated = [call.feedback.rating for call in calls if call.feedback.rating is not None and not call.feedback.words]
    period = LogPeriod(days, scale_of(rated), book, as_of, own_prices)
    systems = _templates([_first(call, "system") for call in calls], alone=True)
    users = _templates([_first(call, "user") for call in calls], alone=False)
    groups: dict[tuple[int, int], list[LogPart]] = {}
    for call, system, user in zip(calls, systems.tolist(), users.tolist(), strict=True):
        groups.setdefault((system, user), []).append(call)
    found = [_workload(group, key != (-1, -1), period) for key, group in groups.items()]
    return sorted(found, key=lambda each: (-each.facts.calls, each.line))


def _first(call: LogPart, role: str) -> str:
    return next((str(m.get("content", ""))[:HEAD] for m in call.messages if m.get("role") == role), "")


def _templates(texts: Sequence[str], *, alone: bool) -> I64:
    """Return for each text a number that texts of one template share; -1 without a template.

    `alone`: a text that occurs twice, or any in a log of few calls, is its own template.
    """
    distinct, which, counts = np.unique(np.array(texts, object), return_inverse=True, return_counts=True)
    sets = hash_texts(distinct.tolist(), grams=False).shingles
    owners = sets.owners()
    _, place = np.unique(sets.hashes, return_inverse=True)
    calls = np.bincount(place, weights=counts[owners]) if len(place) else np.zeros(0)
    keep = ((calls >= LEAST) & (calls > SHARE * len(texts)))[place]
    keep &= np.bincount(owners[keep], minlength=len(sets))[owners] >= (1 if alone else SHORTEST)
    if alone:
        bare = np.bincount(owners[keep], minlength=len(sets)) == 0
        keep |= (bare & ((counts > 1) | (len(texts) < FEW)))[owners]
    sizes = np.bincount(owners[keep], minlength=len(sets))
    kept = Sets(sets.hashes[keep], offsets(sizes))
    _, nodes, same = np.unique(set_keys(kept), return_index=True, return_inverse=True)
    near = near_sets(kept, nodes, ALIKE, "exact" if len(nodes) < MANY else "minhash")
    labels = components(len(nodes), near.one, near.other)[same]
    found: I64 = np.where(sizes > 0, labels, -1)[which]
    return found


def _workload(calls: Sequence[LogPart], narrow: bool, period: LogPeriod) -> LoggedWorkload:
    asked = ["\n".join(f"{m.get('role')}: {m.get('content', '')}" for m in call.messages) for call in calls]
    tokens = [_tokens(call, text) for call, text in zip(calls, asked, strict=True)]
    ins, outs = (float(np.mean([pair[side] for pair in tokens])) for side in (0, 1))
    prefix = common_beginning(asked[:PREFIXES]) if len(calls) > 1 else 0
    models = Counter(call.model or "unknown" for call in calls)
    usd, unknown = _cost(calls, tokens, period)
    facts = WorkloadFacts(
        calls=len(calls),
        failing=round(sum(_failed(call, period.scale) for call in calls) / len(calls), 4),
        repeats=round(1 - len(set(asked)) / len(calls), 4),
        prefix_tokens=prefix // CHARS,
        prefix_share=round(prefix / float(np.mean([len(text) for text in asked])), 4),
        answers=len({call.said.text.strip() for call in calls}),
        narrow=narrow,
        calls_per_day=round(len(calls) / period.days, 1) if period.days else None,
        usd_per_month=round(usd / period.days * DAYS, 2) if period.days and usd is not None else None,
    )
    facts = _with_prices(facts, models.most_common(1)[0][0], (ins, outs), period)
    return LoggedWorkload(
        name=_name(calls[0], asked[0], prefix, narrow),
        rules=tuple(r for r in period.book.of("workload") if holds(r.when, {n: getattr(facts, n) for n in r.when})),
        facts=facts,
        models=dict(models.most_common(20)),
        input_tokens=round(ins, 1),
        output_tokens=round(outs, 1),
        tokens_estimated=any(call.input_tokens is None or call.output_tokens is None for call in calls),
        usd=None if usd is None else round(usd, 4),
        unknown=unknown,
        line=min(call.line for call in calls),
    )


def _tokens(call: LogPart, asked: str) -> tuple[int, int]:
    ins = len(asked) // CHARS if call.input_tokens is None else call.input_tokens
    return ins, len(call.said.text) // CHARS if call.output_tokens is None else call.output_tokens


def _failed(call: LogPart, scale: tuple[float, float]) -> bool:
    rating, said = call.feedback.rating, call.said
    low = rating is not None and (rating if call.feedback.words else on_scale(rating, scale)) < 0
    return bool(low or said.error or call.feedback.edit or said.finish in ("length", "content_filter"))


def _cost(calls: Sequence[LogPart], tokens: Sequence[tuple[int, int]], period: LogPeriod) -> tuple[float | None, str]:
    """Return dollars of these calls, and the line that adds the price which is missing."""
    prices = {name: price_of(name, own=period.own_prices) for name in {call.model for call in calls}}
    total = 0.0
    for call, (ins, outs) in zip(calls, tokens, strict=True):
        price = prices[call.model]
        if call.cost_usd is None and price is None:
            return None, price_line(call.model) if call.model else "the log names no model"
        total += price.cost(Usage(ins, outs)) if call.cost_usd is None and price else call.cost_usd or 0.0
    return total, ""


def _with_prices(facts: WorkloadFacts, model: str, tokens: tuple[float, float], period: LogPeriod) -> WorkloadFacts:
    """Return the facts with the price list's figures for its most frequent model."""
    usage = Usage(round(tokens[0]), round(tokens[1]))
    own = price_of(model, own=period.own_prices)
    if own is None or not own.cost(usage):
        return facts
    names = {str(entry["model"]) for entry in rule_file("prices.toml")["api"]}
    others = [price.cost(usage) for name in names if (price := price_of(name, own=period.own_prices))]
    day = None if facts.calls_per_day is None else round(facts.calls_per_day)
    said = Answers(incumbent_model=model, tokens_in=usage.input, tokens_out=usage.output, calls_per_day=day)
    kept = CachedTokens(facts.prefix_tokens)
    needed = break_even(period.book, said, None, period.as_of, kept).calls_per_day
    pays = None if needed is None or day is None else day >= needed
    return replace(facts, cheaper=min(others, default=own.cost(usage)) <= CHEAP * own.cost(usage), pays=pays)


def _name(call: LogPart, asked: str, prefix: int, narrow: bool) -> str:
    """Return the beginning of the instruction, masked: the system message, else what all requests begin with."""
    said = _first(call, "system") or (asked[:prefix].partition(": ")[2] if narrow else "")
    return " ".join(masked_text(said).split())[:NAME] or "calls without a common instruction"
