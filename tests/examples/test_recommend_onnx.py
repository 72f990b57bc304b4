"""The example recommends what the trained model does, where nothing but onnxruntime and numpy can be imported."""

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from math import log1p
from pathlib import Path

import numpy as np
import pytest
import torch

from exporters.parts import parts_of
from exporters.recommender import item_vectors
from rec_export.checkpoint import Blueprint, Checkpoint
from rec_export.data.clock import Clock
from rec_export.data.log import Log
from rec_export.data.times import DAY
from rec_export.habit import Again, Habit
from rec_export.topk import Seen, TopK
from rec_export.topk.ruled import RuledRanker
from rec_export.world import Timeline
from tests.conftest import done

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "recommend_onnx.py"
HEAVY = "torch", "onnx", "pyarrow", "pandas", "safetensors", "rec_export"


def test_it_needs_neither_torch_nor_this_project(exported: Path, trained: Path, tmp_path: Path) -> None:
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not here')\n")
    liked = [5, 17, 5, 3]
    command = [sys.executable, EXAMPLE, exported, *liked]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows, scores = zip(*(line.split("\t") for line in done.stdout.splitlines()), strict=True)
    expected = by_the_checkpoint(trained, [5, 17, 3], 3 / 4)
    assert list(map(int, rows)) == expected.item_row[0].tolist()
    np.testing.assert_allclose(np.array(scores, np.float64), expected.score[0], atol=1e-4)


@pytest.mark.parametrize("habit", [Habit(met=0.2, often=3.0, lately=0.5), None])
def test_where_lists_may_hold_what_was_liked_it_does_what_scoring_does(
    habit: Habit | None, trained: Path, tmp_path: Path
) -> None:
    checkpoint = shutil.copytree(trained, tmp_path / "checkpoint")
    blueprint = Blueprint.read(checkpoint / "spec.json")
    scoring = blueprint.score.model_copy(update={"seen": "keep"})
    blueprint.model_copy(update={"habit": habit, "score": scoring}).write(checkpoint / "spec.json")
    done("onnx", checkpoint, "--out", tmp_path / "bundle")
    command = [sys.executable, EXAMPLE, tmp_path / "bundle", 5, 17, 5, 3]
    lines = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout.splitlines()
    rows, scores = zip(*(line.split("\t") for line in lines), strict=True)
    again = Again(Seen(np.array([0, 3]), np.array([5, 17, 3])), np.array([2, 1, 1]), np.ones(3))
    expected = by_the_checkpoint(trained, [5, 17, 3], 3 / 4, Habit(met=0, often=0) if habit is None else habit, again)
    assert list(map(int, rows)) == expected.item_row[0].tolist()
    np.testing.assert_allclose(np.array(scores, np.float64), expected.score[0], atol=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: python recommend_onnx.py "),
        (["BUNDLE", "twelve"], "usage: "),
        (["BUNDLE", "-1"], "usage: "),
        (["BUNDLE", "3", "120", "999"], "2 rows are beyond the 120 items of BUNDLE, the first being 120"),
        (["nowhere"], "nowhere/onnx/recommender.onnx cannot be loaded, name a bundle with ONNX in it: "),
        (["DAMAGED"], "DAMAGED/onnx/recommender.onnx cannot be loaded, "),
    ],
)
def test_what_it_is_told_wrong_is_said_in_a_line(words: list[str], said: str, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "recommender.onnx").write_bytes(b"no graph")
    *words, said = [one.replace("BUNDLE", str(exported)).replace("DAMAGED", str(tmp_path)) for one in [*words, said]]
    done = subprocess.run([sys.executable, str(EXAMPLE), *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith(said)


def test_it_is_as_short_as_was_promised() -> None:
    code = ast.parse(EXAMPLE.read_text(encoding="utf-8")).body
    assert sum(not isinstance(line, ast.Import | ast.ImportFrom) for line in code[1:]) <= 20


def test_somebody_who_liked_nothing_gets_a_list(exported: Path) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE), str(exported)], capture_output=True, text=True)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 10)


