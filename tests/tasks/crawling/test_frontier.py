import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.corpus import CrawlSettings
from schemas.errors import CrawlError
from schemas.pages import PAGES
from tasks.crawling.frontier import MAX_REDIRECTS, SEEN, Request, check_reached, confirm, next_round

SITE = "http://example.org/"
KEPT = ("url", "links", "depth", "body_hash", "etag", "last_modified", "robots_tag")
STORED = pa.schema([PAGES.schema.field(name) for name in KEPT])
TONIGHT = pa.schema([PAGES.schema.field(name) for name in SEEN])


def settings(**changes: object) -> CrawlSettings:
    return CrawlSettings.model_validate({"seeds": (SITE,), **changes})


def seen(*rows: tuple[str, list[str], int, str], robots_tag: str | None = None) -> pa.Table:
    made = [dict(zip(SEEN, (*row, robots_tag), strict=True)) for row in rows]
    return pa.Table.from_pylist(made, schema=TONIGHT)


def test_begins_with_the_seeds() -> None:
    assert next_round(seen(), settings(seeds=(SITE + "b", SITE + "a"))) == [
        Request(SITE + "a", 0),
        Request(SITE + "b", 0),
    ]


def test_goes_on_with_the_nearest_links_in_the_order_of_their_urls() -> None:
    pages = seen((SITE, [SITE + "b", SITE + "a", "http://elsewhere.example/"], 0, "ok"))
    assert next_round(pages, settings()) == [Request(SITE + "a", 1), Request(SITE + "b", 1)]


def test_ends_when_everything_known_was_tried() -> None:
    pages = seen((SITE, [SITE + "a"], 0, "ok"), (SITE + "a", [SITE], 1, "failed"))
    assert next_round(pages, settings()) == []


def test_stops_at_the_depth_and_number_of_pages() -> None:
    pages = seen((SITE, [SITE + "b", SITE + "a"], 0, "ok"))
    assert next_round(pages, settings(max_depth=0)) == []
    assert next_round(pages, settings(max_pages=2)) == [Request(SITE + "a", 1)]


def test_a_redirect_leads_on_at_the_same_depth() -> None:
    pages = seen((SITE, [SITE + "home"], 0, "redirected"))
    assert next_round(pages, settings(max_depth=0)) == [Request(SITE + "home", 0)]


def test_redirects_end_at_a_limit() -> None:
    chain = [(f"{SITE}{hop}", [f"{SITE}{hop + 1}"], 0, "redirected") for hop in range(MAX_REDIRECTS + 1)]
    assert next_round(seen(*chain[:-1]), settings(seeds=(SITE + "0",)))
    assert not next_round(seen(*chain), settings(seeds=(SITE + "0",)))


def test_a_loop_of_redirects_ends() -> None:
    loop = ((SITE + "a", [SITE + "b"], 0, "redirected"), (SITE + "b", [SITE + "a"], 0, "redirected"))
    assert next_round(seen(*loop), settings(seeds=(SITE + "a",))) == []


def test_a_host_and_a_pattern_have_caps_of_their_own() -> None:
    days = [f"{SITE}day/{number}" for number in range(9)]
    pages = seen((SITE, [*days, SITE + "zoo"], 0, "ok"))
    assert len(next_round(pages, settings(max_pages_per_host=4))) == 3
    chosen = [request.url for request in next_round(pages, settings(max_pages_per_pattern=2))]
    assert chosen == [SITE + "day/0", SITE + "day/1", SITE + "zoo"]


def test_what_a_sitemap_lists_comes_after_the_seeds_at_their_depth() -> None:
    wanted = settings(sitemaps=[SITE + "index.xml"], sitemaps_from_robots=True, max_depth=0, deny=["xml$"])
    robots, index, child = SITE + "robots.txt", SITE + "index.xml", SITE + "child.xml"
    first = [Request(SITE, 0), Request(robots, 0, sitemap=True)]
    assert next_round(seen(), wanted) == first
    rows = [(SITE, [], 0, "ok"), (robots, [SITE + "other.xml"], 0, "sitemap_index")]
    assert next_round(seen(*rows), wanted) == [
        Request(index, 0, sitemap=True),
        Request(SITE + "other.xml", 0, sitemap=True),
    ]
    rows += [(SITE + "other.xml", [SITE + "a"], 0, "sitemap"), (index, [child], 0, "sitemap_index")]
    assert next_round(seen(*rows), wanted) == [Request(SITE + "a", 0), Request(child, 0, sitemap=True)]
    rows += [(child, [SITE + "b", "http://elsewhere.example/"], 0, "sitemap"), (SITE + "a", [], 0, "ok")]
    assert next_round(seen(*rows), wanted) == [Request(SITE + "b", 0)]


