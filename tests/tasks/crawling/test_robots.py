import pytest

from tasks.crawling.robots import MAX_BYTES, rules_of

RULES = b"User-agent: nightjar\nDisallow: /private\nCrawl-delay: 2\n\nUser-agent: *\nDisallow: /"
URL = "http://example.org"


def test_the_rules_for_our_name_hold() -> None:
    rules = rules_of(200, "text/plain; charset=utf-8", RULES)
    assert rules.parsed.can_fetch(URL + "/open", "Nightjar")
    assert not rules.parsed.can_fetch(URL + "/private/x", "Nightjar")
    assert not rules.parsed.can_fetch(URL + "/open", "Otherbot")
    assert rules.parsed.crawl_delay("Nightjar") == 2


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(200, "text/html"), (200, "application/json"), (404, "text/plain"), (403, "text/plain")],
)
def test_absent_rules_allow_everything(status: int, content_type: str) -> None:
    rules = rules_of(status, content_type, RULES)
    assert not rules.unavailable
    assert rules.parsed.can_fetch(URL + "/private/x", "Nightjar")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_site_that_cannot_say_is_left_alone(status: int) -> None:
    assert rules_of(status, "text/plain", b"").unavailable == f"HTTP {status}"


def test_what_comes_past_the_limit_is_not_read() -> None:
    body = b"User-agent: *\nDisallow: /early\n" + b"#" * MAX_BYTES + b"\nDisallow: /late\n"
    rules = rules_of(200, "text/plain", body)
    assert not rules.parsed.can_fetch(URL + "/early", "Nightjar")
    assert rules.parsed.can_fetch(URL + "/late", "Nightjar")


def test_binary_rules_are_no_rules() -> None:
    assert rules_of(200, "text/plain", bytes(range(256)) * 100).parsed.can_fetch(URL + "/", "Nightjar")
