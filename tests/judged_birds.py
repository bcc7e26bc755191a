"""A test collection of five passages and two judged queries, with features written by the fake model."""

import json
from pathlib import Path

PASSAGES = {
    "owl": ("Owls", "Owls hunt mice in the dark."),
    "nightjar": ("Nightjars", "Nightjars catch moths on the wing at dusk."),
    "swift": ("Swifts", "Swifts sleep on the wing."),
    "moth": ("Moths", "Moths fly to light in the dark."),
    "mouse": ("", "Mice hide in grass."),
}
QUERIES = {"q1": "what hunts mice", "q2": "catching moths at dusk", "q3": "nobody judged this one"}
QRELS = [("q1", "owl", 2), ("q1", "mouse", 1), ("q2", "nightjar", 1), ("q2", "missing", 1)]

CORPUS = """
name = "judged"
warehouse = "{folder}/root"
spark = "{spark}"

[passages]
path = "{folder}/corpus.jsonl"

[judged]
queries = "{folder}/queries.jsonl"
qrels = "{folder}/qrels.tsv"
depths = [0, 1, 3]
results = 4

[language_model]
engine = "fake"

[encoder]
engine = "fake"

[[recipes]]
name = "keywords"
"""


def write_collection(folder: Path, spark: str = "") -> str:
    """Write the collection and its corpus file into a folder, and return the file's path."""
    write_passages(folder, PASSAGES)
    queries = [json.dumps({"_id": query_id, "text": text}) for query_id, text in QUERIES.items()]
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    qrels = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in QRELS)]
    (folder / "qrels.tsv").write_text("\r\n".join(qrels) + "\r\n")
    path = folder / "judged.toml"
    path.write_text(CORPUS.format(folder=folder, spark=spark))
    return str(path)


def write_passages(folder: Path, passages: dict[str, tuple[str, str]], *more: str) -> None:
    """Write passages, and any other lines after them."""
    lines = [json.dumps({"_id": key, "title": title, "text": text}) for key, (title, text) in passages.items()]
    (folder / "corpus.jsonl").write_text("\n".join([*lines, *more]) + "\n")
