"""What goes into an index beside the passages."""

import pyarrow as pa

from tasks.index_tables import describable


def test_features_of_texts_that_every_page_withholds_stay_out() -> None:
    features = pa.table({"text_hash": ["one", "both", "withheld", "unknown", "nowhere"]})
    chunks = pa.table(
        {
            "text_hash": ["one", "both", "both", "withheld", "withheld", "unknown"],
            "withheld": pa.array([False, True, False, True, True, None]),
        }
    )
    assert describable(features, chunks)["text_hash"].to_pylist() == ["one", "both", "unknown"]
    assert describable(features, chunks.drop_columns(["withheld"])) == features
