"""The chunk stage: what makes it cut anew."""

from schemas.corpus import Corpus
from tasks.passages import chunker_of


def chunker(strategy: str, **encoder: object) -> str:
    told = {"name": "c", "folder": {"path": ".", "url_prefix": "http://localhost/"}, "chunk": {"strategy": strategy}}
    return chunker_of(Corpus.model_validate(told | {"encoder": encoder}))


def test_an_encoder_with_the_same_tokenizer_cuts_nothing_anew_unless_its_vectors_decide() -> None:
    assert chunker("structure") == chunker("structure", passage_prompt="passage: ", dimension=64)
    assert chunker("structure") != chunker("structure", engine="fake")
    assert chunker("semantic") != chunker("semantic", passage_prompt="passage: ")
