"""Intake: PDFs, office files and folders become documents whose places have names."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import glyph
from glyph import open_document
from glyph.encode import write_pdf
from glyph.errors import DocumentError
from glyph.highlight import INK_ROLES, ink_roles
from glyph.intake import folder as folder_module
from glyph.intake import office, pdf, sections


def pdf_of(pages: list[list[str]]) -> bytes:
    """Return a PDF with lines of Helvetica, as small as the format allows."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 "
               b"/BaseFont /Helvetica >>"]  # fmt: skip
    kids: list[bytes] = []
    for lines in pages:
        shown = b"".join(b"(%s) Tj T* " % line.encode("latin-1") for line in lines)
        stream = b"BT /F1 11 Tf 14 TL 40 750 Td " + shown + b"ET"
        objects.append(b"<< /Length %d >> stream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return out + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n" % (count, len(out))


WRAPPED = [
    "The lease of the house by the river ends on the ninth of",
    "March, unless both sides agree to go on in writing before",
    "the first of February; nothing that was said aloud counts.",
]


def docx_of(paragraph: str) -> bytes:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    kinds = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    files = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'content-types"><Override PartName="/word/document.xml" ContentType="{kinds}"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'relationships"><Relationship Id="r" Type="{relations}" Target="word/document.xml"/>'
        "</Relationships>",
        "word/document.xml": f'<w:document xmlns:w="{word}"><w:body><w:p><w:r><w:t>{paragraph}'
        "</w:t></w:r></w:p></w:body></w:document>",
    }
    return zipped(files)


def epub_of(paragraph: str) -> bytes:
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles>'
        "</container>",
        "a.opf": '<package><metadata/><manifest><item id="c" href="c.xhtml"/></manifest>'
        '<spine><itemref idref="c"/></spine></package>',
        "c.xhtml": f"<html><body><h1>One</h1><p>{paragraph}</p></body></html>",
    }
    return zipped(files)


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_lines_of_a_pdf_are_joined_and_its_pages_are_sections(tmp_path: Path) -> None:
    path = tmp_path / "lease.pdf"
    path.write_bytes(pdf_of([WRAPPED * 4, ["Second page."]]))
    document = open_document(path)
    assert "ninth of March, unless both sides agree" in " ".join(document.text.split())
    assert [section.name for section in document.sections] == ["page 1", "page 2"]
    assert document.place_of(document.text.index("Second page")) == "page 2"
    assert document.place_of(document.text.index("lease")) == "page 1"
    assert document.notes[0] == "text taken out of a PDF of 2 pages"


def test_words_divided_at_the_end_of_a_line_are_whole_again() -> None:
    document = open_document(pdf_of([["They agreed in writing and counted the let-", "ters."]]))
    assert "counted the letters." in document.text


def test_sections_of_unwrapped_text_still_begin_where_their_page_begins() -> None:
    pages = [[f"Page {n} begins here and " + "goes on " * 6, *WRAPPED * 5] for n in range(5)]
    document = open_document(pdf_of(pages))
    assert any("unwrapped" in note for note in document.notes)
    for number, section in enumerate(document.sections):
        assert document.text[section.start :].startswith(f"Page {number} begins here")


def test_a_pdf_is_known_by_its_bytes_also_from_a_stream() -> None:
    assert "Second page." in open_document(io.BytesIO(pdf_of([["Second page."]]))).text


def test_scans_damage_and_passwords_are_one_sentence_each() -> None:
    scan = io.BytesIO()
    write_pdf(glyph.render("some words on a page").pages, scan, dpi=72)
    with pytest.raises(DocumentError, match="has 1 page but no text, as a scan has"):
        open_document(scan.getvalue(), name="scan.pdf")
    with pytest.raises(DocumentError, match=r"the PDF cut\.pdf is damaged"):
        open_document(b"%PDF-1.7 and then nothing", name="cut.pdf")


@pytest.mark.parametrize(("name", "make"), [("a.docx", docx_of), ("a.epub", epub_of)])
def test_office_files_become_markdown(name: str, make: "object", tmp_path: Path) -> None:
    assert callable(make)
    (tmp_path / name).write_bytes(make("The lease ends in March."))
    document = open_document(tmp_path / name)
    assert "The lease ends in March." in document.text
    assert (document.kind, document.encoding) == ("markdown", name.rpartition(".")[2])


