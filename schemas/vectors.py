"""Whose a vector is: its `encoder_id` names the encoder, and after a hyphen what that was given besides plain text."""


def vectors_id(encoder_id: str, composition_id: str) -> str:
    """`encoder_id` of the vectors that an encoder makes of composed texts; its own where they are plain.

    >>> vectors_id("1679091c", ""), vectors_id("1679091c", "8f14e45f")
    ('1679091c', '1679091c-8f14e45f')
    """
    return f"{encoder_id}-{composition_id}" if composition_id else encoder_id


def query_encoder(encoder_id: str) -> str:
    """`encoder_id` of the encoder itself, with which queries are asked of these vectors.

    >>> query_encoder("1679091c"), query_encoder("1679091c-8f14e45f")
    ('1679091c', '1679091c')
    """
    return encoder_id.partition("-")[0]


def replaceable(encoder_id: str) -> bool:
    """Whether a vector may be replaced: what is encoded of its text is then more than the text."""
    return "-" in encoder_id
