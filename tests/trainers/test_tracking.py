"""MLflow holds what was trained, judged, compared and searched; where it fails, the training is whole all the same."""

import re
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from rec_export.checkpoint import Checkpoint
from rec_export.config import Config
from rec_export.tracking import Tracking
from tests.conftest import command, config_file, done
from trainers.tracking import tracked

SMALL = "--set", "model={name: pmf, dim: 2}", "--set", "training.epochs=2"


class Told(NamedTuple):
    """A store after one of each command, and where they left their results."""

    client: MlflowClient
    runs: dict[str, Run]  # by name
    folder: Path


@pytest.fixture(scope="module")
def told(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A file that was told of a training, its judgement, an ablation and a search."""
    folder = tmp_path_factory.mktemp("tracked")
    config, store = shop / "config.yaml", folder / "new" / "mlflow.db"  # the folder is made too
    done("train", config, "--out", folder / "checkpoint", *SMALL, "--track", store)
    done("evaluate", folder / "checkpoint", "--bootstrap", 100)  # the configuration in the checkpoint says where to
    variant = "--variant", "wide+:model.dim=3", "--seeds", 1, "--bootstrap", 100
    done("ablate", config, "--out", folder / "ablation", *SMALL, "--track", store, *variant)
    search = "--search", "training.lr=0.001..0.1", "--trials", 2
    done("tune", config, "--out", folder / "search", *SMALL, "--track", store, *search)
    client = MlflowClient(tracking_uri=f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("rec-export")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return Told(client, {run.info.run_name: run for run in runs}, folder)


def files(told: Told, name: str) -> set[str]:
    """The artefacts of a run."""
    return {file.path for file in told.client.list_artifacts(told.runs[name].info.run_id)}


@pytest.mark.slow
def test_every_command_is_a_run_and_every_trial_a_run_within(told: Told) -> None:
    above = {run.info.run_id: name for name, run in told.runs.items()}
    parents = {name: above.get(run.data.tags.get("mlflow.parentRunId", "")) for name, run in told.runs.items()}
    assert parents == {
        "checkpoint": None,
        "evaluate checkpoint": None,
        "ablation": None,
        "base, seed 42": "ablation",
        "wide+, seed 42": "ablation",
        "search": None,
        "trial 0": "search",
        "trial 1": "search",
    }
    assert {run.info.status for run in told.runs.values()} == {"FINISHED"}


@pytest.mark.slow
def test_a_training_tells_parameters_each_epoch_and_its_files(told: Told) -> None:
    run = told.runs["checkpoint"]
    params = {name: run.data.params[name] for name in ("model.name", "model.dim", "training.epochs", "plan.epochs")}
    assert params == {"model.name": "pmf", "model.dim": "2", "training.epochs": "2", "plan.epochs": "2"}
    history = told.client.get_metric_history(run.info.run_id, "search/ndcg_at_10")
    assert [metric.step for metric in history] == [1, 2]
    assert run.data.metrics["validation/model/ndcg_at_10"] == max(metric.value for metric in history)
    assert files(told, "checkpoint") == {"config.yaml", "spec.json", "metrics.json", "history.jsonl", "profile.json"}


@pytest.mark.slow
def test_what_came_out_of_the_others_is_there_too(told: Told) -> None:
    judged, search = told.runs["evaluate checkpoint"].data, told.runs["search"].data
    assert judged.metrics["model/ndcg_at_10 low"] <= judged.metrics["model/ndcg_at_10"]
    assert judged.metrics["popular/ndcg_at_10"] > 0
    assert search.metrics["best/ndcg_at_10"] >= search.metrics["first/ndcg_at_10"]
    alike = told.runs["ablation"].data.metrics["wide_/ndcg_at_10"]
    assert told.runs["wide+, seed 42"].data.metrics["test/ndcg_at_10"] == pytest.approx(alike, abs=1e-5)
    found = {name: files(told, name) for name in ("evaluate checkpoint", "ablation", "search")}
    assert found == {
        "evaluate checkpoint": {"evaluation.json"},
        "ablation": {"ablation.json"},
        "search": {"best.yaml"},
    }
    assert (told.folder / "new" / "mlruns").is_dir()  # beside the file, wherever the command was called


@pytest.mark.slow
def test_a_store_that_fails_costs_two_lines_and_no_training(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = "http://127.0.0.1:9"
    code, _, err = command(
        "-q", "train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *SMALL, "--track", nobody
    )
    first, last = err.splitlines()
    assert code == 0
    assert first.startswith(f"MLflow at {nobody} takes nothing (")
    assert first.endswith("); the work goes on, and is told there once more at its end")
    assert re.fullmatch(rf"MLflow at {nobody} lacks \d+ messages of this command; what it wrote .* is whole", last)
    Checkpoint.read(tmp_path / "checkpoint")


@pytest.mark.slow
def test_what_the_store_refuses_keeps_nothing_else_from_it(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    def refused(client: MlflowClient, run: str) -> None:
        raise OSError("not this")

    def lacking(client: MlflowClient, run: str) -> None:
        raise ModuleNotFoundError("No module named 'boto3'")

    store = Tracking(store=str(told.folder / "new" / "mlflow.db"), experiment="stubborn")
    with tracked(store, "stubborn", "train") as tracker:
        tracker.tell(refused)
        tracker.tell(lacking)
        tracker.tell(refused)
        tracker.metrics({"after@10": 0.5})
    experiment = told.client.get_experiment_by_name("stubborn")
    assert experiment is not None
    (run,) = told.client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"after_at_10": 0.5})
    first, last = caplog.messages
    assert "takes nothing (not this)" in first
    assert last.endswith("lacks 3 messages of this command; what it wrote or printed here is whole")


@pytest.mark.slow
def test_a_file_that_is_no_store_costs_two_lines(shop: Path, tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    store.write_bytes(b"not a database at all" * 100)
    out = tmp_path / "checkpoint"
    code, _, err = command("-q", "train", shop / "config.yaml", "--out", out, *SMALL, "--track", store)
    assert (code, len(err.splitlines()), "takes nothing" in err) == (0, 2, True)


def test_a_password_in_the_url_is_refused_and_not_repeated(shop: Path, tmp_path: Path) -> None:
    url = "https://me:hunter2@mlflow.example.com"
    words = "train", shop / "config.yaml", "--out", tmp_path / "checkpoint", "--track", url
    code, _, err = command("-q", *words)
    assert (code, "MLFLOW_TRACKING_PASSWORD" in err, "hunter2" in err) == (2, True, False)


def test_what_no_store_can_be_is_refused_at_once(shop: Path, tmp_path: Path) -> None:
    code, _, err = command("-q", "train", shop / "config.yaml", "--out", tmp_path / "out", "--track", "s3://bucket/x")
    assert (code, "or the URL of an MLflow server, such as http://host:5000" in err, list(tmp_path.iterdir())) == (
        2,
        True,
        [],
    )


def test_stores_of_other_packages_are_taken_where_those_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = EntryPoint("azureml", "azureml.mlflow:store", "mlflow.tracking_store")
    monkeypatch.setattr("rec_export.tracking.entry_points", lambda group: EntryPoints([plugin]).select(group=group))
    for store in ("azureml://eastus.example.com/workspace", "file:///runs", "postgresql+psycopg://host/runs"):
        assert Tracking(store=store).uri == store
    with pytest.raises(ValueError, match="URL of an MLflow server"):
        Tracking(store="sagemaker://runs")


def test_a_path_in_the_configuration_is_meant_from_its_folder(tmp_path: Path) -> None:
    written = config_file(tmp_path, data={"interactions": {"path": "log.parquet"}}, tracking={})
    tracking = Config.load(written).tracking
    assert tracking is not None
    assert (tracking.uri, tracking.artifacts) == (
        f"sqlite:///{tmp_path / 'mlflow.db'}",
        (tmp_path / "mlruns").as_uri(),
    )


@pytest.mark.slow
def test_mlflow_is_needed_only_by_who_asks_for_it(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    words = "train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *SMALL
    code, _, err = command("-q", *words, "--track", tmp_path / "mlflow.db")
    assert (code, "pip install mlflow-skinny" in err, list(tmp_path.iterdir())) == (78, True, [])
    done(*words)


@pytest.mark.slow
def test_a_judgement_needs_neither_mlflow_nor_the_configuration_of_the_training(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = tmp_path / "checkpoint"
    done("train", shop / "config.yaml", "--out", trained, *SMALL, "--track", tmp_path / "mlflow.db")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, _, err = command("-q", "evaluate", trained, "--bootstrap", 100)
    assert (code, err.count("\n"), "as the package mlflow is not here" in err) == (0, 1, True), err
    (trained / "config.yaml").unlink()
    assert command("-q", "evaluate", trained, "--bootstrap", 100)[::2] == (0, "")
