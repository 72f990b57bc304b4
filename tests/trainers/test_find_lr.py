"""The range test raises the rate to where learning breaks, and points at where it is fastest."""

import json
from pathlib import Path

import numpy as np
import pytest

from rec_export.metrics import Float64
from tests.conftest import command, done
from trainers.range_curve import told

RATES = np.geomspace(1e-5, 1, 200)


def falling(at: float, noise: float = 0.0, seed: int = 0) -> Float64:
    """A loss that falls from 8 to 7, fastest at a rate, and breaks ten times above it; float64 [S]."""
    clean = 7 + 1 / (1 + (RATES / at) ** 2) + np.maximum(np.log(RATES / at / 10), 0)
    return clean + noise * np.random.default_rng(seed).standard_normal(len(RATES))


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_suggestion_is_where_the_loss_falls_fastest(noise: float) -> None:
    found = told(RATES, np.stack([falling(0.003, noise, seed) for seed in range(3)]), len(RATES))
    assert found.suggested == pytest.approx(0.003, rel=0.3)


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ([7 + np.random.default_rng(s).standard_normal(200) for s in range(3)], "may by chance"),
        ([RATES + 7], "may by chance"),
        ([falling(0.003, 0.5), falling(0.0003, 0.5, 1)], "falls about as fast from"),
        ([falling(3.0)], "still falls at the highest rates; try a larger --high than 1"),
        ([7 + 1 / (1 + RATES / 1e-6)], "falls fastest at the lowest rates"),
    ],
)
def test_where_the_curve_does_not_tell_nothing_is_suggested(tests: list[Float64], reason: str) -> None:
    found = told(RATES[: len(tests[0])], np.stack(tests), len(RATES))
    assert (found.suggested, reason in found.reason) == (None, True), found


def test_rates_grow_evenly_and_a_plot_is_drawn(shop: Path, tmp_path: Path) -> None:
    words = "--set", "model={name: pmf, dim: 4}", "--low", 1e-3, "--high", 10, "--steps", 81, "--seeds", 2
    said = done("find-lr", shop / "config.yaml", "--out", tmp_path / "range", *words)
    result = json.loads((tmp_path / "range" / "range.json").read_text())
    steps = [b / a for a, b in zip(result["rates"], result["rates"][1:], strict=False)]
    assert steps == pytest.approx([10**0.05] * len(steps))
    assert 0.01 < result["suggested"] < 0.3, result
    assert (tmp_path / "range" / "range.png").read_bytes().startswith(b"\x89PNG")
    assert f"{result['suggested']:g}" in said


def test_a_range_test_says_nothing_of_habits_which_it_does_not_learn(shop: Path, tmp_path: Path) -> None:
    changes = "model={name: pmf, dim: 2}", "score.seen=keep", "data.interactions.repeats=first"
    words = [word for change in changes for word in ("--set", change)]
    answer = command("find-lr", shop / "config.yaml", "--out", tmp_path / "range", "--steps", 20, "--seeds", 1, *words)
    assert (answer.code, "habits" in answer.err) == (0, False), answer.err


def test_the_test_ends_when_the_loss_breaks(shop: Path, tmp_path: Path) -> None:
    words = "--set", "model={name: pmf, dim: 4}", "--low", 1e-3, "--high", 1e6, "--steps", 60, "--seeds", 1
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
