"""The ablation from a corpus file to its tables: over stored features alone, once, and as ir-measures has it."""

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from deltalake import DeltaTable

from bench.kills import nightly_command
from flows.ablating import ranked_chunks
from tests.bundles import SENTENCES, published
from tests.judged_birds import PASSAGES, QRELS, write_collection
from warehouse.registry import registry_of

pytestmark = pytest.mark.slow

MEASURES = ("nDCG@10", "R@100", "RR@10", "AP")
# A language model that is opened fails the command.
WITHOUT_LANGUAGE_MODEL = """
import sys
from flows import cli, opening
opening.language_model = opening.open_language_model = None
sys.argv = ["nightjar", *sys.argv[1:]]
cli.main()
"""


def rows(root: Path, name: str) -> list[dict[str, Any]]:
    return DeltaTable(str(root / "tables" / name)).to_pyarrow_table().to_pylist()


def checksums(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def directly(rankings: list[dict[str, Any]]) -> dict[tuple[str, str, str], float]:
    """Every measure of every stored ranking, by ir-measures alone."""
    qrels = [ir_measures.Qrel(*row) for row in QRELS]
    runs: dict[str, list[Any]] = defaultdict(list)
    for row in rankings:
        found = ir_measures.ScoredDoc(row["query_id"], row["url"].removeprefix("passage:"), -row["rank"])
        runs[row["configuration_id"]].append(found)
    wanted = [ir_measures.parse_measure(name) for name in MEASURES]
    return {
        (key, value.query_id, str(value.measure)): value.value
        for key, run in runs.items()
        for value in ir_measures.iter_calc(wanted, qrels, run)
    }


def test_passages_of_one_score_are_ranked_as_trec_eval_ranks_them(tmp_path: Path) -> None:
    stored = published(tmp_path, sentences=(*SENTENCES, SENTENCES[0])).stored
    ranked = ranked_chunks(stored, [(number, 0.5) for number in range(len(SENTENCES))], results=100)
    qrels = {"q": {row["url"]: place % 3 for place, row in enumerate(ranked)}}
    by_rank = {"q": {row["url"]: -float(row["rank"]) for row in ranked}}
    by_score = {"q": {row["url"]: row["score"] for row in ranked}}
    # RR@10 is not trec_eval's in ir-measures, and breaks ties otherwise.
    wanted = [ir_measures.parse_measure(name) for name in MEASURES if name != "RR@10"]
    assert ir_measures.calc_aggregate(wanted, qrels, by_rank) == ir_measures.calc_aggregate(wanted, qrels, by_score)
    assert [row["rank"] for row in ranked] == list(range(1, len(SENTENCES) + 2))


def test_an_ablation_is_run_once_and_agrees_with_ir_measures(prefect_api: str, tmp_path: Path) -> None:
    corpus, root = write_collection(tmp_path, spark="sail"), tmp_path / "root"
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(Path.cwd())}

    def nightjar(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-c", WITHOUT_LANGUAGE_MODEL, *arguments, corpus, "--json"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout))

    subprocess.run(nightly_command(corpus), env=environment, check=True, capture_output=True)
    index, features = checksums(registry_of(root).folder), rows(root, "features")
    first = nightjar("ablate")
    # No feedback and BM25; at two depths three methods without features, the feature's terms, and PromptPRF with
    # ranks in the labels and without.
    assert (first["computed"], len(first["configurations"]), first["queries"]) == (14, 14, 2)
    rankings, metrics = rows(root, "rankings"), rows(root, "metrics")
    stored = {(row["configuration_id"], row["query_id"], row["measure"]): row["value"] for row in metrics}
    assert stored == pytest.approx(directly(rankings), abs=1e-9)
    for row in first["configurations"]:
        for measure, figures in row["measures"].items():
            mean = sum(stored[row["configuration_id"], query, measure] for query in ("q1", "q2")) / 2
            assert figures["mean"] == pytest.approx(mean, abs=1e-9)
    again = nightjar("ablate")
    assert (again["computed"], again["configurations"]) == (0, first["configurations"])
    assert (rows(root, "rankings"), rows(root, "metrics")) == (rankings, metrics)
    assert (checksums(registry_of(root).folder), rows(root, "features")) == (index, features)
    (recipe,) = nightjar("audit")["recipes"]
    assert (recipe["feature"], recipe["texts"], recipe["coverage"]) == ("keywords", len(PASSAGES), 1)
    assert 0 <= recipe["grounding"] <= 1
