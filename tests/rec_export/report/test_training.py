"""What is told of training: epochs as far as they go, losses by their kind, gates by what they do."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from rec_export.report.sections.shares import final, judged, of_seed
from rec_export.report.sections.training import curves, history, learned
from rec_export.report.views import Epoch, Outcome, Plan, Spec
from tests.conftest import done


@pytest.mark.parametrize(
    ("shares", "spread", "entropy", "said"),
    [
        ((0.34, 0.33, 0.33), 0.001, 1.0985, "has collapsed to equal shares for everybody"),
        ((0.985, 0.015, 0.0), 0.001, 0.1, "has collapsed: b and c are hardly used"),
        ((0.6, 0.3, 0.1), 0.001, 0.9, "gives everybody nearly the same shares"),
        ((0.6, 0.3, 0.1), 0.2, 0.7, "tells users apart"),
    ],
)
def test_a_gate_is_judged_by_mean_spread_and_entropy(
    shares: tuple[float, ...], spread: float, entropy: float, said: str
) -> None:
    named = dict(zip("abc", shares, strict=True))
    epoch = Epoch(phase="search", epoch=1, loss=1, held_out={}, seconds=1, gate={"all": named},
                  gate_spread={"all": dict.fromkeys("abc", spread)}, gate_entropy={"all": entropy})  # fmt: skip
    assert judged(epoch, "all").words == said


@pytest.mark.parametrize("refit", [["refit", "refit without time"], []])
def test_the_gate_of_a_second_model_without_time_is_not_taken_for_that_of_the_first(refit: list[str]) -> None:
    phases = ["search", "without time", *refit]
    epochs = [Epoch(phase=phase, epoch=1, loss=1, held_out={}, seconds=1) for phase in phases]
    assert final(epochs).phase == (refit or phases)[0]


def test_a_last_line_that_was_never_ended_is_no_epoch(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    before = history(folder)
    with (folder / "history.jsonl").open("ab") as file:
        file.write(b'{"phase": "refit", "ep\xff')
    assert history(folder) == before != []


def test_a_history_that_was_cut_off_before_the_best_epoch_is_drawn_as_far_as_it_goes(
    trained: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    told = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(told | {"best_epoch": 7}))
    assert 7 not in [epoch.epoch for epoch in history(folder)] != []
    done("report", folder, "--out", tmp_path / "r.html")


@pytest.mark.filterwarnings("error")  # a font that lacks a letter is the browser's affair
@pytest.mark.parametrize("other", [0.2, 0.3])
def test_baselines_are_drawn_once_for_each_log(other: float) -> None:
    sizes = dict.fromkeys(("users", "items", "rows", "parameters", "seconds"), 1)
    plan = Plan(epochs=2, metric="ndcg@10", lr=1, batch=1, loss="softmax")
    outcomes, epochs = {}, {}
    for name, popular in (("hybrid", 0.2), ("\u54c1" * 33, other)):
        held_out = {"model": {"ndcg@10": 0.5}, "popular": {"ndcg@10": popular}}
        outcomes[name] = Outcome(best_epoch=1, held_out=held_out, plan=plan, **sizes)
        epochs[name] = [Epoch(phase="search", epoch=n, loss=1, held_out={"ndcg@10": 0.5}, seconds=1) for n in (1, 2)]
    *_, drawn = curves(epochs, outcomes, dict.fromkeys(outcomes, "hybrid"))
    told = ["popular, of the same colour" in drawn.svg, "\u54c1" * 33 in drawn.svg]
    assert told == [other != 0.2, True]


def test_models_that_are_trained_for_different_ends_do_not_share_an_axis() -> None:
    kinds = {
        "hybrid": ("softmax", "ndcg@10"),
        "gated": ("softmax", "ndcg@10"),
        "pmf": ("mse", "rmse"),
        "bpr": ("softmax", "ndcg@10"),
    }
    sizes = dict.fromkeys(("users", "items", "rows", "parameters", "seconds"), 1)
    outcomes = {
        name: Outcome(
            best_epoch=1, held_out={"model": {m: 1}}, plan=Plan(epochs=14, metric=m, lr=1, batch=1, loss=loss), **sizes
        )
        for name, (loss, m) in kinds.items()
    }
    epochs = {
        name: [Epoch(phase="search", epoch=n, loss=1, held_out={m: 1}, seconds=1) for n in (1, 2)]
        for name, (_, m) in kinds.items()
    }
    models = {name: name for name in kinds}
    assert [re.findall(r"hybrid|gated|pmf|bpr", one.alt) for one in curves(epochs, outcomes, models)] == [
        ["hybrid", "gated"],
        ["pmf"],
        ["bpr"],  # learns from pairs, whatever the configuration calls its loss
        ["hybrid", "gated", "bpr"],
        ["pmf"],
    ]


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({}, "."),
        ({"timeless": 0.15}, ", and 0.2000 with a second model that looks at no time."),
        ({"shallow": {"rank": 64}}, ", and 0.2000 with a shallow auto-encoder."),
        (
            {"shallow": [{"tells": "together"}, {"tells": "next"}]},
            ", and 0.2000 with a shallow auto-encoder and counts of what is liked soon after what.",
        ),
        (
            {"timeless": 0.15, "shallow": {"rank": 64}},
            ", and 0.2000 with a second model that looks at no time and a shallow auto-encoder.",
        ),
    ],
)
def test_what_was_added_to_a_model_is_named(beside: dict[str, Any], said: str) -> None:
    plan = Plan(metric="ndcg@10", epochs=9, lr=0.1, batch=2)
    held_out = {"model": {"ndcg@10": 0.2}}
    one = Outcome(best_epoch=3, held_out=held_out, plan=plan, users=2, items=2, rows=5, parameters=7, seconds=1)
    epochs = [Epoch(phase="search", epoch=3, loss=1.0, held_out={"ndcg@10": 0.1}, seconds=1)]
    line = learned("a", one, epochs, Spec(model={"name": "hybrid"}, weights="", **beside))
    assert line.endswith(f"was best, 0.1000, in epoch 3{said}")


@pytest.mark.parametrize(("phase", "said"), [("search", ""), ("refit", ""), ("refit 3", ", of its 3 models the last,")])
def test_of_several_models_it_is_told_whose_gate_it_is(phase: str, said: str) -> None:
    assert of_seed(Epoch(phase=phase, epoch=1, loss=1.0, held_out={}, seconds=1)) == said