def test_a_sitemap_alone_is_enough_to_start() -> None:
    wanted = settings(seeds=(), sitemaps=(SITE + "map.xml",))
    assert next_round(seen(), wanted) == [Request(SITE + "map.xml", 0, sitemap=True)]
    listed = seen((SITE + "map.xml", [SITE + "a", "http://elsewhere.example/"], 0, "sitemap"))
    assert next_round(listed, wanted) == [Request(SITE + "a", 0)]


def test_indexes_of_sitemaps_end_at_a_limit() -> None:
    chain = [(f"{SITE}{step}.xml", [f"{SITE}{step + 1}.xml"], 0, "sitemap_index") for step in range(4)]
    pages = [(SITE, [], 0, "ok"), *chain]
    wanted = settings(sitemaps=[SITE + "0.xml"])  # type: ignore[arg-type]
    assert [made.url for made in next_round(seen(*pages[:3]), wanted)] == [SITE + "2.xml"]
    assert next_round(seen(*pages[:4]), wanted) == []


def stored() -> pa.Table:
    row = {"url": SITE, "body_hash": "1234", "etag": '"v1"', "links": [SITE + "a"], "depth": 0}
    return pa.Table.from_pylist([row], schema=STORED)


def test_sends_the_validators_of_the_stored_page() -> None:
    assert next_round(seen(), settings(), stored()) == [Request(SITE, 0, etag='"v1"')]


def test_follows_the_stored_links_of_a_page_that_did_not_change() -> None:
    pages = seen((SITE, None, 0, "not_modified"))  # type: ignore[arg-type]
    assert next_round(pages, settings(), stored()) == [Request(SITE + "a", 1)]


@pytest.mark.parametrize("outcome", ["ok", "not_modified"])
def test_follows_no_link_of_a_page_whose_header_says_nofollow(outcome: str) -> None:
    for said, followed in (("nofollow", []), ("none", []), ("otherbot: nofollow", ["a"]), (None, ["a"])):
        pages = seen((SITE, [SITE + "a"] if outcome == "ok" else None, 0, outcome), robots_tag=said)  # type: ignore[arg-type]
        assert [request.url for request in next_round(pages, settings(), stored())] == [SITE + to for to in followed]
        assert len(next_round(pages, settings(obey_nofollow=False), stored())) == 1


def test_a_stored_nofollow_holds_until_a_header_lifts_it() -> None:
    known = stored().set_column(STORED.get_field_index("robots_tag"), "robots_tag", pa.array(["nofollow"]))
    for said, followed in ((None, 0), ("all", 1)):
        pages = seen((SITE, None, 0, "not_modified"), robots_tag=said)  # type: ignore[arg-type]
        assert len(next_round(pages, settings(), known)) == followed


def test_a_redirect_is_no_link_that_a_header_could_forbid() -> None:
    pages = seen((SITE, [SITE + "home"], 0, "redirected"), robots_tag="nofollow")
    assert next_round(pages, settings()) == [Request(SITE + "home", 0)]


def test_confirm_repeats_what_a_304_confirms() -> None:
    names = ("url", "outcome", "body_hash", "etag", "links")
    schema = pa.schema([PAGES.schema.field(name) for name in names])
    fetched = pa.Table.from_pylist([{"url": SITE, "outcome": "not_modified"}], schema=schema)
    expected = {"url": SITE, "outcome": "not_modified", "body_hash": "1234", "etag": '"v1"', "links": [SITE + "a"]}
    assert confirm(fetched, stored()).to_pylist() == [expected]


def test_a_304_says_its_headers_anew_or_repeats_them() -> None:
    schema = pa.schema([PAGES.schema.field(name) for name in ("url", "outcome", "robots_tag")])
    known = pa.Table.from_pylist([{"url": SITE, "outcome": "ok", "robots_tag": "noai"}], schema=schema)
    for sent, kept in ((None, "noai"), ("noindex", "noindex")):
        fetched = pa.Table.from_pylist([{"url": SITE, "outcome": "not_modified", "robots_tag": sent}], schema=schema)
        assert confirm(fetched, known)["robots_tag"].to_pylist() == [kept]


def kept(*rows: tuple[str, int]) -> pa.Table:
    """Stored pages by URL and depth."""
    made = [{"url": url, "depth": depth, "etag": f'"{url}"', "links": []} for url, depth in rows]
    return pa.Table.from_pylist(made, schema=STORED)


