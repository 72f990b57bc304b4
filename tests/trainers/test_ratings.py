"""A model that learns values predicts them, beside baselines that are what they say, in the units of the log."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rec_export.checkpoint import Checkpoint
from rec_export.models import names, spec_class
from tests.conftest import command, config_file, done, read_lists, write_table
from tests.trainers.test_resume import killed
from trainers.baselines import Biases, Pairs, Ridge

USERS, ITEMS = 60, 40


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings about 3.5 that are a user's factor times an item's, without noise: biases explain none of them."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(2)
    u, v = rng.choice([-1.0, 1.0], USERS), rng.choice([-1.0, 1.0], ITEMS)
    user, item = np.divmod(rng.permutation(USERS * ITEMS)[:1600], ITEMS)
    write_table(folder / "log.parquet", user_id=user, item_id=item, rating=3.5 + u[user] * v[item])
    return folder


def config(folder: Path, model: dict[str, Any], name: str = "config.yaml", **training: Any) -> Path:
    """A fifth of the rows is held out, and half of them are no likings."""
    log = {"path": "log.parquet", "value": "rating", "positive": 4}
    split = {"by": "random", "valid": 0.1, "test": 0.2}
    return config_file(
        folder, name, data={"interactions": log, "split": split}, model=model, training={"loss": "mse", **training}
    )


LEARNERS: dict[str, dict[str, Any]] = {
    "pmf": {"name": "pmf", "dim": 4},
    "music": {"name": "music", "dim": 8, "hidden": [16, 8], "dropout": 0.0},
    "ncf": {"name": "ncf", "dim": 4, "hidden": [16, 8], "dropout": 0.0},
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_is_planted_is_predicted_in_the_units_of_the_log(learner: str, planted: Path, tmp_path: Path) -> None:
    path = config(planted, LEARNERS[learner], f"{learner}.yaml", lr=0.02, batch=128, prior=0.1, epochs=40)
    done("train", path, "--out", tmp_path / "c")
    said = json.loads(done("evaluate", tmp_path / "c", "--k", 5, "--bootstrap", 100, "--json"))["ratings"]["segments"]
    rmse = {who: metrics["rmse"]["mean"] for who, metrics in said["all"]["metrics"].items()}
    assert said["all"]["rows"] == 320  # likings or not
    assert rmse["model"] < 0.3
    assert min(rmse["constant"], rmse["biases"]) > 0.9
    assert said["all"]["paired"]["biases"]["rmse"]["mean"] == pytest.approx(rmse["model"] - rmse["biases"], abs=2e-5)


def test_the_exported_score_is_the_rating(planted: Path, tmp_path: Path) -> None:
    path = config(planted, LEARNERS["pmf"], "exported.yaml", lr=0.02, batch=128, prior=0.1, epochs=40)
    done("train", path, "--out", tmp_path / "c")
    done("export", tmp_path / "c", "--out", tmp_path / "b")  # with parity
    words = "--interactions", planted / "log.parquet", "--out", tmp_path / "recs", "--k", ITEMS, "--seen", "keep"
    done("score", tmp_path / "b", *words)
    lists = read_lists(tmp_path / "recs").to_pandas()
    both = lists.merge(pd.read_parquet(planted / "log.parquet"), on=["user_id", "item_id"])
    assert len(both) == 1600
    assert np.sqrt(((both.score - both.rating) ** 2).mean()) < 0.3
    assert lists.score.between(1.5, 5.5).all()


def test_constant_is_the_mean_of_the_known_rows(planted: Path, tmp_path: Path) -> None:
    path = config(planted, LEARNERS["pmf"], "constant.yaml", epochs=1)
    done("train", path, "--out", tmp_path / "c")
    rng = np.random.default_rng(0)
    later = {"user_id": np.arange(50), "item_id": np.arange(50) + 1000, "rating": rng.choice([2.0, 4.5], 50)}
    test = write_table(tmp_path / "later.parquet", **later)
    words = "--test", test, "--k", 5, "--bootstrap", 100, "--json"
    said = json.loads(done("evaluate", tmp_path / "c", *words))["ratings"]["segments"]
    rows = Checkpoint.read(tmp_path / "c").blueprint
    assert rows.rated
    assert (said["cold"]["rows"], said["warm"]["rows"]) == (50, 0)  # no item of these is known
    log = pd.read_parquet(planted / "log.parquet")
    off = said["all"]["metrics"]["constant"]["rmse"]["mean"]
    assert off == pytest.approx(np.sqrt(((later["rating"] - log.rating.mean()) ** 2).mean()), abs=0.02)


def test_biases_are_the_least_squares_with_their_ridge() -> None:
    rng = np.random.default_rng(1)
    user, item, target = rng.integers(0, 6, 80), rng.integers(0, 5, 80), rng.normal(3, 1, 80)
    got = Biases.of(Pairs(user, item, target), 6, 5, Ridge(2.0, 7.0))
    x = np.zeros((80, 11))
    x[np.arange(80), user], x[np.arange(80), 6 + item] = 1, 1
    best = np.linalg.solve(x.T @ x + np.diag([2.0] * 6 + [7.0] * 5), x.T @ (target - target.mean()))
    np.testing.assert_allclose(np.concatenate([got.user[:-1], got.item[:-1]]), best, atol=1e-3)
    assert got.predict(np.array([-1]), np.array([-1])).tolist() == [target.mean()]


def test_log_learns_the_logarithm_of_counts_and_refuses_negative_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 30, 600), rng.integers(0, 20, 600)
    write_table(tmp_path / "log.parquet", user_id=user, item_id=item, rating=np.expm1(1 + user / 10))
    path = config(tmp_path, LEARNERS["pmf"], target="log", lr=0.02, batch=64, epochs=40)
    done("train", path, "--out", tmp_path / "c", "--set", "data.interactions.positive=null")
    said = json.loads(done("evaluate", tmp_path / "c", "--k", 5, "--bootstrap", 100, "--json"))["ratings"]
    assert said["target"] == "log"
    assert said["segments"]["all"]["metrics"]["model"]["rmse"]["mean"] < 0.2
    write_table(tmp_path / "log.parquet", user_id=user, item_id=item, rating=user - 1.0)
    code, _, err = command("-q", "train", path, "--out", tmp_path / "d", "--set", "data.interactions.positive=null")
    assert (code, "values are negative, the least -1" in err) == (65, True)


def test_a_log_without_values_is_one_clear_line(planted: Path, tmp_path: Path) -> None:
    path = config_file(planted, "none.yaml", data={"interactions": {"path": "log.parquet"}}, model={"name": "pmf"})
    answer = command("-q", "train", path, "--out", tmp_path / "c", "--set", "training.loss=mse")
    assert (answer.code, answer.err) == (
        2,
        "Error: training.loss is mse, but the log has no value to predict; name its column in"
        " data.interactions.value\n",
    )


@pytest.mark.parametrize("model", [name for name in names() if not spec_class(name).predicts])
def test_a_model_that_would_see_the_value_is_refused(model: str, planted: Path, tmp_path: Path) -> None:
    code, _, err = command("-q", "train", config(planted, {"name": model}, "no.yaml"), "--out", tmp_path / "c")
    assert (code, f"the model {model!r} cannot predict values" in err, "take one of music, ncf, pmf" in err) == (
        2, True, True,
    )  # fmt: skip


def test_a_rating_metric_needs_the_loss_of_ratings(planted: Path, tmp_path: Path) -> None:
    path = config(planted, {"name": "pmf"}, "metric.yaml", metric="rmse")
    code, _, err = command("-q", "train", path, "--out", tmp_path / "c", "--set", "training.loss=softmax")
    assert (code, err) == (
        2,
        "Error: training.metric is 'rmse', which needs training.loss: mse; the loss is softmax\n",
    )


def test_the_epoch_with_the_least_error_is_kept(planted: Path, tmp_path: Path) -> None:
    path = config(planted, LEARNERS["pmf"], "least.yaml", epochs=6, refit=False)
    done("train", path, "--out", tmp_path / "c")
    lines = (tmp_path / "c" / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["held_out"]["rmse"] for line in lines]
    outcome = json.loads((tmp_path / "c" / "metrics.json").read_text())
    assert outcome["best_epoch"] == 1 + int(np.argmin(epochs))
    assert set(outcome["held_out"]) == {"model", "constant", "biases"}


def test_several_seeds_predict_the_mean_of_their_predictions(planted: Path, tmp_path: Path) -> None:
    path = config(planted, LEARNERS["pmf"], "seeds.yaml", lr=0.02, batch=128, prior=0.1, epochs=20, seeds=2)
    done("train", path, "--out", tmp_path / "c")
    said = json.loads(done("evaluate", tmp_path / "c", "--k", 5, "--bootstrap", 100, "--json"))["ratings"]["segments"]
    assert said["all"]["metrics"]["model"]["rmse"]["mean"] < 0.5


@pytest.mark.slow
def test_what_was_killed_goes_on_to_the_same_weights(planted: Path, tmp_path: Path) -> None:
    shutil.copy(planted / "log.parquet", tmp_path)
    path = config(tmp_path, LEARNERS["pmf"], epochs=4, patience=4)
    done("train", path, "--out", tmp_path / "undisturbed")
    killed(tmp_path, 3)
    done("train", path, "--out", tmp_path / "checkpoint", "--resume")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("undisturbed", "checkpoint")]
    assert weights[0] == weights[1]


def test_two_that_predict_are_compared_row_by_row(planted: Path, tmp_path: Path) -> None:
    for name, epochs in (("a", 30), ("b", 1)):
        path = config(planted, LEARNERS["pmf"], f"{name}.yaml", lr=0.02, batch=128, prior=0.1, epochs=epochs)
        done("train", path, "--out", tmp_path / name)
    words = "--k", 5, "--bootstrap", 100, "--json", "--against"
    one, same = (json.loads(done("evaluate", tmp_path / "a", *words, tmp_path / n))["ratings"] for n in ("b", "a"))
    other = json.loads(done("evaluate", tmp_path / "b", "--k", 5, "--bootstrap", 100, "--json"))["ratings"]
    everybody = one["segments"]["all"]
    assert everybody["metrics"]["against"] == other["segments"]["all"]["metrics"]["model"]
    gap = {m: everybody["metrics"]["model"][m]["mean"] - v["mean"] for m, v in everybody["metrics"]["against"].items()}
    assert {m: v["mean"] for m, v in everybody["paired"]["against"].items()} == pytest.approx(gap, abs=2e-5)
    assert everybody["paired"]["against"]["rmse"]["mean"] < -0.1
    assert {v["mean"] for v in same["segments"]["all"]["paired"]["against"].values()} == {0.0}


def test_tune_looks_for_the_least_error(planted: Path, tmp_path: Path) -> None:
    path = config(planted, LEARNERS["pmf"], "tuned.yaml", lr=1e-6, batch=128, prior=0.1, epochs=8)
    words = "--search", "training.lr=0.02,0.03", "--trials", 2, "--json"
    said = json.loads(done("tune", path, "--out", tmp_path / "tuned", *words))
    assert (said["metric"], said["changes"][0].partition("=")[0]) == ("rmse", "training.lr")
    assert said["best"] < said["first"]
