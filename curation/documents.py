"""The project's documents as paragraphs: Markdown, text, HTML, DOCX and PDF, each with its place.

DOCX and HTML are read by the standard library, PDF by pypdf (docs/decisions/016-documents-by-pypdf.md). Only
words are read: pictures are ignored, scripts are not run, links are not opened.
"""

from __future__ import annotations

import logging
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from workspace.errors import RungError

ENDINGS = (".md", ".txt", ".html", ".htm", ".docx", ".pdf")
PIECE = 600
"""Characters from which a paragraph of a PDF ends at the end of a sentence: a page does not say where its own end."""
LARGEST = 64 << 20
"""Bytes of text in a DOCX that are read."""
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of `file` (below documents/), and where it begins: a line, a page (`p. 3`) or its number."""

    text: str
    file: str
    start: str


def document_files(folder: Path) -> list[Path]:
    """Return the files below `folder` that can be read, in order of their paths; links are left out."""
    found = folder.rglob("*") if folder.is_dir() else ()
    return sorted(p for p in found if p.suffix.lower() in ENDINGS and p.is_file() and not p.is_symlink())


def paragraphs_of(path: Path, name: str) -> Iterator[Paragraph]:
    """Yield the paragraphs of the file `name`. Raises RungError if it is damaged, locked or holds no text."""
    kind = path.suffix.lower()
    if kind in (".pdf", ".docx"):
        found = _pdf(path) if kind == ".pdf" else _docx(path)
    else:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        found = _blocks(text) if kind in (".md", ".txt") else _html(text)
    empty = True
    for start, text in found:
        if text.strip():
            empty = False
            yield Paragraph(text, name, start)
    if empty and kind in (".pdf", ".docx"):
        scan = " (a scan?)" if kind == ".pdf" else ""
        raise _fault(path, f"no text in it{scan}", "make its text readable (OCR), or take it out of the folder")


def _fault(path: Path, what: str, hint: str) -> RungError:
    return RungError(f"{path}: {what}.", hint, where=str(path))


def listed(passages: Sequence[tuple[str, str]]) -> str:
    """Return passages, each with its file, as a model reads them; empty if there is none."""
    lines = [f"[{number}] {file}: {text}" for number, (file, text) in enumerate(passages, 1)]
    return "\n".join(["Passages:", *lines]) if lines else ""


def used_words(passage: str, answer: str) -> list[tuple[str, bool]]:
    """Return the passage in pieces, each with whether the answer uses its words.

    A piece that is used is a run of words of the answer with a number or a word of four letters among them.
    """
    said = {word.lower() for word in re.findall(r"\w+", answer)}
    found: list[tuple[str, bool]] = []
    end = 0
    for is_used, group in groupby(re.finditer(r"\w+", passage), lambda word: word[0].lower() in said):
        run = list(group)
        if is_used and any(len(word[0]) > 3 or word[0].isdigit() for word in run):
            found += [(passage[end : run[0].start()], False), (passage[run[0].start() : run[-1].end()], True)]
            end = run[-1].end()
    return [piece for piece in (*found, (passage[end:], False)) if piece[0]]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield blocks between blank lines, with the number of their first line."""
    block: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.strip():
            block.append(line)
        elif block:
            yield str(number - len(block)), "\n".join(block)
            block = []


def _html(text: str) -> Iterator[tuple[str, str]]:
    page = _Page()
    page.feed(text)
    page.close()
    page.end()
    return iter(page.found)


class _Page(HTMLParser):
    """Collects the text of a page: a paragraph for each block, its white space as one space."""

    BLOCKS = frozenset((
        "address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "figcaption", "footer",
        "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
        "table", "tr", "ul",
    ))  # fmt: skip
    UNREAD = frozenset(("script", "style", "head", "template", "noscript"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.line = 1
        self.unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block, or a part that is not read."""
        self.unread += tag in self.UNREAD
        if tag in self.BLOCKS:
            self.end()
        elif tag in ("td", "th") and any(map(str.strip, self.said)):
            self.said.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        """End a block, or a part that is not read."""
        self.unread -= tag in self.UNREAD and self.unread > 0
        if tag in self.BLOCKS:
            self.end()

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not self.unread:
            if not any(map(str.strip, self.said)):
                self.line = self.getpos()[0] + len(data) - len(data.lstrip("\n"))
            self.said.append(data)

    def end(self) -> None:
        """End the block."""
        text = " ".join("".join(self.said).split())
        self.said = []
        if text:
            self.found.append((str(self.line), text))


def _docx(path: Path) -> Iterator[tuple[str, str]]:
    """Yield paragraphs by their number; a row of a table is one, its cells apart by ` | `."""
    try:
        with zipfile.ZipFile(path) as packed, packed.open("word/document.xml") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST or b"<!DOCTYPE" in content.replace(b"\0", b""):  # in UTF-16 too
            raise _fault(path, "not a document that can be read", "save it again in its program")
        body = ElementTree.fromstring(content).find(f"{W}body")
    except (zipfile.BadZipFile, zlib.error, KeyError, ElementTree.ParseError, OSError, EOFError, RuntimeError) as error:
        raise _fault(path, f"cannot be read as DOCX ({error})", "save it again in its program") from error
    texts = (text for block in (body if body is not None else ()) for text in _block_texts(block))
    for number, text in enumerate(texts, 1):
        yield str(number), text


def _block_texts(block: ElementTree.Element) -> Iterator[str]:
    if block.tag == f"{W}tbl":
        for row in block.iter(f"{W}tr"):
            yield " | ".join(" ".join(map(_words, cell.iter(f"{W}p"))).strip() for cell in row.findall(f"{W}tc"))
    else:
        for paragraph in [block] if block.tag == f"{W}p" else block.iter(f"{W}p"):
            yield _words(paragraph)


def _words(paragraph: ElementTree.Element) -> str:
    """Return the text of a paragraph; what was deleted under "track changes" is not in `w:t`."""
    marks = {f"{W}tab": "\t", f"{W}br": "\n"}
    return "".join(part.text or "" if part.tag == f"{W}t" else marks.get(part.tag, "") for part in paragraph.iter())


def _pdf(path: Path) -> Iterator[tuple[str, str]]:
    """Yield paragraphs by their page: blocks between blank lines, cut at the end of a sentence where they are long."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise _fault(path, "needs a password", "save it without one")
        pages = [page.extract_text() for page in reader.pages]
    except (PyPdfError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _fault(path, f"cannot be read as PDF ({error})", "save it again, or as text") from error
    for number, text in enumerate(pages, 1):
        for _, block in _blocks(re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text)):
            for piece in _sentences(block):
                yield f"p. {number}", piece


def _sentences(block: str) -> Iterator[str]:
    """Yield a block in pieces that end a line with a sentence, from PIECE characters on."""
    lines: list[str] = []
    for line in block.splitlines():
        lines.append(line.strip())
        if sum(map(len, lines)) >= PIECE and line.rstrip().endswith((".", "!", "?", ":", "。")):
            yield " ".join(lines)
            lines = []
    if lines:
        yield " ".join(lines)
