"""The commands that look at a corpus and look after it, over the warehouse of a night."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from flows import cli
from schemas.catalog import TABLES
from schemas.corpus import load_corpus
from schemas.errors import NightjarError
from tests.bundles import SENTENCES, published
from tests.conftest import Night
from tests.small_site import copy_night

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture(scope="module")
def corpus(night: Night, tmp_path_factory: pytest.TempPathFactory) -> str:
    return copy_night(night.corpus, tmp_path_factory.mktemp("commands"))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*arguments: str) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json").splitlines()[-1])


def test_tables_are_shown_in_short_and_in_full(corpus: str) -> None:
    assert all(name in run("tables", corpus) for name in TABLES)
    assert "hash of document" in " ".join(run("tables", corpus, "chunks").split())
    (described,) = as_json("tables", corpus, "chunks")["tables"]
    assert described["key"] == ["chunk_id"]
    assert described["path"].endswith("/root/tables/chunks")


def test_a_search_result_can_be_explained(corpus: str) -> None:
    first, *_ = as_json("search", corpus, "moths on the wing", "--mode", "lexical")["hits"]
    rows = as_json("explain", corpus, first["chunk_id"])["lineage"]
    assert {"page", "document", "chunk", "embedding", "sparse embedding", "index"} <= {row["part"] for row in rows}
    assert "nightjar.html" in run("explain", corpus, first["chunk_id"])


def test_an_empty_quarantine_says_so(corpus: str) -> None:
    assert "Nothing is in quarantine." in run("quarantine", corpus)
    assert "0 rows fed back" in run("quarantine", corpus, "--retry")


def test_a_status_says_how_fresh_what_is_live_is(corpus: str) -> None:
    found = as_json("status", corpus)
    assert found["freshness"]["last_night"] == found["freshness"]["newest_page"] == "2026-01-01"
    assert found["freshness"]["missed_nights"][0] == "2026-01-02"
    assert found["freshness"]["published_hours_ago"] >= 0
    assert set(found["pending"].values()) == {0}
    assert found["quarantine"] == []
    assert found["last_runs"][-1]["state"] == "completed"
    shown = run("status", corpus)
    assert "Pending: nothing." in shown
    assert "Last night: 2026-01-01." in shown


def test_maintenance_compacts_and_leaves_every_row(corpus: str) -> None:
    before = as_json("status", corpus)["tables"]
    done = as_json("maintain", corpus)["tables"]
    assert done.keys() == TABLES.keys()
    assert done["runs"]["files_replaced"] > done["runs"]["files_written"] > 0
    after = as_json("status", corpus)["tables"]
    assert {name: facts["rows"] for name, facts in after.items()} == {
        name: facts["rows"] for name, facts in before.items()
    }


def test_a_table_is_restored_when_that_is_confirmed(corpus: str) -> None:
    newest = as_json("history", corpus, "questions")["versions"][0]["version"]
    assert "version" not in run("history", corpus, "questions", "--limit", "1")
    with pytest.raises(NightjarError, match=r"nothing was restored\. Confirm it, or add --yes"):
        run("restore", corpus, "questions", "0")
    assert f"questions is at version {newest + 1} now" in run("restore", corpus, "questions", "0", "--yes")
    assert as_json("status", corpus)["tables"]["questions"]["rows"] == 0


def test_a_plan_is_shown_applied_and_then_stale(corpus: str, tmp_path: Path) -> None:
    assert "Nothing is pending." in run("plan", corpus, "--stage", "features")
    summaries = Path(corpus).read_text() + '\n[[recipes]]\nname = "summary"\nlimit = 3\n'
    Path(corpus).write_text(summaries)
    plan = tmp_path / "plan.json"
    whole = {stage["stage"]: stage for stage in as_json("plan", corpus)["stages"]}
    assert whole["features:summary"]["pending"] == {"new source": 3}
    estimated = whole["features:summary"]["tokens"]  # of a recipe that never ran: from its prompts and other recipes
    assert whole["features:keywords"]["pending"] == whole["embed"]["pending"] == whole["sparse"]["pending"] == {}
    assert whole["gate"]["seconds"] > 0
    assert f"Do it: nightjar apply {plan}" in run("plan", corpus, "--stage", "features", "--output", str(plan))
    assert "features:summary" in run("apply", str(plan))
    (newest, *_) = as_json("runs", corpus)["runs"]
    assert (newest["rows_out"], newest["state"]) == (3, "completed")
    assert newest["tokens"] == pytest.approx(estimated, rel=0.2)
    assert [stage["stage"] for stage in newest["stages"]] == ["features:keywords", "features:summary"]
    assert "  features:summary" in run("runs", corpus, "--stages")
    with pytest.raises(NightjarError, match=r"the plan is stale: tables features have changed.*Plan again"):
        run("apply", str(plan))
    measured = as_json("runs", corpus, "--stage", "features:summary")["runs"]
    assert [row["tokens"] for row in measured] == [newest["tokens"]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--since", "2026-01-01"), r"a night does all there is to do\. Add --stage"),
        (("--stage", "features", "--recipe", "nonsense"), r"unknown recipe 'nonsense'\. Known: keywords"),
        (("--stage", "index", "--since", "2026-01-01"), r"an index is built of all live chunks"),
        (("--stage", "extract", "--since", "soon"), r"--since: not a date: 'soon'"),
    ],
)
def test_a_plan_of_what_cannot_be_is_one_clear_line(corpus: str, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(NightjarError, match=told):
        run("plan", corpus, *arguments)


def test_a_backfill_shows_its_plan_and_its_holes(corpus: str) -> None:
    shown = run("backfill", corpus, "--stage", "extract", "--since", "2025-12-30", "--until", "2026-01-02")
    assert "Nothing was fetched on 2025-12-30, 2025-12-31, 2026-01-02" in shown
    assert "Nothing is pending." in shown
    assert "Nothing was new" in shown


def test_a_version_is_rolled_back_and_the_indexes_table_says_so(night: Night, tmp_path: Path) -> None:
    corpus = copy_night(night.corpus, tmp_path)
    (only,) = as_json("indexes", corpus)["indexes"]
    assert only["live"] and only["kept"]
    assert only["gates"]["recall_at_10"]["value"] >= only["gates"]["recall_at_10"]["minimum"]
    with pytest.raises(NightjarError, match="there is no version before it"):
        run("rollback", corpus)

    published(Path(load_corpus(corpus).warehouse), SENTENCES[:3])
    assert not as_json("indexes", corpus)["indexes"][0]["live"]
    with pytest.raises(NightjarError, match="unknown earlier index version 'nonsense'"):
        run("rollback", corpus, "nonsense")
    assert f"{only['index_id']} is live now" in run("rollback", corpus, only["index_id"])
    (after,) = as_json("indexes", corpus)["indexes"]
    assert after["live"] and after["published_at"] >= only["published_at"]
    assert only["index_id"][:8] in run("indexes", corpus)


def test_a_served_corpus_answers_over_http(corpus: str) -> None:
    command = [sys.executable, "-c", "from flows.cli import main; main()", "serve", corpus, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            assert url.startswith("http://127.0.0.1:")
            answer = httpx.get(f"{url}search", params={"query": "moths", "mode": "lexical"}).json()
            assert answer["hits"][0]["index_id"] == answer["index_id"]
        finally:
            server.terminate()


def test_every_command_of_the_readme_runs(corpus: str, tmp_path: Path) -> None:
    shown = re.findall(r"^nightjar ([^#\n]+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    commands = [shlex.split(line) for line in shown]
    assert {command[0] for command in commands} == {
        command.callback.__name__ for command in cli.app.registered_commands
    } - {"demo", "ablate"}  # tests of their own run these
    chunk_id = as_json("search", corpus, "moths", "--mode", "lexical")["hits"][0]["chunk_id"]
    files = {name: str(tmp_path / name) for name in ("pages.warc.gz", "plan.json")}
    meant = {"pydoc": corpus, "CHUNK_ID": chunk_id, **files}
    run("restore", corpus, "features", "0", "--yes")  # so that version 1, which the README restores, is not the newest
    for command in commands:
        if command[0] in ("maintain", "serve"):
            continue  # tests of their own have run them
        if command[0] == "rollback":  # in a copy: the version after it is made of no table that others could explain
            copy = copy_night(corpus, tmp_path / "copy")
            published(Path(load_corpus(copy).warehouse), SENTENCES[:3])
            assert "is live now" in run("rollback", copy)
            continue
        confirmed = ["--yes"] if command[0] == "restore" else []
        assert run(*(meant.get(word, word) for word in command), *confirmed)
