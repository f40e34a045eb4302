"""Golden prompts: whether one form of a model, or a running server (`rung release check URL`), answers as another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chat.endpoint import Endpoint
from chat.local.prompt import encode, render
from chat.protocols import Progress, Reply
from curation.example import Example
from curation.mask import mask
from training.run.tokens import tokenise, with_system
from workspace.artefact import Artefact, ArtefactPart, read_artefact, revised, write_artefact
from workspace.errors import Refusal, RungError
from workspace.extras import require

GOLDEN = "golden.json"


class GoldenPrompt(ArtefactPart):
    """The turns as the run is asked, their tokens, and its greedy answer: tokens (the end token too) and text."""

    turns: list[dict[str, object]]
    prompt: str
    prompt_ids: list[int]
    ids: list[int]
    text: str


class Goldens(Artefact):
    """Up to 16 validation rows with the run's own answers, of at most `max_tokens` tokens; `tokenizer` is the folder
    of the release that holds one; `forms` the answers of changed forms, by name, where they were scored.
    """

    max_tokens: int
    tokenizer: str
    starts: int | None
    ends: list[int]
    items: list[GoldenPrompt]
    forms: dict[str, list[str]] = {}


def read_goldens(folder: Path) -> Goldens:
    """Return the golden prompts of a release. Raises Refusal if it holds none."""
    if not (folder / GOLDEN).is_file():
        raise Refusal(
            f"{folder.name} holds no golden prompts: they are kept with the form merged.",
            "rung release RUN --to merged",
        )
    return read_artefact(folder / GOLDEN, Goldens)


def add_answers(path: Path, answers: dict[str, list[str]]) -> None:
    """Put in what changed forms answered."""
    goldens = read_artefact(path, Goldens)
    write_artefact(path, revised(goldens, forms={**goldens.forms, **answers}))


PROMPTS = 16
NEW_TOKENS = 48
POSITIONS = 16
"""Logits are compared at the last so many positions of each golden row, answer included."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Output of a model on the golden prompts, and per prompt its logits (positions x vocabulary)."""

    items: list[GoldenPrompt]
    logits: list[Any]


@dataclass(frozen=True, slots=True)
class Parity:
    """`equal` of `prompts` greedy texts are the same; `top1` is the share of positions with the same best token."""

    prompts: int
    equal: int
    top1: float
    largest_logit_difference: float

    @property
    def words(self) -> str:
        """`16 of 16 equal, top-1 1.000, logits within 8e-05`."""
        equal = f"{self.equal} of {self.prompts} equal, top-1 {self.top1:.3f}"
        return f"{equal}, logits within {self.largest_logit_difference:.0e}"


def golden(model: Any, tokenizer: Any, rows: Sequence[Example], system_prompt: str | None) -> Golden:
    """Run the model on up to PROMPTS rows, greedily."""
    import torch

    model.eval()
    found = Golden([], [])
    with torch.no_grad():
        for row in rows[:PROMPTS]:
            turns = with_system(row.asked, system_prompt)
            prompt = render(tokenizer, turns, row.row.get("tools"))
            asked = encode(tokenizer, prompt)
            given = torch.tensor([asked], device=model.device)
            whole = model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
            answer = [int(token) for token in whole[0][len(asked) :]]
            text = str(tokenizer.decode(answer, skip_special_tokens=True))
            found.items.append(GoldenPrompt(turns=turns, prompt=prompt, prompt_ids=asked, ids=answer, text=text))
            ids = torch.tensor([tokenise(tokenizer, 1, row, system_prompt).ids], device=model.device)
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=POSITIONS).logits[0]
            found.logits.append(logits.float().cpu())
    return found


def compare(one: Golden, other: Golden) -> Parity:
    """Return the agreement of two models."""
    equal = sum(a.text == b.text for a, b in zip(one.items, other.items, strict=True))
    same = total = 0
    largest = 0.0
    for a, b in zip(one.logits, other.logits, strict=True):
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
        total += a.size(0)
        largest = max(largest, float((a - b).abs().max()))
    return Parity(len(one.items), equal, same / max(1, total), largest)


