"""The range test raises the rate to where learning breaks, and points at where it is fastest."""

import json
from pathlib import Path

import pytest

from tests.conftest import command, done
from trainers.find_lr import suggestion


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    rates = tuple(10.0 ** (place / 10) for place in range(-50, 1))
    falls = 10.0**-2.5
    losses = tuple(1 / (1 + (rate / falls)) for rate in rates)  # a sigmoid over log(rate), steepest in its middle
    assert suggestion(rates, losses) == pytest.approx(falls, rel=0.05)


def test_rates_grow_evenly_and_a_plot_is_drawn(shop: Path, tmp_path: Path) -> None:
    words = "--set", "model={name: pmf, dim: 4}", "--low", 1e-4, "--high", 0.1, "--steps", 31
    said = done("find-lr", shop / "config.yaml", "--out", tmp_path / "range", *words)
    result = json.loads((tmp_path / "range" / "range.json").read_text())
    steps = [b / a for a, b in zip(result["rates"], result["rates"][1:], strict=False)]
    assert steps == pytest.approx([10**0.1] * len(steps))
    assert result["rates"][0] <= result["suggested"] <= result["rates"][-1]
    assert (tmp_path / "range" / "range.png").read_bytes().startswith(b"\x89PNG")
    assert f"{result['suggested']:g}" in said


def test_the_test_ends_when_the_loss_breaks(shop: Path, tmp_path: Path) -> None:
    words = "--set", "model={name: pmf, dim: 4}", "--low", 1e-3, "--high", 1e6, "--steps", 60
    done("find-lr", shop / "config.yaml", "--out", tmp_path / "range", *words)
    result = json.loads((tmp_path / "range" / "range.json").read_text())
    assert len(result["rates"]) == len(result["losses"]) < 60


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "model={name: als}"], "the model 'als' does not learn by batches, which are what is tested"),
        (["--low", 1, "--high", 0.1], "--low is 1, but should be below --high, 0.1"),
    ],
)
def test_what_cannot_be_tested_is_refused(words: list[object], said: str, shop: Path, tmp_path: Path) -> None:
    answer = command("-q", "find-lr", shop / "config.yaml", "--out", tmp_path / "range", *words)
    assert (answer.code, answer.err, list(tmp_path.iterdir())) == (2, f"Error: {said}\n", [])
