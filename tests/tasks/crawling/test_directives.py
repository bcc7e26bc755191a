"""What robots directives say, and to whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.crawling.directives import KNOWN, agent_token, content_directives, header_directives

DIRECTIVES = st.sampled_from(sorted(KNOWN))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("noindex, NOFOLLOW", {"noindex", "nofollow"}),
        ("noindex nofollow;noai", {"noindex", "nofollow", "noai"}),
        ("none", {"noindex", "nofollow"}),
        ("all, index, follow, max-snippet:20, noodp", set()),
        ("nonesuch, noaix", set()),
        ("noai, " * 1_000_000, {"noai"}),
        ("\x00noai\ud800", set()),
        ("", set()),
    ],
)
def test_a_meta_element(content: str, found: set[str]) -> None:
    assert content_directives(content) == found


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ("noindex, noai", {"noindex", "noai"}),
        ("otherbot: noindex, nofollow", set()),
        ("otherbot: noindex\nnoai", {"noai"}),
        ("otherbot: noindex, NightJar: noai, noarchive", {"noai", "noarchive"}),
        ("nightjar: none", {"noindex", "nofollow"}),
        ("*: noai", {"noai"}),
        ("max-snippet: 5, noai", {"noai"}),
        ("unavailable_after: Wed, 25 Jun 2031 15:00:00 PST, noai", {"noai"}),
        (": noai, :, ,", {"noai"}),
        ("x" * 10_000_000, set()),
    ],
)
def test_headers(headers: str, found: set[str]) -> None:
    assert header_directives(headers, "nightjar") == found


@given(st.lists(DIRECTIVES), st.lists(DIRECTIVES), st.lists(DIRECTIVES))
def test_each_crawler_hears_its_own(everybody: list[str], ours: list[str], others: list[str]) -> None:
    headers = f"{','.join(everybody)}\notherbot: {','.join(others)}, nightjar: {','.join(ours)}"
    assert header_directives(headers, "nightjar") == {*everybody, *ours}
    assert header_directives(headers, "otherbot") == {*everybody, *others}


def test_the_name_that_sites_call_us_by() -> None:
    assert agent_token("Nightjar/0.1 (+team@example.org)") == "nightjar"
