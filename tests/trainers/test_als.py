"""The trainer of `als`: least squares indeed, and one clear line where its package is not installed."""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix
from torch import nn

from rec_export.checkpoint import Checkpoint
from rec_export.models.als import Factors
from tests.conftest import Refusal, config_file, done, refusal, write_table
from trainers.als import loss_of

Float64 = npt.NDArray[np.float64]
LACKING = "Error: the model als needs the package implicit, which is not here; install it with `pip install implicit`\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of few users and items, with values."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, [12, 9], (50, 2)), axis=0)
    values = rng.lognormal(2, 1, len(pairs))
    return write_table(tmp_path / "log.parquet", user_id=pairs[:, 0], item_id=pairs[:, 1], value=values)


def factors(tower: nn.Module) -> Float64:
    """The rows of those who were in training."""
    assert isinstance(tower, Factors)
    rows: Float64 = tower.embedding.table.weight.detach().double().numpy()[:-1]
    return rows


def test_the_items_are_the_least_squares_solution_for_the_users(log: Path, tmp_path: Path) -> None:
    """Hu et al. 2008: y_i = (X^T C_i X + r I)^-1 X^T C_i p_i; liking is 1, its confidence alpha times its worth."""
    regularization, alpha = 0.5, 3.0
    data = {"interactions": {"path": log.name, "value": "value"}, "split": {"by": "random", "valid": 0, "test": 0}}
    model = {"name": "als", "factors": 3, "regularization": regularization, "alpha": alpha}
    config = config_file(tmp_path, data=data, model=model, training={"epochs": 100})
    done("train", config, "--out", tmp_path / "checkpoint")
    _, towers, catalogue, _ = Checkpoint.read(tmp_path / "checkpoint")
    x, y = factors(towers.user_tower), factors(towers.item_tower)

    table = pq.read_table(log)
    user, item = (
        side.vocab.rows(table[name].combine_chunks())
        for side, name in ((catalogue.users, "user_id"), (catalogue.items, "item_id"))
    )
    value = table["value"].to_numpy()
    confidence, liked = np.ones((len(x), len(y))), np.zeros((len(x), len(y)))
    confidence[user, item] = alpha * (1 + np.log1p(value / np.median(value)))
    liked[user, item] = 1
    for i in range(len(y)):
        weighted = x.T * confidence[:, i]
        solution = np.linalg.solve(weighted @ x + regularization * np.eye(3), weighted @ liked[:, i])
        np.testing.assert_allclose(y[i], solution, atol=1e-3)


def without_implicit(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object) -> Refusal:
    """How a command line is refused where the package is missing."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "implicit" or name == "trainers.als"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "implicit", None)
    return refusal(folder, *arguments)


def test_training_without_the_package_is_one_clear_line(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_file(tmp_path, data={"interactions": {"path": log.name}}, model={"name": "als"})
    arguments = "train", config, "--out", tmp_path / "checkpoint"
    assert without_implicit(monkeypatch, tmp_path, *arguments) == (78, LACKING, [])


def test_the_main_job_without_the_package_leaves_nothing_behind(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = "run", log, "--model", "als", "-o", tmp_path / "out"
    assert without_implicit(monkeypatch, tmp_path, *arguments) == (78, LACKING, [])


def test_a_log_without_likings_is_refused(log: Path, tmp_path: Path) -> None:
    table = pq.read_table(log)
    pq.write_table(table.set_column(2, "value", pa.array(np.zeros(len(table)))), log)
    interactions = {"path": log.name, "value": "value", "positive": 1}
    config = config_file(tmp_path, data={"interactions": interactions}, model={"name": "als"})
    found = refusal(tmp_path, "train", config, "--out", tmp_path / "checkpoint")
    assert (found.code, found.changed) == (65, [])


def test_of_a_large_log_a_sample_tells_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, users = np.random.default_rng(0), 4000
    items = np.stack([np.arange(users) % 10, 10 + rng.integers(0, 40, users)], 1)  # two of each user
    start = np.arange(0, 2 * users + 1, 2)
    weighed = csr_matrix((np.full(2 * users, 5.0, np.float32), items.ravel(), start), shape=(users, 50))
    user, item = rng.random((users, 3), dtype=np.float32), rng.random((50, 3), dtype=np.float32)
    item[10:] *= 0.1
    whole = loss_of(weighed, user, item, 0.5)
    liked = np.zeros((users, 50))
    liked[np.arange(users)[:, None], items] = 1
    errors = (np.where(liked > 0, 5.0, 1.0) * (liked - user @ item.T) ** 2).sum()
    ridge, pairs = 0.5 * ((user**2).sum() + (item**2).sum()), users * 50 + 8 * users
    assert whole == pytest.approx((errors + ridge) / pairs, rel=1e-5)
    monkeypatch.setattr("trainers.als.LOOKED_AT", 1000)
    assert loss_of(weighed, user, item, 0.5) == pytest.approx(whole, rel=0.05)
