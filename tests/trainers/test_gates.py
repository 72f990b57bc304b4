"""The trainer tells what a gate does, by length of history, and warns when a component falls idle."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rec_export.layers import Gate
from rec_export.towers import DotHead, Towers
from tests.conftest import command
from trainers.gates import Gates, idle


class Tower(nn.Module):
    """A user tower that is a gate and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(("a", "b"), width=1, top=2, entropy=0.0, balance=1.0)
        nn.init.zeros_(self.gate.out.weight)

    def forward(self, told: Tensor) -> Tensor:
        """float32 [B, 1] -> float32 [B, 2]."""
        return self.gate(told)


def towers_with(*shares: float) -> tuple[Tower, Gates]:
    """A tower whose gate gives everybody these shares, and what watches it."""
    tower = Tower()
    tower.gate.out.bias.data = torch.log(torch.tensor(shares))
    return tower, Gates(Towers(tower, nn.Identity(), DotHead()))


def test_shares_are_told_by_length_of_history() -> None:
    tower, gates = towers_with(0.75, 0.25)
    for lengths in ([0, 3, 4], [10, 31]):
        tower(torch.zeros(len(lengths), 1))
        gates.penalty(np.array(lengths))
    each = {"a": 0.75, "b": 0.25}
    assert gates.shares() == {"all": each, "<=3": each, "4-10": each, ">30": each}


def test_an_epoch_begins_with_nothing() -> None:
    tower, gates = towers_with(0.75, 0.25)
    tower(torch.zeros(1, 1))
    gates.penalty(np.array([5]))
    gates.forget()
    assert gates.shares() == {"all": {"a": 0.0, "b": 0.0}}


def test_the_penalty_is_that_of_the_shares_of_the_batch() -> None:
    tower, gates = towers_with(0.75, 0.25)
    tower(torch.zeros(2, 1))
    penalty = gates.penalty(np.array([1, 1]))
    torch.testing.assert_close(penalty, torch.tensor(2 * (0.75**2 + 0.25**2) - 1))


def test_a_component_that_nobody_uses_has_collapsed() -> None:
    assert idle({"all": {"a": 0.985, "b": 0.015}}) == ["b"]
    assert idle({"all": {"a": 0.9, "b": 0.1}, "<=3": {"a": 0.99, "b": 0.01}}) == []


def test_a_tower_without_a_gate_has_nothing_to_tell() -> None:
    gates = Gates(Towers(nn.Identity(), nn.Identity(), DotHead()))
    assert gates.penalty(np.array([1])) == 0.0
    assert gates.shares() == {}
    assert idle({}) == []


def test_the_gate_learns_from_its_penalty() -> None:
    tower, gates = towers_with(0.99, 0.01)
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.1)
    for _ in range(100):
        tower(torch.ones(4, 1))
        penalty = gates.penalty(np.full(4, 2))
        assert isinstance(penalty, Tensor)
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
    assert tower(torch.ones(1, 1)).min() > 0.3


def test_spread_and_entropy_tell_a_gate_that_knows_users_from_one_that_does_not() -> None:
    tower, gates = towers_with(0.75, 0.25)
    tower(torch.zeros(2, 1))
    gates.penalty(np.array([1, 1]))
    assert gates.spreads()["all"] == {"a": 0.0, "b": 0.0}
    assert gates.entropies()["all"] == round(-0.75 * np.log(0.75) - 0.25 * np.log(0.25), 4)
    gates.forget()
    for share in (1.0, 0.0):  # the whole of a user is one component, of another the other
        gates.hear(tower.gate, (), torch.tensor([[share, 1 - share]]))
        gates.penalty(np.array([1]))
    assert gates.spreads()["<=3"] == {"a": 0.5, "b": 0.5}
    assert gates.entropies() == {"all": 0.0, "<=3": 0.0}


def test_a_collapse_is_told_once_when_it_happens(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [[], ["trend"], ["trend"], ["trend", "long"]]
    answers = iter(one for pair in [found[:1], *pairwise(found)] for one in pair)  # each beside the one before
    monkeypatch.setattr("trainers.course.idle", lambda shares: next(answers))
    words = "training={epochs: 4, seeds: 1, refit: false, timeless: 0}", "model={name: gated, dim: 4}"
    said = command("train", shop / "config.yaml", "--out", tmp_path / "out", *(w for c in words for w in ("--set", c)))
    lines = [line for line in said.err.splitlines() if "epoch" in line or "has collapsed" in line]
    assert said.code == 0, said.err
    told = [line.partition("component ")[2][:7] for line in lines if "has collapsed" in line]
    assert told == ["'trend'", "'long' "]
    assert "has collapsed" in lines[2]  # after the second epoch
