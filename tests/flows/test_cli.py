"""Mistakes of the user's are one line on standard error and a status that is not 0."""

import sys

import pytest
from typer.testing import CliRunner

from flows import cli


@pytest.mark.parametrize("command", [[], ["demo"], ["nightly"], ["search"], ["status"]])
def test_help_teaches(command: list[str]) -> None:
    result = CliRunner().invoke(cli.app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nightly", "nope"], "nightjar: unknown corpus 'nope'. Known: pydoc."),
        (["nightly", "pydoc", "--ds", "soon"], "nightjar: --ds: not a date: 'soon'. Write it as YYYY-MM-DD."),
        (["status", "nope"], "nightjar: unknown corpus 'nope'. Known: pydoc."),
        (["search", "nope", "a query"], "nightjar: unknown corpus 'nope'. Known: pydoc."),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nightjar", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.strip() == line
