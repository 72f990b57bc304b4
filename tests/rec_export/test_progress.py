"""On a terminal a person sees what is done, for how long, and what is left; elsewhere nothing."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from rec_export.progress import bar, busy
from tests.conftest import command

TINY = "--set", "model={name: pmf, dim: 2}", "--set", "training.epochs=1"


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """As without --quiet."""
    caplog.set_level("INFO", "rec_export")


def test_a_step_inside_a_step_has_its_row_below_and_leaves_it_when_it_ends() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    with busy("reading", console):
        for _ in bar(range(2), 2, "parts", console):
            shown = screen.getvalue()
    assert ("reading" in shown, "0 s" in shown, "parts" in shown, "0/2" in shown) == (True,) * 4
    last = screen.getvalue().rpartition("reading")[2]
    assert "parts" not in last


def test_a_row_leaves_when_its_step_fails() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    for _ in range(2):  # the second one would be refused if the first were still there
        with pytest.raises(ValueError, match="broken"), busy("reading", console), busy("parsing", console):
            raise ValueError("broken")


def test_a_terminal_is_told_of_every_step_of_a_training(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    err = command("train", shop / "config.yaml", "--out", tmp_path / "seen", *TINY).err
    steps = (
        "starting",
        "reading interactions.parquet",
        "planning",
        "epoch 1",
        "validating epoch 1",
        "planning the refit",
    )
    assert [step for step in steps if step not in err] == []
    assert "search, epoch 1 of at most 1: loss" in err  # above the rows


def test_nobody_else_is(shop: Path, tmp_path: Path) -> None:
    code, out, err = command("train", shop / "config.yaml", "--out", tmp_path / "quiet", *TINY)
    assert code == 0
    assert [line.partition(",")[0] for line in err.splitlines()] == ["search", "refit"]
    assert "\x1b" not in out + err
