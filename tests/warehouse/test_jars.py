"""What a machine lacks is one line that says so, and what to do."""

import json
from pathlib import Path

import pytest

from schemas.errors import SetupError
from warehouse.jars import MANIFEST, jar_folder, jars, java


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError) as caught:
        java()
    assert str(caught.value) == "PATH: Java is not installed. Install Java 17, or set JAVA_HOME to it."


def test_a_java_home_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SetupError, match="JAVA_HOME: Java is not installed"):
        java()


def test_no_jars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIGHTJAR_CACHE", str(tmp_path))
    with pytest.raises(SetupError, match=r"Delta's JARs are not installed\. Run: make install\."):
        jars()


def test_a_missing_jar_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIGHTJAR_CACHE", str(tmp_path))
    jar_folder().mkdir(parents=True)
    (jar_folder() / MANIFEST).write_text(json.dumps({"delta.jar": "", "here.jar": ""}))
    (jar_folder() / "here.jar").touch()
    with pytest.raises(SetupError, match=r"1 of Delta's JARs are missing, such as delta\.jar"):
        jars()
