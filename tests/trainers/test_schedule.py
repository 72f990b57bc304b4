"""Learning rates follow their schedules."""

import math
from typing import Any

import pytest
import torch

from rec_export.data.clock import Clock
from trainers.plan import Plan
from trainers.schedule import Schedule

EPOCHS, STEPS, LR = 6, 5, 0.1


def rates(schedule: str, metrics: list[float], course: int = EPOCHS) -> list[float]:
    """The learning rate after each epoch."""
    fields: dict[str, Any] = {
        "clock": Clock(), "recent": 0, "epochs": EPOCHS, "patience": 1, "batch": 8, "lr": LR, "decay": 0.0,
        "embedding_decay": 0.0, "id_dropout": 0.0, "row_wise": 9, "averaging": 0.9, "loss": "softmax",
        "candidates": None, "negatives": "mixed", "logq": True, "reject": True, "schedule": schedule,
        "precision": "float32", "compile": False,
        "course": course, "clip": 5.0, "recency": None, "by_value": False, "history": 5, "seed": 1, "seeds": 1,
        "metric": "ndcg@10",
    }  # fmt: skip
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    plan = Schedule(optimizer, Plan(**fields), STEPS)
    seen = []
    for metric in metrics:
        for _ in range(STEPS):
            optimizer.step()
            plan.step()
        plan.epoch(loss=1.0, held_out={"ndcg@10": metric})
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_a_constant_rate_stays() -> None:
    assert rates("constant", [0.1] * 3) == [LR] * 3


def test_a_cosine_ends_at_a_hundredth() -> None:
    cosine = [LR / 100 + (LR - LR / 100) * (1 + math.cos(math.pi * e / EPOCHS)) / 2 for e in range(1, EPOCHS + 1)]
    assert rates("cosine", [0.1] * EPOCHS) == pytest.approx(cosine)


def test_a_refit_of_fewer_epochs_follows_the_same_cosine() -> None:
    assert rates("cosine", [0.1] * 2) == rates("cosine", [0.1] * EPOCHS)[:2]


def test_a_step_halves_after_each_third() -> None:
    assert rates("step", [0.1] * EPOCHS) == pytest.approx([LR, LR / 2, LR / 2, LR / 4, LR / 4, LR / 8])


def test_a_plateau_halves_when_the_metric_stands_still() -> None:
    assert rates("plateau", [0.1, 0.2, 0.2, 0.2, 0.3]) == pytest.approx([LR, LR, LR, LR / 2, LR / 2])