def test_stored_pages_that_links_do_not_reach_come_last_in_the_order_they_are_stored_in() -> None:
    known = kept((SITE, 0), (SITE + "z", 2), (SITE + "a", 1), (SITE + "linked", 1))
    rows = [(SITE, [SITE + "linked"], 0, "ok")]
    assert [request.url for request in next_round(seen(*rows), settings(), known)] == [SITE + "linked"]
    rows += [(SITE + "linked", [SITE + "deep"], 1, "ok")]
    assert [request.url for request in next_round(seen(*rows), settings(), known)] == [SITE + "deep"]
    rows += [(SITE + "deep", [], 2, "ok")]
    left = [Request(SITE + "z", 2, etag=f'"{SITE}z"'), Request(SITE + "a", 1, etag=f'"{SITE}a"')]
    assert next_round(seen(*rows), settings(), known) == left
    assert next_round(seen(*rows), settings(max_depth=2), known) == left
    rows += [(SITE + "a", [], 1, "gone"), (SITE + "z", [], 2, "ok")]
    assert next_round(seen(*rows), settings(), known) == []


def test_an_unlinked_page_is_asked_for_within_scope_and_limits() -> None:
    known = kept(("http://elsewhere.example/", 1), (SITE + "private", 1), (SITE + "deep", 3), (SITE + "b", 1))
    rows = [(SITE, [], 0, "ok")]
    limits = settings(deny=["private"], max_depth=2)
    assert [request.url for request in next_round(seen(*rows), limits, known)] == [SITE + "b"]
    assert next_round(seen(*rows), settings(max_pages=1), known) == []


def test_an_unlinked_page_leads_to_where_it_moved_and_nowhere_else() -> None:
    known = kept((SITE + "old", 1), (SITE + "there", 1))
    rows = [(SITE, [], 0, "ok"), (SITE + "old", [SITE + "new"], 1, "redirected")]
    assert [request.url for request in next_round(seen(*rows), settings(), known)] == [SITE + "there"]
    rows += [(SITE + "there", [SITE + "found"], 1, "ok")]
    assert next_round(seen(*rows), settings(), known) == [Request(SITE + "new", 1)]
    rows += [(SITE + "new", [SITE + "found"], 1, "ok")]
    assert next_round(seen(*rows), settings(), known) == []


def test_links_that_a_cap_leaves_out_end_neither_the_crawl_nor_the_search_for_unlinked_pages() -> None:
    known = kept((SITE + "old", 1))
    rows = [(SITE, [f"{SITE}day/{number}" for number in range(3)] + [SITE + "zoo"], 0, "ok")]
    rows += [(SITE + "day/0", [], 1, "ok"), (SITE + "zoo", [SITE + "lion"], 1, "ok")]
    limits = settings(max_pages_per_pattern=1)
    assert next_round(seen(*rows), limits, known) == [Request(SITE + "lion", 2)]
    rows += [(SITE + "lion", [], 2, "ok")]
    assert [request.url for request in next_round(seen(*rows), limits, known)] == [SITE + "old"]


def crawl(graph: dict[str, list[str]], limits: CrawlSettings, stored: pa.Table, kill_after: list[int]) -> list[str]:
    """URLs fetched from a graph; each number ends a round after so many pages, as a kill would."""
    pages = seen()
    while round_ := next_round(pages, limits, stored):
        cut = kill_after.pop() if kill_after else len(round_)
        # Pages that end in 2 have moved to where their first link leads.
        rows = [
            (request.url, graph.get(request.url, [])[:1], request.depth, "redirected")
            if request.url.endswith("2")
            else (request.url, graph.get(request.url, []), request.depth, "ok")
            for request in round_[:cut]
        ]
        pages = pa.concat_tables([pages, seen(*rows)])
    return sorted(str(url) for url in pages["url"].to_pylist())


PLACES = st.tuples(st.sampled_from(("", "b/", "c/")), st.integers(0, 12)).map(lambda at: f"{SITE}{at[0]}{at[1]}")


@given(
    graph=st.dictionaries(PLACES, st.lists(PLACES, max_size=6)),
    old=st.dictionaries(PLACES, st.integers(0, 4), max_size=9),
    kills=st.lists(st.integers(0, 5), max_size=6),
    most=st.integers(1, 20),
)
def test_a_killed_crawl_chooses_the_same_pages(
    graph: dict[str, list[str]], old: dict[str, int], kills: list[int], most: int
) -> None:
    limits = settings(seeds=(SITE + "0",), max_pages=most, max_depth=3, max_pages_per_pattern=6)
    stored = kept(*old.items())
    assert crawl(graph, limits, stored, []) == crawl(graph, limits, stored, kills)


def reached(*outcomes: str) -> pa.Table:
    rows = [{"url": f"{SITE}{place}", "outcome": outcome, "detail": "x"} for place, outcome in enumerate(outcomes)]
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in ("url", "outcome", "detail")]))


@pytest.mark.parametrize("outcome", ["ok", "not_modified", "redirected", "sitemap", "sitemap_index"])
def test_one_start_that_answers_is_enough(outcome: str) -> None:
    check_reached(reached("failed", outcome))


def test_no_seed_that_answers_is_an_error_that_names_it() -> None:
    with pytest.raises(CrawlError, match=r"http://example\.org/0: could not be fetched: x"):
        check_reached(reached("failed", "failed"))
