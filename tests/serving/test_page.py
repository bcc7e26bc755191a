"""The search page in a real browser: what people see, and that crawled text never runs."""

from collections.abc import Iterator

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import Select, WebDriverWait

from models.fake import FakeEncoder
from serving.follow import LiveIndex
from serving.service import create_app
from tests.bundles import SENTENCES, features_for, published
from tests.serving.browser import browser, missing_browser, served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_browser()), reason=f"this machine has no {missing_browser()}"),
]

LONGEST_WAIT = 60.0
RUN = "document.title='taken over'"
HOSTILE = (
    f'A moth <script>{RUN}</script><img src=x onerror="{RUN}"><svg onload="{RUN}"> '
    f'"><a href="javascript:{RUN}">moth</a> {{{{ 7 * 7 }}}} </p></li></ol><h1>moth</h1>'
)
FEATURES = {HOSTILE: f"<img src=x onerror={RUN}>", SENTENCES[1]: "priority queue"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    root = tmp_path_factory.mktemp("page")
    published(root, (*SENTENCES, HOSTILE), features_for(FEATURES))
    live = LiveIndex(root, FakeEncoder, lambda text: len(text.split()))
    with served(create_app(live, name="docs")) as url, browser(tmp_path_factory.mktemp("profile")) as driver:
        driver.implicitly_wait(10)
        driver.get(url)
        yield driver


def search(page: WebDriver, query: str, mode: str, prf: str = "none") -> None:
    """Fill in the form, send it, and wait until another page is there, as a person does."""
    box = page.find_element(By.NAME, "query")
    box.clear()
    box.send_keys(query)
    Select(page.find_element(By.NAME, "mode")).select_by_visible_text(mode)
    Select(page.find_element(By.NAME, "prf")).select_by_visible_text(prf)
    page.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(page, LONGEST_WAIT).until(staleness_of(box))


def test_a_search_shows_passages_with_features_and_lineage(page: WebDriver) -> None:
    search(page, "smallest heap", "lexical")

    (hit,) = page.find_elements(By.CSS_SELECTOR, ".hits > li")
    assert SENTENCES[1] in hit.text
    assert [mark.text for mark in hit.find_elements(By.TAG_NAME, "mark")] == ["heap", "smallest"]
    assert "priority queue" in hit.find_element(By.CLASS_NAME, "features").text
    lineage = hit.find_element(By.CLASS_NAME, "lineage")
    assert "by recipe recipe" not in lineage.text  # folded away until it is asked for
    lineage.find_element(By.TAG_NAME, "summary").click()
    for told in ("passage", "document", "characters 10 to 31", "by recipe recipe", "index"):
        assert told in lineage.text


def test_feedback_is_an_option_and_what_was_asked_stays_in_the_form(page: WebDriver) -> None:
    search(page, "smallest heap", "dense", "keywords")

    assert "asked again with keywords" in page.find_element(By.CLASS_NAME, "facts").text
    assert page.find_element(By.NAME, "query").get_attribute("value") == "smallest heap"
    assert Select(page.find_element(By.NAME, "prf")).first_selected_option.text == "keywords"
    search(page, "smallest heap", "lexical", "keywords")
    assert "lexical search never does" in page.find_element(By.CSS_SELECTOR, "[role=alert]").text


def test_hostile_text_is_read_and_never_run(page: WebDriver) -> None:
    search(page, '"><script>document.title=1</script> moth', "lexical")

    (hit,) = page.find_elements(By.CSS_SELECTOR, ".hits > li")
    assert hit.find_element(By.CLASS_NAME, "text").text == HOSTILE
    assert page.title.endswith("moth - Nightjar docs")
    made = "return document.querySelectorAll('script, img, svg, h1, a[href^=javascript]').length"
    assert page.execute_script(made) == 0


def test_the_page_loads_nothing_but_its_style(page: WebDriver) -> None:
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name.rsplit("/", 1)[-1] for name in loaded] == ["page.css"]
