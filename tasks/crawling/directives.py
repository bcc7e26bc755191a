"""Robots directives: what a page, or the answer it came in, asks of whoever reads it.

Of `<meta name="robots">` and the X-Robots-Tag header, as search engines document them, with noai and noimageai
(DeviantArt, 2022) beside them. What is said to another crawler by name is not said to us.
"""

import re
from collections.abc import Iterable

KNOWN = frozenset(("nofollow", "noindex", "noai", "noimageai", "noarchive", "nosnippet", "noimageindex", "notranslate"))
LONGEST = 2_000
"""Characters of one answer's X-Robots-Tag headers, or of one meta element, that are read."""

_SEPARATORS = re.compile(r"[\s,;]+")
_SCOPE = re.compile(r"\s*(\*|[a-z][\w-]*)\s*:")
# Directives with a value of their own: what stands before their colon is no crawler.
_VALUED = frozenset(("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"))


def agent_token(user_agent: str) -> str:
    """The name that sites call a crawler by: its product token (RFC 9309, section 2.2.1), in lower case."""
    return user_agent.partition("/")[0].strip().lower()


def content_directives(content: str) -> frozenset[str]:
    """The known directives in a meta element's content; none stands for noindex and nofollow."""
    words = set(_SEPARATORS.split(content[:LONGEST].lower()))
    return KNOWN & (words | {"noindex", "nofollow"} if "none" in words else words)


def header_directives(headers: str, agent: str) -> frozenset[str]:
    """The known directives in X-Robots-Tag headers that are meant for everybody or for us.

    A crawler's name holds until the next name or the end of its header: `otherbot: noindex, nofollow`.

    Args:
        headers: their values, one a line.
        agent: our name, from `agent_token`.
    """
    lines = headers[:LONGEST].lower().split("\n")
    return frozenset(directive for line in lines for directive in _of_header(line.split(","), agent))


def _of_header(parts: Iterable[str], agent: str) -> Iterable[str]:
    meant_for = "*"
    for part in parts:
        scope = _SCOPE.match(part)
        is_named = scope is not None and scope[1] not in _VALUED
        meant_for = scope[1] if scope and is_named else meant_for
        if meant_for in ("*", agent):
            yield from content_directives(part[scope.end() :] if scope and is_named else part)