SAME = 0.999
"""Share of positions with the same best token, from which on two forms are equal."""


def demand_equal(parity: Parity, what: str) -> None:
    """Raise Refusal if a form that must be equal is not."""
    if parity.equal < parity.prompts or parity.top1 < SAME:
        raise Refusal(f"{what} is refused: {parity.words}. It must be equal to the run.", "rung release --to adapter")


Cause = Literal["template", "bos", "eos", "stop", "sampling", "numbers"]
CAUSES: dict[Cause, str] = {
    "template": "the chat template: the server's prompt holds other tokens than in training",
    "bos": "BOS twice: the template puts the begin token in, and the server one more",
    "eos": "EOS: the server goes on after the token that ends an answer",
    "stop": "the server ends the answer early: a stop text or a token limit of its own",
    "sampling": "sampling: asked twice with temperature 0, the server gives two answers",
    "numbers": "other numbers: the same prompt, but a quantised or other model, or another precision",
}
RUN = "the run"


@dataclass(frozen=True, slots=True)
class AnswerDifference:
    """Golden prompt `number` (from 1) went another way at token `place` (from 0) of the answer, or of the prompt where
    the cause lies there; `expected` and `found` are the tokens from just before on, as text.
    """

    number: int
    question: str
    cause: Cause
    place: int
    expected: list[str]
    found: list[str]
    texts: tuple[str, str]

    @property
    def side(self) -> str:
        """`prompt` where the server asks the model in other tokens than in training, else `answer`."""
        return "prompt" if self.cause in ("template", "bos") else "answer"

    @property
    def words(self) -> str:
        """One line: where, what was expected and found, why."""
        expected, found = (repr("".join(tokens)) if tokens else "nothing" for tokens in (self.expected, self.found))
        place = f"prompt {self.number}, {self.side} token {self.place}"
        return f"{place}: expected {expected}, found {found}. {CAUSES[self.cause]}."


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """`equal` of `prompts` texts are the run's; `matches` names the form that gave all of them when it was released
    (the run first), None if none did; `tokens` says how the prompts' tokens were known.
    """

    url: str
    model: str
    prompts: int
    equal: int
    matches: str | None
    tokens: str
    differences: list[AnswerDifference]
    warnings: list[str]

    @property
    def passed(self) -> bool:
        """True for the same prompts, and answers of the run or of one released form."""
        return self.matches is not None and not any(d.side == "prompt" for d in self.differences)

    @property
    def words(self) -> str:
        """`15 of 16 equal`."""
        return f"{self.equal} of {self.prompts} equal"

    def as_facts(self) -> dict[str, object]:
        """Return the facts for release.json."""
        causes = sorted({d.cause for d in self.differences})
        return {"prompts": self.prompts, "equal": self.equal, "tokens": self.tokens, "causes": causes}


class RunTokenizer:
    """The run's tokenizer, from its file; needs no torch."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise RungError(f"{folder}: no tokenizer.json.", "rung release verify DIR", where=str(folder))
        self._tokenizer = require("train", "tokenizers").Tokenizer.from_file(str(path))

    def ids(self, text: str) -> list[int]:
        """Return the token ids of a text as it is."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def texts(self, ids: Sequence[int]) -> list[str]:
        """Return each token by itself."""
        return [str(self._tokenizer.decode([token], skip_special_tokens=False)) for token in ids]


