"""The links of a page.

Read with libxml2, which stops at a bounded depth: lexbor is faster on honest pages, but takes minutes for
the CSS queries of a page of 100,000 nested elements.
"""

from collections.abc import Iterator

from lxml import etree, html

from tasks.crawling.directives import content_directives
from tasks.crawling.urls import Scope, canonical_url

MAX_LINKS = 2_000


def page_links(page: str, url: str, scope: Scope, obey_nofollow: bool = True, agent: str = "") -> list[str]:
    """Canonical URLs that a page links to and the corpus admits: each once, in the order of the page.

    Args:
        page: HTML, decoded.
        url: its canonical URL.
        scope: what the corpus admits.
        obey_nofollow: leave out links with rel=nofollow, and all of a page whose robots meta says so.
        agent: our name; a meta element may have it in the place of robots.
    """
    tree = _parsed(page)
    if tree is None or (obey_nofollow and _page_forbids_following(tree, agent)):
        return []
    links: dict[str, None] = {}
    for link in _canonical_links(tree, url, obey_nofollow):
        if len(links) == MAX_LINKS:
            break
        if link not in links and scope.admits(link):
            links[link] = None
    return list(links)


def _parsed(page: str) -> html.HtmlElement | None:
    """The tree of a page, or None where there is no element in it."""
    # As bytes, because lxml refuses a decoded page that declares an encoding.
    parser = html.HTMLParser(encoding="utf-8")
    try:
        return html.document_fromstring(page.encode("utf-8", errors="replace"), parser=parser)
    except etree.ParserError:
        return None


def _canonical_links(tree: html.HtmlElement, url: str, obey_nofollow: bool) -> Iterator[str]:
    base = next((canonical_url(element.get("href"), url) for element in tree.iterfind(".//base[@href]")), None)
    for anchor in tree.iter("a", "area"):
        if obey_nofollow and "nofollow" in anchor.get("rel", "").lower().split():
            continue
        link = canonical_url(anchor.get("href"), base or url) if anchor.get("href") is not None else None
        if link is not None:
            yield link


def _page_forbids_following(tree: html.HtmlElement, agent: str) -> bool:
    metas = (meta for meta in tree.iter("meta") if meta.get("name", "").lower() in ("robots", agent or "robots"))
    return any("nofollow" in content_directives(meta.get("content", "")) for meta in metas)