def test_a_sheet_becomes_a_table() -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="the extra [documents] is not installed")
    book = openpyxl.Workbook()
    book.active.append(["item", "price"])
    book.active.append(["lamp", 17])
    buffer = io.BytesIO()
    book.save(buffer)
    text = open_document(buffer.getvalue(), name="prices.xlsx").text
    assert "| lamp | 17 |" in text


def test_damaged_and_exploding_archives_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = docx_of("words")
    with pytest.raises(DocumentError, match="damaged"):
        open_document(whole[: len(whole) // 2], name="a.docx")
    bomb = zipped({"word/document.xml": "\0" * (office.MAX_GROWTH * (1 << 16) + 1)})
    with pytest.raises(DocumentError, match="no honest document"):
        open_document(bomb, name="a.docx")
    broken = zipped({"[Content_Types].xml": "<a/>", "word/document.xml": "<broken"})
    with pytest.raises(DocumentError, match=r"a\.docx cannot be read"):
        open_document(broken, name="a.docx")
    monkeypatch.setattr(sections, "MAX_CHARACTERS", 10)
    with pytest.raises(DocumentError, match="more than 10 characters"):
        open_document(pdf_of([["Far more than ten characters."]]))


@pytest.fixture
def code_base(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "build").mkdir()
    (root / "README.md").write_text("# Project\n\nWhat it does.\n")
    (root / "src" / "limits.py").write_text('"""Limits."""\n\nRETRY_LIMIT = 17\n')
    (root / "src" / "notes.txt").write_bytes(b"one\r\ntwo\r\n")
    (root / ".git" / "config").write_text("hidden")
    (root / "build" / "out.py").write_text("made = True\n")
    (root / "src" / "local.log").write_text("noise")
    (root / "src" / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    (root / ".gitignore").write_text("build/\n")
    (root / "src" / ".gitignore").write_text("*.log\n")
    return root


def test_a_folder_is_its_texts_in_order_without_what_git_ignores(code_base: Path) -> None:
    document = open_document(code_base)
    names = [section.name for section in document.sections]
    assert names == ["README.md", "src/limits.py", "src/notes.txt"]
    assert (document.name, document.kind) == ("project", "code")
    assert document.notes[:2] == (
        "3 files of a folder",
        "1 file left out, not text, too large, or links (src/logo.png)",
    )
    for section in document.sections:
        source = (code_base / section.name).read_bytes().replace(b"\r\n", b"\n").decode()
        assert document.text[section.start : section.end] == source
        assert document.text[: section.start].endswith(f"=== {section.name} ===\n")


def test_a_place_names_file_and_line(code_base: Path) -> None:
    document = open_document(code_base)
    assert document.place_of(document.text.index("17")) == "src/limits.py:3"
    assert document.place_of(document.text.index("=== src")) is None
    assert open_document(code_base / "README.md").place_of(0) is None


def test_every_file_is_coloured_by_its_own_language(code_base: Path) -> None:
    document = open_document(code_base)
    roles_N = ink_roles(document)
    assert roles_N is not None and len(roles_N) == len(document.text)
    at = document.text.index('"""Limits')
    assert INK_ROLES[int(roles_N[at])] == "comment"
    heading = document.text.index("=== src/limits.py")
    assert not np.any(roles_N[heading : heading + 10])
    alone = ink_roles(open_document(code_base / "src" / "limits.py"))
    section = document.sections[1]
    assert alone is not None and (roles_N[section.start : section.end] == alone).all()


def test_asking_a_folder_names_the_file(code_base: Path) -> None:
    asked = glyph.ask(code_base, "What is the value of RETRY_LIMIT?")
    document = open_document(code_base)
    assert asked.answer.text == "17"
    assert document.place_of(asked.spans[0][0]) == "src/limits.py:3"


def test_large_files_and_links_are_left_out(
    code_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MAX_FILE_BYTES", 22)
    (code_base / "loop").symlink_to(code_base)
    names = [section.name for section in open_document(code_base).sections]
    assert names == ["src/notes.txt"]


def test_links_that_are_left_out_are_told(tmp_path: Path) -> None:
    (tmp_path / "gate.txt").write_text("The gate code is 9911.\n")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    notes = open_document(tmp_path).notes
    assert notes[1] == "2 files left out, not text, too large, or links (broken, itself)"


def test_bullets_of_symbol_fonts_in_a_pdf_are_bullets_that_every_font_has() -> None:
    assert pdf._plain("\uf0b7 one\r\n\uf0a7 two") == "\u2022 one\n\u25aa two"


def test_a_folder_without_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="holds no text"):
        open_document(tmp_path)
