"""Mutated pages through extraction and chunking: each is cut into passages or refused, and none fails."""

import random
import re
from collections.abc import Callable, Iterator
from datetime import date

import pyarrow as pa

from models.tokens import WordCounter
from schemas.corpus import ExtractSettings
from schemas.quarantine import Reason
from tasks.chunk import chunk_documents
from tasks.chunking.structure import StructureChunker
from tasks.extract import SOURCE, extract_pages

PAGES = 400
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Birds of the night &mdash; caf\u00e9</title>
<style>p { color: red }</style><script>var a = "<p>" + 1 < 2;</script></head><body class="home page">
<nav id="menu"><ul><li><a href="/">Home</a><li><a href="/owls">Owls</a></ul></nav>
<article class="post-body"><h1>Nightjars</h1><p>Nightjars catch moths on the wing, and <b>churr</b> from a branch.</p>
<table><tr><th>Name<th colspan="2">Size<tr><td rowspan=2>Pauraque<td>28 cm<td>\u9577\u3044<tr><td>a|b<td>c</table>
<h2>Voice</h2><ul><li>a churr<ol><li>at dusk<li>at dawn</ol><li>a <i>soft</i> call</ul>
<pre><code>def call():\n    return "churr"\n</code></pre><dl><dt id="f">f(x)<dd>Doubles.<dt>term<dd>meaning</dl>
<p>They nest on the ground; eggs are laid on bare earth.<br>Both parents sit.</p></article>
<footer>\u00a9 2026 <a href="/imprint">Imprint</a></footer></body></html>""".encode()
CHARSETS = ("utf-16", "utf-7", "koi8-r", "shift_jis", "iso-2022-jp", "hz", "base64", "rot13", "idna", "x" * 40)


def cut(page: bytes, draw: random.Random) -> bytes:
    return page[: draw.randrange(len(page))]


def flip(page: bytes, draw: random.Random) -> bytes:
    changed = bytearray(page)
    for _ in range(draw.randint(1, 60)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def repeat_tag(page: bytes, draw: random.Random) -> bytes:
    tag = draw.choice(list(re.finditer(rb"<[^>]*>", page)) or [re.match(b"", page)])
    return page[: tag.start()] + tag.group() * draw.choice((2, 50, 3000)) + page[tag.end() :] if tag else page


def nest(page: bytes, draw: random.Random) -> bytes:
    opening = draw.choice((b"<div>", b"<table><tr><td>", b"<ul><li>", b"<b><p>", b"<dl><dt id=a>", b"<svg><g>"))
    place = draw.randrange(len(page))
    return page[:place] + opening * draw.choice((10, 500, 3000)) + page[place:]


def grow_attribute(page: bytes, draw: random.Random) -> bytes:
    name = draw.choice((b"class", b"colspan", b"rowspan", b"start", b"style", b"charset", b"lang"))
    value = draw.choice((b"9000000000000000", b"-1", b"1e309", b"a-b " * 20_000, b'"' * 99, b"\xff" * 5000))
    return page.replace(b">", b" " + name + b"=" + value + b">", draw.randint(1, 5))


def claim_charset(page: bytes, draw: random.Random) -> bytes:
    return page.replace(b"utf-8", draw.choice(CHARSETS).encode())


def add_controls(page: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(page))
    run = draw.choice((b"\x00", b"\x0b\x1c\x85", b"&#0;&#xD800;&#x10FFFF;", "\u2028\u202e\ud7ff".encode(), b"<!--"))
    return page[:place] + run * draw.choice((1, 200)) + page[place:]


def shuffle(page: bytes, draw: random.Random) -> bytes:
    lines = page.split(b"\n")
    draw.shuffle(lines)
    return b"\n".join(lines)


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(cut, flip, repeat_tag, nest, grow_attribute, claim_charset, add_controls, shuffle),
)


def mutated(count: int) -> Iterator[bytes]:
    draw = random.Random(20261123)
    for _ in range(count):
        page = PAGE
        for mutate in draw.choices(MUTATIONS, k=draw.randint(1, 4)):
            page = mutate(page, draw) or PAGE
        yield page


def test_no_mutation_fails_and_every_passage_is_its_documents_text() -> None:
    rows = [
        {"url": f"http://a.test/{number}", "ds": date(2026, 1, 1), "body": body, "body_hash": str(number)}
        for number, body in enumerate(mutated(PAGES))
    ]
    pages = pa.Table.from_pylist([row | {"content_type": "text/html"} for row in rows], schema=SOURCE)
    documents = extract_pages(pages, ExtractSettings(), "nightjar")
    assert {rejection.reason for rejection in documents.rejections} <= {Reason.EMPTY_TEXT, Reason.NOT_HTML}
    assert len(documents.rows) + len(documents.rejections) == PAGES
    assert len(documents.rows) > PAGES * 0.8

    chunks = chunk_documents(documents.rows, StructureChunker(40, WordCounter()), "words")
    texts = dict(zip(documents.rows["doc_id"].to_pylist(), documents.rows["text"].to_pylist(), strict=True))
    assert chunks.rejections == ()
    assert set(chunks.rows["doc_id"].to_pylist()) == texts.keys()
    for row in chunks.rows.to_pylist():
        assert texts[row["doc_id"]][row["start"] : row["end"]] == row["text"]
        assert row["tokens"] <= 40
