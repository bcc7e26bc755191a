"""The parity gate: before it may write any, an encoder must make the vectors that torch makes in float32."""

import numpy as np

from models.encoder import Encoder
from schemas.errors import ModelError

SAMPLE = (
    "bisect",
    "How do I keep a list sorted without sorting it after every insertion?",
    "Birds > Owls\nA barn owl eats three voles in one night, and more when it has young.",
    "def insort(a, x, lo=0, hi=None, *, key=None):\n    lo = bisect_right(a, x, lo, hi)\n    a.insert(lo, x)",
    "The quarterly report shows revenue of $4,213,907.55 (up 12.4 % from Q3/2024) and 1,024 open positions.",
    "Die Nachtschwalbe fängt Falter im Flug; am Tag sitzt sie reglos auf einem Ast.",
    "夜鷹は夕暮れに鳴き、飛びながら蛾を捕る。",
    "- apples\n- pears\n- quinces, if they are ripe\n\n| fruit | weight |\n| --- | --- |\n| apple | 180 g |",
    "HTTP/1.1 404 Not Found\nContent-Type: text/html; charset=utf-8\nRetry-After: 120",
    "Patients who received the drug had fewer episodes of atrial fibrillation than those given a placebo "
    "(hazard ratio 0.71, 95% confidence interval 0.58 to 0.87), and no more of them bled.",
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer the slings and arrows of "
    "outrageous fortune, or to take arms against a sea of troubles, and by opposing end them.",
    "A thread waits for a lock that another thread holds, and that one waits for a lock of the first. " * 8,
)
"""Texts of many kinds and lengths."""


def check_parity(encoder: Encoder, reference: Encoder, least: float, where: str) -> None:
    """See to it that an encoder's vectors are near the reference's, on either side.

    Args:
        reference: the same encoder by torch in float32.
        least: smallest cosine that any text of the sample may have.
        where: what is checked, for messages.

    Raises:
        ModelError: a text's cosine is smaller, or is no number.
    """
    made = np.concatenate([encoder.encode(SAMPLE).vectors, encoder.encode_queries(SAMPLE).vectors])
    expected = np.concatenate([reference.encode(SAMPLE).vectors, reference.encode_queries(SAMPLE).vectors])
    cosines = np.nan_to_num((made * expected).sum(axis=1), nan=-1.0)
    worst = int(cosines.argmin())
    if cosines[worst] < least:
        raise ModelError(
            f"not at parity with float32: cosine {cosines[worst]:.4f} on {SAMPLE[worst % len(SAMPLE)][:40]!r}, where "
            f"{least:g} is the least",
            where=where,
            left_behind="Nothing was written",
            remedy='Set precision = "float32", backend = "torch", or a smaller min_parity under [encoder]',
        )
