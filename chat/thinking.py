"""Thinking before an answer: its marks, its separation from the answer, and its token room."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marks:
    """The texts that open and close thinking."""

    open: str
    close: str
    after: str = ""
    """Text between the closing tag and the answer."""


ROOM = 4096
"""Tokens that thinking may take where `thinking_tokens` in `Ask.meta` says nothing else."""
KNOWN = (
    Marks("<think>", "</think>", "\n\n"),
    Marks("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    Marks("<|channel>thought", "<channel|>"),
    Marks("[THINK]", "[/THINK]"),
)
"""DeepSeek R1, Qwen, GLM, Nemotron and others; gpt-oss; Gemma 4; Magistral."""
OF_BEDROCK = Marks("<reasoning>", "</reasoning>")
"""gpt-oss on Bedrock alone: rows may ask any other model for an answer in these tags."""


def spoken(text: str, marks: tuple[Marks, ...] = KNOWN) -> str:
    """Return the answer in a reply: what follows the thinking; empty if the reply ends before the thinking does."""
    for each in marks:
        if each.close in text:
            return text.rpartition(each.close)[2].strip()
        if text.lstrip().startswith(each.open):
            return ""
    return text


def marks_of(template: str) -> Marks | None:
    """Return the marks that a chat template writes; None for a model that does not think."""
    return next((marks for marks in KNOWN if marks.open in template or marks.close in template), None)


def is_open(prompt: str, marks: Marks) -> bool:
    """True if a rendered prompt ends inside the thinking, so that the model continues it."""
    return prompt.rfind(marks.open) > prompt.rfind(marks.close)


def is_off(prompt: str, marks: Marks) -> bool:
    """True if a rendered prompt ends after closed thinking, so that the model answers at once."""
    return prompt.rstrip().endswith(marks.close)


def answering(prompt: str, marks: Marks | None) -> str:
    """Return the prompt with its thinking closed: where a given answer would begin."""
    return f"{prompt.rstrip(chr(10))}\n\n{marks.close}{marks.after}" if marks and is_open(prompt, marks) else prompt


def switched(template: str, enable_thinking: bool | None) -> str:
    """Return the chat template with thinking switched on or off, whoever renders it; unchanged for None."""
    if enable_thinking is None:
        return template
    return f"{{%- set enable_thinking = {str(enable_thinking).lower()} -%}}" + template


def named(name: str, enable_thinking: bool | None) -> str:
    """Return a model's name that tells its switched thinking: replies are kept by it."""
    return name if enable_thinking is None else f"{name} thinking {'on' if enable_thinking else 'off'}"
