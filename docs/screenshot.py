"""Take the picture of the search page that the README shows: make screenshot.

    python -m docs.screenshot pydoc "insert into a sorted list"

Serves the live index of a corpus on loopback and looks at it with the machine's own headless Chromium.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

from selenium.webdriver.common.by import By

from flows import opening
from models.opening import token_counter
from schemas.corpus import load_corpus
from serving.follow import LiveIndex
from serving.service import create_app
from tasks.run import Silent
from tests.serving.browser import browser, missing_browser, served

PICTURE = Path(__file__).with_name("search-page.png")


def main() -> None:
    """Search the live index and save what a visitor sees."""
    asked = _asked()
    if missing_browser():
        raise SystemExit(f"install {missing_browser()} first")
    corpus = load_corpus(asked.corpus)
    open_encoder = partial(opening.encoder, corpus.encoder, Silent())
    live = LiveIndex(corpus.indexes, open_encoder, token_counter(corpus.encoder))
    with (
        served(create_app(live, name=corpus.name)) as url,
        tempfile.TemporaryDirectory() as profile,
        browser(Path(profile), height=1150) as page,
    ):
        page.get(url)
        page.find_element(By.NAME, "query").send_keys(asked.query)
        page.find_element(By.TAG_NAME, "button").click()
        page.find_element(By.CSS_SELECTOR, ".lineage summary").click()
        page.save_screenshot(str(PICTURE))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", default="pydoc", help="a corpus with a published index")
    parser.add_argument("query", nargs="?", default="insert into a sorted list", help="what is asked")
    return parser.parse_args()


if __name__ == "__main__":
    main()
