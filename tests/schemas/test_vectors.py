"""An encoder_id of vectors names the encoder that their queries are encoded with."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.hashing import digest
from schemas.vectors import query_encoder, replaceable, vectors_id


@given(st.text(), st.text())
def test_the_encoder_is_read_back_from_the_id_of_its_vectors(encoder: str, composition: str) -> None:
    plain = digest(encoder)
    composed = vectors_id(plain, digest(composition))
    assert (vectors_id(plain, ""), query_encoder(plain), replaceable(plain)) == (plain, plain, False)
    assert (query_encoder(composed), replaceable(composed)) == (plain, True)
