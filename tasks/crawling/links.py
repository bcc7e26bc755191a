"""The links of a page."""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from tasks.crawling.urls import Scope, canonical_url

MAX_LINKS = 2_000


def page_links(html: str, url: str, scope: Scope) -> list[str]:
    """Canonical URLs that a page links to and the corpus admits: each once, in the order of the page.

    Links with rel=nofollow and pages with a robots meta element that says so are not followed.

    Args:
        html: the page, decoded.
        url: its canonical URL.
        scope: what the corpus admits.
    """
    tree = LexborHTMLParser(html)
    if _forbids_following(tree):
        return []
    links: dict[str, None] = {}
    for link in _canonical_links(tree, url):
        if len(links) == MAX_LINKS:
            break
        if link not in links and scope.admits(link):
            links[link] = None
    return list(links)


def _canonical_links(tree: LexborHTMLParser, url: str) -> Iterator[str]:
    base_element = tree.css_first("base[href]")
    base = canonical_url(base_element.attributes["href"] or "", url) if base_element else None
    for anchor in tree.css("a[href], area[href]"):
        if "nofollow" in (anchor.attributes.get("rel") or "").lower().split():
            continue
        link = canonical_url(anchor.attributes["href"] or "", base or url)
        if link is not None:
            yield link


def _forbids_following(tree: LexborHTMLParser) -> bool:
    metas = tree.css('meta[name="robots" i]')
    directives = ",".join((meta.attributes.get("content") or "").lower() for meta in metas)
    return bool({"nofollow", "none"} & {directive.strip() for directive in directives.split(",")})
