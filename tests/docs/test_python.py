"""The verbs in Python: the page's example and the notebook are run as they stand."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from batch_jobs import explain, score
from batch_jobs.job import ExplainJob, ScoreJob
from exporters import export
from exporters.job import ExportJob
from rec_export import recommendations
from rec_export.cli import cli
from rec_export.config import Config
from tests.docs.blocks import blocks
from tests.docs.reader import Reader
from trainers import evaluate, train
from trainers.evaluate import EvaluateJob
from trainers.job import TrainJob

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = "rec_export", "trainers", "exporters", "batch_jobs"
LIGHT = """
import sys
from batch_jobs import nightly, score
from exporters import export
from trainers import train
assert all(map(callable, (nightly, score, export, train)))
sys.exit(f"{sorted({'torch', 'pandas', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules))}")
"""


def made(shop: Path, folder: Path, precision: str) -> tuple[bytes, list[dict[str, Any]], list[str]]:
    """The weights and the lists that three verbs make, and what two others tell of them."""
    changes = "training.epochs=2", "model.dim=8", f"training.precision={precision}"
    config = Config.load(shop / "config.yaml", changes)
    train(TrainJob(config=config, out=folder / "checkpoint"))
    export(ExportJob(checkpoint=folder / "checkpoint", out=folder / "bundle", formats=("torchscript",)))
    log, day = shop / "interactions.parquet", date(2026, 10, 31)
    score(ScoreJob(bundle=folder / "bundle", interactions=log, out=folder / "recs", run_date=day, k=10))
    lists = pq.read_table(recommendations(folder / "recs")).to_pylist()
    judged = evaluate.run(EvaluateJob(checkpoint=folder / "checkpoint", bootstrap=20))
    explained = explain.run(ExplainJob(target=folder / "recs", user=lists[0]["user_id"]))
    texts = [judged.model_dump_json(), explained.model_dump_json(exclude={"run", "bundle"})]
    return (folder / "checkpoint" / "weights.safetensors").read_bytes(), lists, texts


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_torch_is_told_around_a_call_changes_nothing(precision: str, shop: Path, tmp_path: Path) -> None:
    plain = made(shop, tmp_path / "plain", precision)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        within = made(shop, tmp_path / "within", precision)
        assert torch.is_autocast_enabled("cpu")
    assert within == plain


def test_naming_the_verbs_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == "[]\n"


PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
OTHERS = re.findall(r"\| `(\S+)\.(\w+)\(job.*?\| `(\S+)\.(\w+)` \|", PAGE)


@pytest.mark.parametrize(("place", "verb", "home", "job"), OTHERS)
def test_a_verb_that_the_page_names_takes_the_job_that_it_names(place: str, verb: str, home: str, job: str) -> None:
    run = getattr(importlib.import_module(place), verb)
    first = next(iter(inspect.signature(run, eval_str=True).parameters.values()))
    assert first.annotation is getattr(importlib.import_module(home), job)


@pytest.mark.parametrize(("name", "home", "job"), re.findall(r"\| `([\w-]+)` \| .*?\| `(\S+)\.(\w+)` \|", PAGE))
def test_a_job_has_the_defaults_of_its_command(name: str, home: str, job: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    fields = getattr(importlib.import_module(home), job).model_fields
    shared = [param for param in command.params if isinstance(param, click.Option) and param.name in fields]
    for option in shared:
        if option.show_default:
            assert str(option.default) == str(fields[str(option.name)].default), option.name


def test_the_page_names_every_verb_with_a_job() -> None:
    homes = {home for _, _, home, _ in OTHERS} | {"trainers.job", "exporters.job", "batch_jobs.nightly_job"}
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    made = {path for path in files if re.search(r"^class \w+Job\(Record\)", path.read_text(), re.MULTILINE)}
    assert {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in made} == homes


def executed(source: str) -> dict[str, Any]:
    """What a program leaves in its names."""
    names: dict[str, Any] = {}
    exec(compile(source, "a document", "exec"), names)
    return names


@pytest.mark.slow
def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    reader = Reader(tmp_path, tmp_path / "machine", {})
    for block in blocks("docs/python.md"):
        ended = reader.follow(block)
        assert ended.code == 0, ended.said
    names = reader.names
    assert callable(names["score"])  # no module of that name takes its place
    assert (names["run"].run_date, names["run"].k) == ("2026-10-30", 10)


@pytest.mark.slow
def test_the_cells_of_the_notebook_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "examples" / "first_hour.ipynb").read_text())["cells"]
    names = executed("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    lists: pd.DataFrame = names["lists"]
    assert lists.groupby("user_id").size().unique().tolist() == [10]
    assert names["mine"]["rank"].tolist() == list(range(1, 11))
