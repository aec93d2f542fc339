"""`homerow mail`: every kind can be looked at."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app, execute
from domain.notifications.samples import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_is_written_as_html_and_as_text(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    result = CliRunner().invoke(app, ["mail", "preview", kind, "--output", str(folder)])
    assert result.exit_code == 0
    assert {path.name for path in folder.iterdir()} == {f"{kind}.html", f"{kind}.txt"}
    assert (folder / f"{kind}.html").read_text().startswith("<!doctype html>")
    assert (folder / f"{kind}.txt").read_text().strip()


def test_help_names_every_kind_and_another_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    help_ = CliRunner().invoke(app, ["mail", "preview", "--help"]).output
    assert all(kind in help_ for kind in KINDS)
    assert execute(["mail", "preview", "love-letter"]) == 2
    assert "There is no mail 'love-letter'. Choose one of: summary," in capsys.readouterr().err
