"""Plain lines say where a step begins, how far it is, and where it ends, each once."""

import pytest

from flows import progress
from flows.progress import LineProgress, Meter


def test_the_last_line_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    lines = LineProgress()
    lines.begin("embed", 3, "texts")
    lines.advance(2)
    lines.advance(1, tokens=9)
    lines.end()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "embed: 3 texts to do"
    assert [line.split(",")[0] for line in said[1:]] == ["embed: 2 of 3 texts", "embed: 3 of 3 texts"]
    assert "s left" in said[1]
    assert "s left" not in said[2]
    assert "tokens/s" in said[2]


def test_rates_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 110.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    meter = Meter.__new__(Meter)
    meter.begin("embed", 40, "texts")
    meter.advance(10, 50)
    assert meter.rates() == "1.0 texts/s, 5 tokens/s"
    assert meter.remaining() == ", 30 s left"
