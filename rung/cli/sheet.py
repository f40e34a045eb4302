"""The questionnaire on paper: plain text, and a Markdown sheet to print and fill in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from advisor.rulebook import Question, Rulebook
from rung.report.rules_words import condition_words, value_words

NUMBER = {"integer": "a whole number", "number": "a number", "text": "a name"}


def text_lines(book: Rulebook) -> Iterator[str]:
    """Each question with its key and answers."""
    for number, question in enumerate(book.questions.values(), 1):
        yield f"{number}. {question.text}   ({question.id})"
        for choice in question.answers:
            yield f"     {value_words(choice.value):<22} {choice.text}"
        if not question.answers:
            yield f"     {NUMBER[question.kind]}"
        yield f"     {'unknown':<22} Don't know"
    yield ""
    yield "Next: rung advise --answers answers.toml      On paper: rung questions --format markdown"


def markdown_lines(book: Rulebook) -> Iterator[str]:
    """A sheet with boxes; "don't know" is always one of them."""
    yield "# Should we fine-tune? Questions"
    yield ""
    yield f"Rulebook {book.version}. Tick one box a question; skip what does not apply."
    yield "Then write the keys and values into `answers.toml` and run `rung advise --answers answers.toml`."
    for number, question in enumerate(book.questions.values(), 1):
        yield ""
        yield f"## {number}. {question.text}"
        yield ""
        yield f"*Why we ask: {question.why}*{_only_if(question, book.questions)}"
        yield ""
        for choice in question.answers:
            example = f" (for example: {choice.example})" if choice.example else ""
            yield f"- [ ] {choice.text}{example}  `{question.id} = {_literal(choice.value)}`"
        if not question.answers:
            yield f"- [ ] ____________ ({NUMBER[question.kind]})  `{question.id} = ...`"
        yield f'- [ ] Don\'t know  `{question.id} = "unknown"`'


def _only_if(question: Question, questions: Mapping[str, Question]) -> str:
    given = {key: allowed for key, allowed in question.when.items() if key in questions}
    return f" Only if {condition_words(given)}." if given else ""


def _literal(value: object) -> str:
    return value_words(value) if isinstance(value, bool) else f'"{value}"'
