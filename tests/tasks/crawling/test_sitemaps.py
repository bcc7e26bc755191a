"""What sitemaps list is taken; what they try beside that is not."""

import gzip
from pathlib import Path

import pytest

from tasks.crawling.sitemaps import MAX_URLS, Listing, SitemapError, read_listing

SITE = "http://site.example"
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def read(text: str) -> Listing:
    return read_listing(text.encode(), SITE + "/sitemap.xml")


def test_pages_and_indexes() -> None:
    image = '<i:image xmlns:i="http://www.google.com/schemas/sitemap-image/1.1"><i:loc>/picture</i:loc></i:image>'
    pages = f"<urlset {NAMESPACE}><url><loc> /a </loc><lastmod>2026</lastmod>{image}</url><url><loc/></url></urlset>"
    assert read(pages) == Listing("sitemap", ["/a"])
    assert read_listing(gzip.compress(pages.encode()), SITE + "/x.gz") == Listing("sitemap", ["/a"])
    index = f"<sitemapindex {NAMESPACE}><sitemap><loc>/1.xml</loc></sitemap></sitemapindex>"
    assert read(index) == Listing("sitemap_index", ["/1.xml"])
    robots = b"User-agent: *\nDisallow: /x\nSitemap: http://site.example/1.xml\nsitemap: http://site.example/2.xml\n"
    assert read_listing(robots, SITE + "/robots.txt").urls == [SITE + "/1.xml", SITE + "/2.xml"]


def test_only_the_first_entries_count() -> None:
    assert len(read("<urlset>" + "<url><loc>/a</loc></url>" * (MAX_URLS + 9)).urls) == MAX_URLS


def test_entities_are_not_expanded_and_files_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    outside = f'<!DOCTYPE urlset [<!ENTITY file SYSTEM "file://{tmp_path}/secret">]>'
    listing = read(f"{outside}<urlset><url><loc>/a&file;</loc></url></urlset>")
    assert all("secret" not in url for url in listing.urls)
    laughs = "".join(f'<!ENTITY l{step} "{f"&l{step - 1};" * 10}">' for step in range(1, 12))
    with pytest.raises(SitemapError, match="amplification"):
        read(f'<!DOCTYPE urlset [<!ENTITY l0 "ha">{laughs}]><urlset><url><loc>/a&l11;</loc></url></urlset>')


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no sitemap"),
        (b"<urlset><url>", "no sitemap"),
        (b"<html><body/></html>", "no sitemap: its root is html"),
        (b"<urlset>" + b"<a>" * 5000, "no sitemap"),
        (gzip.compress(bytes(60_000_000), mtime=0), "more than 100 times its size"),
        (b"\x1f\x8bnot gzip", "cannot be unpacked as gzip"),
    ],
)
def test_what_is_no_sitemap_says_so(body: bytes, message: str) -> None:
    with pytest.raises(SitemapError, match=message):
        read_listing(body, SITE + "/sitemap.xml")
