"""The deduplicate stage through the tables: what is kept, what a second night writes, and who comes after."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_duplicate_takes_the_place_of_a_kept_copy_that_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.tasks.duplicate_nights", str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    first, again, gone, back, changed = [json.loads(line) for line in told.splitlines()]

    assert first["copies"] == {"a": None, "bb": "a", "ccc": "a"}
    assert first["cut"] == ["a"]
    assert (first["rows_in"], first["rows_out"]) == (3, 3)
    assert first["detail"] == "1 exact and 1 near duplicates found"

    assert (again["rows_out"], again["skipped"], again["versions_written"]) == (0, 3, {})

    assert gone["copies"] == {"bb": None, "ccc": "bb"}
    assert gone["cut"] == ["bb"]

    assert back["copies"] == {"a": "bb", "bb": None, "ccc": "bb"}

    assert changed["copies"] == {"a": None, "bb": None, "ccc": "a"}
    assert changed["cut"] == ["a", "bb"]
