"""Extraction: what a page says, as Markdown, and what is refused."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.corpus import ExtractSettings
from schemas.quarantine import Reason
from tasks.extract import extract_pages, extractor_id
from tasks.outcome import Outcome

FAST = ExtractSettings()


def extracted(
    *bodies: bytes,
    content_type: str | None = "text/html",
    settings: ExtractSettings = FAST,
    robots_tag: str | None = None,
) -> Outcome:
    rows = [
        {
            "url": f"http://a.test/{number}",
            "ds": date(2026, 11, 23),
            "body": body,
            "content_type": content_type,
            "body_hash": f"hash{number}",
            "robots_tag": robots_tag,
            "page_key": f"hash{number}",
        }
        for number, body in enumerate(bodies)
    ]
    return extract_pages(pa.Table.from_pylist(rows), settings, "nightjar")


def text_of(html: str) -> str:
    outcome = extracted(html.encode())
    assert not outcome.rejections
    text: str = outcome.rows.column("text")[0].as_py()
    return text


def test_headings_paragraphs_lists_and_code_become_markdown() -> None:
    html = """<title>Bees</title><h1>Bees</h1><p>They <b>fly</b> to <a href=/f>flowers</a>.</p>
        <ul><li>queen<li>drone<ol><li>first<li>second</ol></ul><pre><code>a = 1\n  b</code></pre>"""
    assert text_of(html) == (
        "# Bees\n\nThey fly to flowers.\n\n- queen\n- drone\n  1. first\n  2. second\n\n```\na = 1\n  b\n```"
    )


def test_data_table_keeps_rows_and_layout_table_leaves_no_trace() -> None:
    data = "<h1>t</h1><table><tr><th>name<th>size<tr><td>a|b<td>1<tr><td>c<td>2</table>"
    layout = "<h1>t</h1><table><tr><td><h2>Left</h2><p>one<p>two</td><td>side</td></tr></table>"
    assert text_of(data) == "# t\n\n| name | size |\n| --- | --- |\n| a\\|b | 1 |\n| c | 2 |"
    assert text_of(layout) == "# t\n\n## Left\n\none\n\ntwo\n\nside"


def test_documented_terms_are_headings_and_glossary_terms_list_items() -> None:
    html = """<h1>m</h1><dl><dt><a name=f><b>f</b></a>(x)</dt><dd>Doubles.</dd></dl>
        <h2>Words</h2><dl><dt>term<dd>meaning<dt>other</dl>"""
    assert text_of(html) == "# m\n\n## f(x)\n\nDoubles.\n\n## Words\n\n- term: meaning\n- other"


def test_preformatted_prose_is_structured() -> None:
    pre = "Truth\n=====\n\nAny object can be tested\nfor truth value:\n\n* None\n* False and\n  zero\n\n   x = f(1)\n"
    expected = (
        "# h\n\n## Truth\n\nAny object can be tested for truth value:\n\n- None\n- False and zero\n\n```\nx = f(1)\n```"
    )
    assert text_of(f"<h1>h</h1><pre>{pre}</pre>") == expected


def test_navigation_is_left_out_with_the_heading_above_it() -> None:
    html = """<nav>menu</nav><p><a href=/>home</a></p><h1>t</h1><p>content here</p>
        <h2>See also</h2><p><a href=/a>this</a> <a href=/b>that</a></p><footer>imprint</footer>"""
    assert text_of(html) == "# t\n\ncontent here"


def test_page_of_links_alone_keeps_them() -> None:
    assert text_of("<h1>Index</h1><p><a href=/a>this</a> <a href=/b>that</a></p>") == "# Index\n\nthis that"


def test_volatile_text_is_removed() -> None:
    settings = ExtractSettings(volatile=("(?<= at )0x[0-9a-f]+",))
    outcome = extracted(b"<p>object at 0x7f00ab is here</p>", settings=settings)
    assert outcome.rows.column("text")[0].as_py() == "object at  is here"
    assert extractor_id(settings, "nightjar") != extractor_id(FAST, "nightjar")


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"%PDF-1.7", "application/pdf", Reason.NOT_HTML),
        (b"%PDF-1.7", "text/html", Reason.NOT_HTML),
        (b"just words", "text/plain", Reason.NOT_HTML),
        (b"<html><body> <script>x</script> </body></html>", "text/html", Reason.EMPTY_TEXT),
        (b"", "text/html", Reason.EMPTY_TEXT),
    ],
)
def test_what_has_no_text_is_refused_with_a_reason(body: bytes, content_type: str, reason: Reason) -> None:
    outcome = extracted(body, content_type=content_type)
    assert outcome.rows.num_rows == 0
    assert [(rejection.source_key, rejection.reason) for rejection in outcome.rejections] == [("hash0", reason)]


@pytest.mark.parametrize(
    ("html", "robots_tag", "detail"),
    [
        ("<meta name=robots content=noindex><p>text", None, "http://a.test/0: its robots meta element says noindex"),
        ("<meta name=NightJar content=none><p>text", None, "http://a.test/0: its robots meta element says noindex"),
        ("<p>text", "otherbot: noai\nnoindex", "http://a.test/0: its X-Robots-Tag header says noindex"),
    ],
)
def test_a_noindex_page_is_no_document_unless_told_otherwise(html: str, robots_tag: str | None, detail: str) -> None:
    refused = extracted(html.encode(), robots_tag=robots_tag)
    assert refused.rows.num_rows == 0
    assert [(rejection.reason, rejection.detail) for rejection in refused.rejections] == [(Reason.NOINDEX, detail)]
    (row,) = extracted(html.encode(), robots_tag=robots_tag, settings=ExtractSettings(obey=("noai",))).rows.to_pylist()
    assert "noindex" in row["directives"]


def test_what_a_page_says_stands_beside_its_text() -> None:
    html = """<link rel=canonical href=/home><link rel=license href=/free><meta name=date content=2024-05-06>
        <meta name=robots content=nofollow><p>text"""
    (row,) = extracted(html.encode(), robots_tag="noai\nnoarchive").rows.to_pylist()
    assert (row["canonical_url"], row["licence"]) == ("http://a.test/home", "http://a.test/free")
    assert (row["published_at"], row["modified_at"]) == (date(2024, 5, 6), None)
    assert (row["directives"], row["withheld"]) == (["noai", "noarchive", "nofollow"], True)
    assert row["robots_tag"] == "noai\nnoarchive"
    (row,) = extracted(b"<p>text", robots_tag="noai", settings=ExtractSettings(obey=())).rows.to_pylist()
    assert (row["directives"], row["withheld"]) == (["noai"], False)
    (row,) = extracted(b"<p>text").rows.to_pylist()
    assert (row["directives"], row["withheld"], row["licence"]) == ([], False, None)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<p>Grüße aus Köln</p>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
        ("<meta charset=windows-1252><p>Grüße aus Köln</p>".encode("cp1252"), "text/html"),
        ("<p>Grüße aus Köln</p>".encode("utf-16"), "text/html"),
        ("<p>Grüße aus Köln</p>".encode(), "text/html; charset=koi8-r"),
        ("<p>Grüße aus Köln</p>".encode("latin-1"), "text/html; charset=utf-8"),
        ("<p>Grüße aus Köln</p>".encode(), "text/html; charset=no-such-thing"),
        ("<p>Grüße aus Köln</p>".encode(), None),
        ("<meta charset=idna><p>Grüße aus Köln</p>".encode("latin-1"), "text/html; charset=punycode"),
    ],
)
def test_encodings_are_found_out(body: bytes, content_type: str | None) -> None:
    assert extracted(body, content_type=content_type).rows.column("text")[0].as_py() == "Grüße aus Köln"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "deep",
        "<ul><li>" * 50_000 + "deep",
        "<span>" * 50_000 + "<p>" * 50_000 + "deep",
        "<table><tr><td>" * 30_000 + "deep",
        "<dl><dt id=a>" * 20_000 + "deep",
        "<b><p>" * 20_000 + "deep",
        "<table><tr><td colspan=9000000000000000>deep<td>a<tr><td rowspan=99999999999>b<td>c</table>",
        "deep\x00\x00<p>\x00",
        "deep " + "x" * 3_000_000,
    ],
    ids=lambda html: html[:16],
)
def test_hostile_pages_keep_their_text(html: str) -> None:
    assert "deep" in text_of(html)


PIECES = """
    <p> </p> <table> <tr> <td> </table> <ul> <li> </ul> <h2> </h3> <pre> </pre> <dl> <dt%id=x> <dd> </dl> <br> &nbsp;
    <a%href=x> </a> <!-- --> words%of%text x=1;%% \x00 <td%class=title> < &#0; </body> <svg> <template> <div> </div>
"""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([piece.replace("%", " ") for piece in PIECES.split()]), max_size=60))
def test_mutated_pages_never_fail(pieces: list[str]) -> None:
    reasons = {rejection.reason for rejection in extracted("".join(pieces).encode()).rejections}
    assert reasons <= {Reason.EMPTY_TEXT, Reason.NOT_HTML}
