"""The questions stage: what people ask of a corpus, as its file says."""

import pyarrow as pa

from schemas.hashing import digest, normalise
from schemas.questions import QUESTIONS
from tasks.run import Stage


def ask(stage: Stage) -> None:
    """Bring `questions` up to the corpus file; questions it no longer has are no longer live."""
    wanted = {digest(normalise(question)): question for question in stage.run.corpus.questions}
    stored = stage.read(QUESTIONS).where("live AND source = 'corpus'").select("question_id")
    known = set(stage.run.warehouse.arrow(QUESTIONS, stored)["question_id"].to_pylist())
    stage.ledger.rows_in = len(wanted)
    stage.ledger.skipped = len(wanted.keys() & known)
    if wanted.keys() == known:
        return
    rows = [{"question_id": key, "question": text, "source": "corpus", "live": True} for key, text in wanted.items()]
    merged = stage.merge(QUESTIONS, pa.Table.from_pylist(rows, QUESTIONS.unstamped), vanish={"source": ["corpus"]})
    stage.ledger.rows_out = merged.inserted + merged.updated
