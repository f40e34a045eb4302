"""Rows into tokens, those of the answer (or of every assistant turn) marked for training, and checked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.local.prompt import common_beginning, encode, render, render_whole
from chat.protocols import Turn
from chat.thinking import Marks, is_open, marks_of
from chat.tool_calls import calls_of
from curation.example import Example, is_trained, text_of
from training.plan.recipe import Loss, Recipe
from workspace.errors import Refusal, RungError

IGNORED = -100
"""The label of a token that is not trained."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row: token ids, and labels that are the id where it is trained and IGNORED elsewhere. `row` counts from 1."""

    row: int
    ids: list[int]
    labels: list[int]

    @property
    def trained(self) -> int:
        """Return the number of trained tokens."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(slots=True)
class EncodedRows:
    """Rows that train, and lines too long or without a trained token. `eos_trained`: rows with an end token."""

    rows: Sequence[Tokens] = ()
    too_long: list[int] = field(default_factory=list)
    masked: list[int] = field(default_factory=list)
    eos_trained: int = 0


def with_system(turns: Sequence[Turn], system_prompt: str | None) -> list[dict[str, Any]]:
    """Return the turns with their system message replaced; as they are where no system prompt is set."""
    if system_prompt is None:
        return [dict(turn) for turn in turns]
    others = [dict(turn) for turn in turns if turn.get("role") != "system"]
    return [{"role": "system", "content": system_prompt}, *others] if system_prompt else others


def tokenise(tokenizer: Any, row: int, example: Example, system_prompt: str | None, loss: Loss = "last") -> Tokens:
    """Render with the model's chat template, once open for the answer and once whole.

    As in trl, the answer begins where the two token lists part. A prompt that opens the model's thinking keeps its own
    tokens, as the tuned model is asked with them: the answer then closes the thinking first. With `loss` all, earlier
    assistant turns are trained too. Raises RungError if the template writes them otherwise than it asks for them.
    """
    asked = with_system(example.asked, system_prompt)
    tools = example.row.get("tools")
    prompt = render(tokenizer, asked, tools)
    text = render_whole(tokenizer, [*asked, dict(example.messages[-1])], tools)
    start, whole = encode(tokenizer, prompt), encode(tokenizer, text)
    marks = marks_of(str(tokenizer.chat_template))
    if marks is not None and is_open(prompt, marks) and whole[: len(start)] != start:
        whole = [*start, *encode(tokenizer, _closed(prompt, text, marks))]
    shared = common_beginning([start, whole])
    labels = [IGNORED] * shared + whole[shared:]
    for span in _earlier(tokenizer, asked, prompt, tools) if loss == "all" else ():
        begin, end = (common_beginning([encode(tokenizer, prompt[:at]), whole]) for at in span)
        labels[begin:end] = whole[begin:end]
    return Tokens(row, whole, labels)


def _earlier(tokenizer: Any, asked: Sequence[Turn], prompt: str, tools: Any) -> Iterator[tuple[int, int]]:
    """Yield the start and end in the prompt of each assistant turn to be trained, with its closing tokens.

    A turn begins where the prompt that asks for it ends. Some templates drop the thinking of a turn once others follow,
    and an end token that closes the whole row: then what they keep of it is trained.
    """
    for place, turn in enumerate(asked):
        if turn["role"] != "assistant" or not is_trained(turn):
            continue
        opened = render(tokenizer, asked[:place], tools)
        closed = render_whole(tokenizer, asked[: place + 1], tools)
        said, follows = closed[common_beginning([opened, closed]) :], prompt[len(opened) :]
        kept = _kept(said, follows) or _kept(said.removesuffix(str(tokenizer.eos_token)), follows)
        wanted = [text_of(turn.get("content")).strip(), *(str(call["name"]) for call in calls_of(turn))]
        if not prompt.startswith(opened) or not all(text in kept for text in wanted):
            raise RungError(
                f"The model's chat template writes message {place + 1} in another way once a message follows it, so "
                'loss = "all" cannot train it as the model will be asked for it.',
                '[training] loss = "last"',
            )
        yield len(opened), len(opened) + len(kept)


def _kept(said: str, follows: str) -> str:
    """Return the longest end of a turn that the prompt goes on with; empty if there is none."""
    return next((said[at:] for at in range(len(said)) if follows.startswith(said[at:])), "")


def _closed(prompt: str, text: str, marks: Marks) -> str:
    """Return the text after a prompt that opens the thinking: its close, the answer, and the end of the row."""
    begun = prompt[: prompt.rindex(marks.open)]
    answer = text.removeprefix(begun).removeprefix(marks.open)
    thought, close, rest = answer.partition(marks.close)
    if not close:
        thought, rest = "", marks.after + answer
    said = f"{thought.strip()}\n" if thought.strip() else "\n"
    return f"{said}{marks.close}{rest}"


def training_rows(
    tokenizer: Any,
    examples: Iterable[Example],
    system_prompt: str | None,
    max_length: int,
    found: EncodedRows,
    loss: Loss = "last",
) -> Iterator[Tokens]:
    """Yield the rows one by one; `found` lists those left out, as over `max_length`: a cut answer teaches to stop."""
    for number, example in enumerate(examples, 1):
        tokens = tokenise(tokenizer, number, example, system_prompt, loss)
        if len(tokens.ids) > max_length:
            found.too_long.append(number)
        elif not tokens.trained:
            found.masked.append(number)
        else:
            found.eos_trained += trains_end(tokenizer, tokens)
            yield tokens


def trains_end(tokenizer: Any, tokens: Tokens) -> bool:
    """True if a row trains an id that ends an answer: one of the model's, else the tokenizer's end token."""
    return not {*getattr(tokenizer, "answer_ends", [tokenizer.eos_token_id])}.isdisjoint(tokens.labels)


SHOWN = 5


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row as the model sees it: its text in pieces, each with whether it is trained."""

    row: int
    pieces: list[tuple[str, bool]]
    tokens: int
    trained: int


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """`rows` train; `too_long` and `masked` list the lines that do not. `eos_trained` counts rows with an end token."""

    rows: int
    tokens: int
    trained: int
    longest: int
    eos_trained: int
    too_long: list[int] = field(default_factory=list)
    masked: list[int] = field(default_factory=list)
    shown: list[ShownRow] = field(default_factory=list)


