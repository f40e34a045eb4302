"""Documents of every kind that is read, as passages for retrieval and for drafts."""

import io
import zipfile

import pytest

from curation.documents import ENDINGS, paragraphs_of
from curation.generate.material import passages_of
from evaluation.arms.prompted import passages
from evaluation.retrieval import Bm25, read_documents
from workspace.errors import RungError
from workspace.folder import Project

PAGE = """
<html><head><title>Unread</title><style>p { color: red }</style></head><body><h1>Cards</h1>
<p>A lost card is <b>blocked</b>
   at once.</p><script>var unread = 1;</script>
<ul><li>Call us</li><li>Say &quot;lost&quot;</li></ul>
<table><tr><th>Kind</th><th>Fee</th></tr><tr><td>Lost</td><td>5 &euro;</td></tr></table></body></html>
"""


def pdf(path, *pages, password=""):
    """One page a text, its lines below one another."""
    import cairosvg
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    for text in pages:
        lines = "".join(f'<text x="20" y="{40 + 20 * n}">{line}</text>' for n, line in enumerate(text.splitlines()))
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="800">{lines}</svg>'
        writer.append(PdfReader(io.BytesIO(cairosvg.svg2pdf(bytestring=svg.encode()))))
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    with path.open("wb") as file:
        writer.write(file)
    return path


def word(path):
    import docx

    made = docx.Document()
    made.add_heading("Cards")
    made.add_paragraph("A lost card is ").add_run("blocked at once.")
    table = made.add_table(2, 2)
    for cell, text in zip([c for row in table.rows for c in row.cells], ("Kind", "Fee", "Lost", "5 euro"), strict=True):
        cell.text = text
    made.add_paragraph("")
    made.add_paragraph("Call us.")
    made.save(path)
    return path


def texts(path):
    return [paragraph.text for paragraph in paragraphs_of(path, path.name)]


def test_retrieval_and_drafts_take_passages_of_every_kind(tmp_path):
    project = Project(tmp_path)
    project.documents.mkdir()
    (project.documents / "a.html").write_text(PAGE)
    (project.documents / "b.md").write_text("# Cards\n\nA lost card is blocked at once.\n")
    (project.documents / "c.txt").write_text("A lost card is blocked at once.\n")
    word(project.documents / "d.docx")
    pdf(project.documents / "e.pdf", "On another page.", "A lost card is blo-\ncked at once.")
    (project.documents / "f.png").write_bytes(b"\x89PNG")
    said = ["Cards", "A lost card is blocked at once."]
    assert texts(project.documents / "a.html") == [*said, "Call us", 'Say "lost"', "Kind | Fee", "Lost | 5 €"]
    assert texts(project.documents / "d.docx") == [*said, "Kind | Fee", "Lost | 5 euro", "Call us."]
    found = Bm25(read_documents(project.documents)).search("lost card blocked", 5)
    assert sorted(passage.file for passage in found) == ["a.html", "b.md", "c.txt", "d.docx", "e.pdf"]
    assert "e.pdf, p. 2: " in passages(found) and {p.id for p in found} >= {"b.md:2", "e.pdf:2"}
    places = [passage.place for passage in passages_of(project.documents, project)]
    assert [place.removeprefix("documents/") for place in places] == [
        "a.html:2", "b.md:1", "c.txt:1", "d.docx:1", "e.pdf:p. 1", "e.pdf:p. 2",
    ]  # fmt: skip
    assert {f".{passage.file.split('.')[1]}" for passage in found} | {".htm"} == set(ENDINGS)


def test_a_scan_and_a_locked_pdf_are_named(tmp_path):
    for path in (pdf(tmp_path / "a.pdf", ""), pdf(tmp_path / "b.pdf", "Secret.", password="x")):
        with pytest.raises(RungError) as told:
            texts(path)
        assert told.value.where == str(path)


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><d>&b;</d>'


def packed(content, header=b""):
    """A docx of this; with `header`, its packing is not what it says."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("word/document.xml", content)
    data = file.getvalue()
    central = data.index(b"PK\1\2")
    if header:
        data = data[:6] + header + data[10 : central + 8] + header + data[central + 12 :]
    return data


@pytest.mark.parametrize("name", ["a.pdf", "a.docx"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no document at all",
        b"%PDF-1.4 cut",
        b"PK\x03\x04 cut",
        packed(BOMB),
        packed(f"<!--{'x' * 2000}-->{BOMB}"),
        packed(BOMB.encode("utf-16")),
        packed("<d/>", b"\1\0\0\0"),  # locked
        packed("<d/>", b"\0\0\x63\0"),  # packed by nobody knows what
        packed("<d/>", b"\0\0\x08\0"),  # not what it says
    ],
)
def test_a_document_that_is_damaged_swells_or_is_locked_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RungError) as told:
        texts(tmp_path / name)
    assert told.value.where == str(tmp_path / name) and told.value.hint
