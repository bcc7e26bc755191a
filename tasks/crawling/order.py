"""What the parent asks of the crawling child, and the rows it gets back."""

import dataclasses
import json
from dataclasses import dataclass

import pyarrow as pa

from schemas.corpus import CrawlSettings
from schemas.pages import PAGES
from tasks.crawling.frontier import Request
from tasks.crawling.site import SiteAddress

# The child knows neither the logical date nor the run.
FETCHED = pa.schema([field for field in PAGES.columns if field.name not in ("ds", "run_id")])


@dataclass(frozen=True)
class Order:
    """One round: what to fetch, how, and where the served site listens."""

    requests: list[Request]
    settings: CrawlSettings
    site: SiteAddress | None

    def is_site(self, host: str, port: int) -> bool:
        """Whether a connection to that host and port is one to the served site."""
        return self.site is not None and (host, port) == (self.site.host, self.site.port)

    def to_json(self) -> str:
        """The order on one line."""
        site = dataclasses.asdict(self.site) if self.site else None
        requests = [dataclasses.asdict(request) for request in self.requests]
        return json.dumps({"requests": requests, "settings": self.settings.model_dump(mode="json"), "site": site})

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """The order that `to_json` wrote."""
        parts = json.loads(text)
        return cls(
            [Request(**request) for request in parts["requests"]],
            CrawlSettings(**parts["settings"]),
            SiteAddress(**parts["site"]) if parts["site"] else None,
        )