def check(tokenizer: Any, encoded: EncodedRows, recipe: Recipe) -> TokenCheck:
    """Count and render. Raises Refusal if no row can train, or none teaches the model to end its answer."""
    rows = encoded.rows
    if not rows:
        raise Refusal(
            f"No row can train: {len(encoded.too_long)} over {recipe.max_length} tokens, "
            f"{len(encoded.masked)} without a trained token.",
            "rung plan",
        )
    if not encoded.eos_trained:
        raise Refusal(
            "No row trains the end token: the chat template closes no answer, so the model would never stop.",
            "Name a base model whose template ends an answer: [model] base",
        )
    return TokenCheck(
        rows=len(rows),
        tokens=sum(len(row.ids) for row in rows),
        trained=sum(row.trained for row in rows),
        longest=max(len(row.ids) for row in rows),
        eos_trained=encoded.eos_trained,
        too_long=encoded.too_long,
        masked=encoded.masked,
        shown=[show(tokenizer, row) for row in rows[:SHOWN]],
    )


def show(tokenizer: Any, tokens: Tokens) -> ShownRow:
    """Return neighbouring tokens of one kind together, decoded with their special tokens."""
    runs: list[tuple[list[int], bool]] = []
    for token, label in zip(tokens.ids, tokens.labels, strict=True):
        is_trained = label != IGNORED
        if not runs or runs[-1][1] != is_trained:
            runs.append(([], is_trained))
        runs[-1][0].append(token)
    pieces = [(str(tokenizer.decode(ids)), is_trained) for ids, is_trained in runs]
    return ShownRow(tokens.row, pieces, len(tokens.ids), tokens.trained)