def check_server(endpoint: Endpoint, goldens: Goldens, folder: Path, progress: Progress | None = None) -> ServerCheck:
    """Replay the golden prompts of the release in `folder`. Raises RungError if the server does not answer."""
    tokens = RunTokenizer(folder / goldens.tokenizer)
    known, answers, differences = "counted by the server", [], []
    for number, item in enumerate(goldens.items, 1):
        answer = endpoint.answer(item.turns, goldens.max_tokens)
        told = endpoint.prompt(item.turns)
        known = "told by the server" if told else known if answer.input_tokens else "unknown"
        found = _in_prompt(goldens, item, told[1] if told else None, answer)
        found = found or _in_answer(endpoint, goldens, item, answer, tokens)
        answers.append(answer.text)
        if found:
            differences.append(_difference(number, item, answer, found, tokens))
        if progress:
            progress(number, len(goldens.items))
    equal = sum(text == item.text for text, item in zip(answers, goldens.items, strict=True))
    known_texts = {RUN: [item.text for item in goldens.items], **goldens.forms}
    matches = next((form for form, texts in known_texts.items() if texts == answers), None)
    warnings = _defaults(endpoint, goldens)
    return ServerCheck(endpoint.root, endpoint.model, len(goldens.items), equal, matches, known, differences, warnings)


def _in_prompt(
    goldens: Goldens, item: GoldenPrompt, ids: Sequence[int] | None, answer: Reply
) -> tuple[Cause, Sequence[int], Sequence[int]] | None:
    """Return why a prompt has other tokens, the expected ones and those found (none if only counted).

    The count is compared too: what a server makes of a template does not show a begin token that it adds later.
    """
    expected, counted = item.prompt_ids, answer.input_tokens
    begin = goldens.starts
    if ids is not None and list(ids) != expected:
        again = begin is not None and list(ids) == [begin, *expected]
        return ("bos" if again else "template"), expected, ids
    if counted in (0, len(expected)):
        return None
    twice = counted == len(expected) + 1 and begin is not None
    return ("bos" if twice else "template"), expected, [begin or 0, *expected] if twice else []


def _in_answer(
    endpoint: Endpoint, goldens: Goldens, item: GoldenPrompt, answer: Reply, tokens: RunTokenizer
) -> tuple[Cause, Sequence[int], Sequence[int]] | None:
    """Return an answer that goes another way, and why."""
    if answer.text == item.text:
        return None
    found, expected = tokens.ids(answer.text), [token for token in item.ids if token not in goldens.ends]
    ended = len(expected) < len(item.ids)
    if ended and answer.text.startswith(item.text):
        return "eos", item.ids, found
    if item.text.startswith(answer.text):
        return "stop", item.ids, found
    again = endpoint.answer(item.turns, goldens.max_tokens)
    return ("numbers" if again.text == answer.text else "sampling"), expected, found


def _difference(
    number: int,
    item: GoldenPrompt,
    answer: Reply,
    found: tuple[Cause, Sequence[int], Sequence[int]],
    tokens: RunTokenizer,
) -> AnswerDifference:
    cause, expected, got = found
    pairs = zip(expected, got, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(got)))
    question, run, server = map(mask, (str(item.turns[-1].get("content", "")), item.text, answer.text))
    counted = [f"{answer.input_tokens} tokens, not {len(expected)}"] if cause == "template" and not got else None
    shown = counted or tokens.texts(got[place : place + 5])
    return AnswerDifference(
        number, question, cause, place, tokens.texts(expected[place : place + 5]), shown, (run, server)
    )


def _defaults(endpoint: Endpoint, goldens: Goldens) -> list[str]:
    """Return how the server samples for clients that set no temperature: read if reported, else tried twice."""
    say = "Without a temperature this server samples ({}): send temperature 0, as it was measured."
    try:
        given = endpoint.ask("/props")["default_generation_settings"]["params"]["temperature"]
        return [say.format(f"its default is {given:g}")] if float(given) > 0 else []
    except (RungError, KeyError, TypeError, ValueError):
        pass
    first = goldens.items[0]
    texts = {endpoint.answer(first.turns, goldens.max_tokens, None).text for _ in range(2)}
    return [say.format("two tries differ from the greedy answer")] if texts != {first.text} else []
