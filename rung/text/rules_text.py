"""Rules, sources and answers in words: `rung rules check|list|show`, and `rung why RULE|ANSWER`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date

from advisor.answers import FACTS, Answers
from advisor.dated_tables import Dated
from advisor.rulebook import Bounds, Condition, Rule, Rulebook
from rung.status.following import ASK, RULE, RULES, after
from rung.text.decision_text import step_and_end
from workspace.counted import counted
from workspace.errors import RungError, did_you_mean
from workspace.json_types import JsonObject


def check_report(book: Rulebook, as_of: date) -> JsonObject:
    """Return counts, expired sources and sources that no rule cites. A broken rulebook raises at load."""
    cited = {name.partition(":")[0] for rule in book.rules for name in rule.source} | book.cited_by_tables()
    rules = Counter(rule.kind for rule in book.rules)
    return {
        "version": book.version,
        "sha256": book.sha256,
        "rules": len(book.rules),
        "kinds": dict(sorted(rules.items())),
        "explains": sum(rule.explains for rule in book.rules),
        "team": sum(rule.team for rule in book.rules),
        "sources": len(book.sources),
        "questions": len(book.questions),
        "expired": sorted(s.id for s in book.sources.values() if s.review_by < as_of),
        "uncited": sorted(set(book.sources) - cited),
    }


def check_lines(report: JsonObject) -> Iterator[str]:
    """Yield the report in words."""
    counts = ", ".join(counted(report[f"{what}s"], what) for what in ("rule", "source", "question"))
    yield f"Nothing is wrong with the rulebook. {counts}."
    yield "  " + ", ".join(f"{count} {kind}" for kind, count in report["kinds"].items())
    if report["team"]:
        yield f"  {report['team']} of them written by your team"
    for name in report["expired"]:
        yield f"! source {name} is past its review date"
    for name in report["uncited"]:
        yield f"! no rule cites source {name}"
    yield ""
    yield f"Next: {RULES}"


def over_report(over: Sequence[Dated], as_of: date) -> JsonObject:
    """Return the entries as JSON, dates in ISO form."""
    days = [{"read": each.read and each.read.isoformat(), "until": each.until.isoformat()} for each in over]
    named = [{"file": each.file, "entry": each.entry, **ends} for each, ends in zip(over, days, strict=True)]
    return {"as_of": as_of.isoformat(), "over": named}


def over_lines(over: Sequence[Dated], as_of: date) -> Iterator[str]:
    """Yield each entry that is over its date, and where a newer one is written."""
    for each in over:
        read = f", read {each.read}" if each.read else ""
        yield f"! {each.file}: {each.entry} was good until {each.until}{read}"
    if not over:
        yield f"Every dated entry still holds on {as_of}."
        return
    yield ""
    entries = "1 entry is" if len(over) == 1 else f"{len(over):,} entries are"
    yield f"{entries} over the date on {as_of}. Rung looks nothing up: write newer ones into rules/."


def list_lines(rules: Sequence[Rule]) -> Iterator[str]:
    """Yield one line a rule, by kind."""
    kind = ""
    for rule in sorted(rules, key=lambda rule: rule.kind):
        if rule.kind != kind:
            kind = rule.kind
            yield kind
        yield f"  {rule.id:<32} {rule.text()}"
    yield ""
    yield f"{counted(len(rules), 'rule')}. Next: {after(RULE, rule=rules[0].id)}"


def rule_document(book: Rulebook, rule: Rule) -> JsonObject:
    """Return a rule as JSON."""
    effect = {k: condition_words(v) if k == "passes" else v for k, v in rule.effect.items()}
    return {
        "id": rule.id,
        "kind": rule.kind,
        "when": condition_words(rule.when),
        "unless": [condition_words(part) for part in rule.unless],
        "because": rule.because,
        "counter": rule.counter,
        "effect": effect,
        "evidence": rule.evidence,
        "strength": rule.strength,
        "explains": rule.explains,
        "team": rule.team,
        "place": rule.place,
        "sources": [source_document(book, name) for name in rule.source],
    }


def source_document(book: Rulebook, name: str, as_of: date | None = None) -> JsonObject:
    """Return a source as JSON; `name` may name a part of it: `module-4:matrix`."""
    key, _, part = name.partition(":")
    source = book.sources[key]
    return {
        "id": name,
        "title": source.title + (f" ({part})" if part else ""),
        "address": source.address,
        "read": source.read.isoformat(),
        "kind": source.kind,
        "review_by": source.review_by.isoformat(),
        "expired": source.review_by < as_of if as_of else None,
        "says": source.says,
    }


def explain(
    book: Rulebook, ref: str, as_of: date, answers: Answers | None = None, others: Sequence[str] = ()
) -> JsonObject:
    """Return the document behind a rule, a source, or an answer's key; of a key also what each answer would do.

    Raises RungError with "did you mean" where `ref` is none of them; `rung why` knows `others`.
    """
    rule = book.by_id.get(ref) or book.by_id.get(ref.removesuffix("-minimum"))
    if rule is not None:
        return {
            "rule": {**rule_document(book, rule), "sources": [source_document(book, n, as_of) for n in rule.source]}
        }
    if ref.partition(":")[0] in book.sources:
        cited = [r.id for r in book.rules if ref.partition(":")[0] in (n.partition(":")[0] for n in r.source)]
        return {"source": source_document(book, ref, as_of), "cited_by": cited}
    if ref in FACTS:
        return _answer_document(book, ref, answers or Answers())
    near = did_you_mean(ref, [*book.by_id, *book.sources, *FACTS, *others])
    what = "rule, source, answer, gate or thing" if others else "rule, source or answer"
    raise RungError(f'There is no {what} called "{ref}".{near}', "rung rules list", found=ref)


def explain_lines(document: JsonObject) -> Iterator[str]:
    """Yield the document in words."""
    if "rule" in document:
        yield from _rule_lines(document["rule"])
    elif "source" in document:
        yield from _source_lines(document["source"])
        yield f"Cited by {', '.join(document['cited_by']) or 'no rule'}"
    else:
        yield from _answer_lines(document)


def _rule_lines(rule: JsonObject) -> Iterator[str]:
    team = ", your team" if rule["team"] else ""
    yield f"Rule {rule['id']}   {rule['kind']}{team}; {rule['strength']} evidence ({rule['evidence']})"
    yield f"  {rule['because']}"
    yield f"  When    {rule['when']}"
    yield from (f"  Unless  {part}" for part in rule["unless"])
    for key, value in rule["effect"].items():
        words = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        yield f"  {key.replace('_', ' ').capitalize():<7} {', '.join(words) if isinstance(words, list) else words}"
    if rule["counter"]:
        yield f"  Against {rule['counter']}"
    yield f"  Where   {rule['place']}"
    for source in rule["sources"]:
        yield from _source_lines(source)


def _source_lines(source: JsonObject) -> Iterator[str]:
    expired = f", expired {source['review_by']}" if source["expired"] else f", valid until {source['review_by']}"
    yield f"  [{source['id']}] {source['title']}"
    yield f"     {source['kind']}, read {source['read']}{expired}: {source['address']}"
    yield f"     {source['says']}"


def _answer_document(book: Rulebook, key: str, answers: Answers) -> JsonObject:
    from advisor.interview import effects, hanging_rules

    question = book.questions[key]
    numeric = FACTS[key].kind == "text" or key in ("wants", "goal_score")
    found = [] if numeric else effects(book, answers, key)
    note = answers.answered.get(key, {})
    return {
        "question": key,
        "text": question.text,
        "why": question.why,
        "now": "unknown" if (value := getattr(answers, key)) is None else value,
        "answered": note,
        "effects": [{**asdict(effect), "settles": list(effect.settles)} for effect in found],
        "rules": [{"id": rule.id, "kind": rule.kind, "because": rule.because} for rule in hanging_rules(book, key)],
    }


def _answer_lines(document: JsonObject) -> Iterator[str]:
    yield f"{document['question']}: {document['text']}"
    yield f"  {document['why']}"
    note = document["answered"]
    said = f" ({note.get('from', 'said')} by {note.get('by', 'someone')}, {note.get('at', '')})" if note else ""
    yield f"  Now: {document['now']}{said}" + (f"; said: {note['said']}" if "said" in note else "")
    if document["effects"]:
        yield "What each answer would do"
        for effect in document["effects"]:
            value = str(effect["value"]).lower() if isinstance(effect["value"], bool) else effect["value"]
            then = step_and_end(effect["next_step"], effect["destination"], settled=effect["settled"])
            yield f"  {value!s:<22} {then}"
    rules = document["rules"]
    yield f"{counted(len(rules), 'rule')} {'uses' if len(rules) == 1 else 'use'} this answer"
    width = max((len(rule["id"]) for rule in rules), default=0)
    yield from (f"  {rule['id']:<{width}}  {rule['because']}" for rule in rules)


def condition_words(condition: Condition) -> str:
    """`prompting = weak_effort or partial, examples at least 1`."""
    parts = []
    for key, allowed in condition.items():
        if isinstance(allowed, Bounds):
            parts.append(f"{key} {allowed.words()}")
        else:
            parts.append(f"{key} = {' or '.join(sorted(map(value_words, allowed)))}")
    return ", ".join(parts) or "always"


def value_words(value: object) -> str:
    """`unknown`, `true`, or as it is written."""
    return "unknown" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


NUMBER = {"integer": "a whole number", "number": "a number", "text": "a name"}


def text_lines(book: Rulebook) -> Iterator[str]:
    """Yield each question with its key and answers."""
    for number, question in enumerate(book.questions.values(), 1):
        yield f"{number}. {question.text}   ({question.id})"
        for choice in question.answers:
            yield f"     {value_words(choice.value):<22} {choice.text}"
        if not question.answers:
            yield f"     {NUMBER[question.kind]}"
        yield f"     {'unknown':<22} Don't know"
    yield ""
    yield f"Next: {ASK}"
