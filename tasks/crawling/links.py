"""The links of a page."""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from tasks.crawling.urls import Scope, canonical_url

MAX_LINKS = 2_000


def page_links(html: str, url: str, scope: Scope, obey_nofollow: bool = True) -> list[str]:
    """Canonical URLs that a page links to and the corpus admits: each once, in the order of the page.

    Args:
        html: the page, decoded.
        url: its canonical URL.
        scope: what the corpus admits.
        obey_nofollow: leave out links with rel=nofollow, and all of a page whose robots meta says so.
    """
    tree = LexborHTMLParser(html)
    if obey_nofollow and _forbids_following(tree):
        return []
    links: dict[str, None] = {}
    for link in _canonical_links(tree, url, obey_nofollow):
        if len(links) == MAX_LINKS:
            break
        if link not in links and scope.admits(link):
            links[link] = None
    return list(links)


def _canonical_links(tree: LexborHTMLParser, url: str, obey_nofollow: bool) -> Iterator[str]:
    base_element = tree.css_first("base[href]")
    base = canonical_url(base_element.attributes["href"] or "", url) if base_element else None
    for anchor in tree.css("a[href], area[href]"):
        if obey_nofollow and "nofollow" in (anchor.attributes.get("rel") or "").lower().split():
            continue
        link = canonical_url(anchor.attributes["href"] or "", base or url)
        if link is not None:
            yield link


def _forbids_following(tree: LexborHTMLParser) -> bool:
    metas = tree.css('meta[name="robots" i]')
    return forbids_following(",".join(meta.attributes.get("content") or "" for meta in metas))


def forbids_following(directives: str) -> bool:
    """Whether robots directives (a meta element's content or an X-Robots-Tag header) say nofollow or none."""
    return bool({"nofollow", "none"} & {directive.strip() for directive in directives.lower().split(",")})