STUB = """
import json, pathlib
import numpy as np
class Context: name, type, shape = "context", "tensor(float)", ["B", 8]
class History: name, type, shape = "history", "tensor(int64)", ["B", "L"]
class Length: name, type, shape = "history_length", "tensor(int64)", ["B"]
class Allow: shape = (99,)
class InferenceSession:
    def __init__(self, *_, **__): pass
    def get_inputs(self): return [Context, History, Length]
    def get_overridable_initializers(self): return [Allow]
    def run(self, _, told):
        pathlib.Path("told.json").write_text(json.dumps({name: told[name].tolist() for name in told}))
        return np.array([[0]]), np.array([[0.0]]), np.array([1])
def set_default_logger_severity(_): pass
"""
BLUEPRINT = (
    '{{"blueprint": {{"data": {{"history": 2}}, "clock": {{"half_lives": {}}}, "score": {{"seen": "exclude"}},'
    ' "sizes": {{"items": {{"rows": 20}}}}}}}}'
)


@pytest.mark.parametrize("liked", [[], [5, 17, 3], [5, 17, 5, 3, 5]])
def test_it_tells_of_the_user_what_scoring_does(liked: list[int], tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text(STUB)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text(BLUEPRINT.format("[7.0]"))
    words = [sys.executable, str(EXAMPLE), "bundle", *map(str, liked)]
    subprocess.run(words, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    told = json.loads((tmp_path / "told.json").read_text())
    newest = [17, 3] if liked else []
    assert (told["history"], told["history_length"]) == ([newest], [len(newest)])
    now, n = int(time.time() * 1e6), len(liked)
    when = np.full(n, now - DAY)  # as it takes the last liking to be a day old
    log = Log(np.zeros(n, np.int32), np.array(liked, np.int32), when, None, np.ones(n, bool))
    expected = Timeline.of(log, 1, 99).as_of(now, Clock(half_lives=(7.0,))).context(np.zeros(1, np.int64))[0]
    np.testing.assert_allclose(told["context"][0], expected, atol=1e-2)


@pytest.mark.parametrize("liked", [[], [20, 31]])
def test_a_model_without_time_has_no_list_for_somebody_of_whom_it_knows_nothing(
    liked: list[int], tmp_path: Path
) -> None:
    """Items from row 20 on came after the training."""
    (tmp_path / "onnxruntime.py").write_text(STUB)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text(BLUEPRINT.format("[]"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, str(EXAMPLE), "bundle", *map(str, liked)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "give what is popular" in done.stderr


def by_the_checkpoint(
    trained: Path, liked: list[int], varied: float, habit: Habit | None = None, again: Again | None = None
) -> TopK:
    """The list of a user of whom only the history is known; with a habit it may hold what is liked `again`."""
    checkpoint = Checkpoint.read(trained)
    user, item, _ = parts_of(checkpoint.towers, checkpoint.blueprint)
    inputs = {port.name: torch.full([axis if isinstance(axis, int) else 1 for axis in port.shape], -1)
              for port in user.inputs if port.dtype == "int64"}  # fmt: skip
    inputs |= {"history": torch.tensor([liked]), "history_length": torch.tensor([len(liked)])}
    inputs["context"] = torch.tensor([[log1p(len(liked)) / 2, log1p(1) / 4, 0.0, varied, 0.0, 0.0, 0.0, 0.0]])
    item_vec = torch.from_numpy(item_vectors(item, checkpoint.catalogue, checkpoint.trend))
    ranker = RuledRanker(checkpoint.towers.pair_head, item_vec)
    if habit is not None and again is not None:
        return ranker.top_k(user.run(inputs), 10, Seen.none(1), added=habit.added(again)).top
    return ranker.top_k(user.run(inputs), 10, Seen(np.array([0, len(liked)]), np.array(liked))).top
