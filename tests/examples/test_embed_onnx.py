"""The example makes vectors as the trained model does, where nothing but onnxruntime and numpy can be imported."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from exporters.parts import parts_of
from rec_export.checkpoint import Checkpoint
from rec_export.data.columns import Float32, bags, spelled, words
from rec_export.inputs import item_inputs
from rec_export.world import untried
from tests.examples.test_recommend_onnx import HEAVY

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "embed_onnx.py"


def test_a_line_of_json_becomes_its_vector(exported: Path, trained: Path, tmp_path: Path) -> None:
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not here')\n")
    checkpoint = Checkpoint.read(trained)
    table = checkpoint.catalogue.items.table.slice(0, 6)
    lines = [json.dumps(row, default=str) for row in table.drop_columns(table.column_names[:1]).to_pylist()]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, EXAMPLE, exported],
        input="\n".join([*lines, "{}"]),
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    vector, *others = done.stdout.splitlines()
    nothing = pa.Table.from_pylist([{}], table.schema)
    expected = as_new(checkpoint, pa.concat_tables([table, nothing]))
    np.testing.assert_allclose(json.loads(vector), expected[0], atol=1e-5)
    varied = expected[:, (expected != expected[0]).any(0)]
    assert varied.shape[1] < expected.shape[1]  # the rest is popularity, which is the same for all that are new
    unit = varied / np.linalg.norm(varied, axis=1, keepdims=True)
    cosine = dict(line.split("\t") for line in others)
    found = [float(cosine[str(line)]) for line in range(2, 8)]
    np.testing.assert_allclose(found, unit[1:] @ unit[0], atol=1e-3)
    assert sorted(map(int, cosine)) == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("bundle", "lines", "said"),
    [
        ("BUNDLE", "", "there is no item on stdin; write one JSON object a line"),
        ("BUNDLE", "{}\ntitle", "line 2 on stdin is no JSON: "),
        ("nowhere", "{}", "nowhere is no bundle with ONNX whose items have attributes: "),
        ("BUNDLE", "[1, 2]", "line 1 on stdin is no JSON object"),
        *(
            ("BUNDLE", f'{{}}\n{{"price": {value}}}', f"price is a number, and line 2 has {value}")
            for value in ('"cheap"', '"inf"', "[3]", "{}", "1e+39", "Infinity", "NaN")
        ),
        ("BUNDLE", '{"title": "\\ud800"}', "the lines cannot be embedded: "),
    ],
)
def test_what_it_is_told_wrong_is_said_in_a_line(bundle: str, lines: str, said: str, exported: Path) -> None:
    line = [sys.executable, str(EXAMPLE), bundle.replace("BUNDLE", str(exported))]
    done = subprocess.run(line, input=lines, capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith(said)


def test_keys_that_are_no_column_are_named(exported: Path) -> None:
    line = [sys.executable, str(EXAMPLE), str(exported)]
    done = subprocess.run(line, input='{"prize": 3, "Brand": "x"}\n{"price": 3}', capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "not read, as the model has no such columns: Brand, prize\n")


def functions_of_the_example(state: dict[str, object]) -> dict[str, Any]:
    """Its functions, with what they look at."""
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    known: dict[str, Any] = {"state": state, "np": np, "re": re}
    functions: list[ast.stmt] = [part for part in tree.body if isinstance(part, ast.FunctionDef)]
    exec(compile(ast.Module(functions, []), "example", "exec"), known)
    return known


WRITTEN = st.text() | st.from_regex(r"[ \n\xa0]?([+-]?[0-9]{1,3}\.0{0,2}|True|FALSE|true)[ \n]?", fullmatch=True)


@given(st.lists(WRITTEN, min_size=1, max_size=5))
def test_words_are_spelled_as_the_training_did(texts: list[str]) -> None:
    known = functions_of_the_example({"separator": "|", "spelled": True})
    assert list(map(known["spelled"], texts)) == spelled(pa.array(texts, pa.large_string())).to_pylist()


def test_values_are_written_as_the_training_of_an_earlier_version_did() -> None:
    known = functions_of_the_example({"separator": "|"})
    for values in (
        [True, False],
        [3, 40],
        [3.0, 0.5, 1e-5, 1.5e-7, 12345678.25, 12345678901.0, 12345678901.5, 1e300],
        ["Acme", "3.0"],
    ):
        assert list(map(known["spelled"], values)) == words(pa.chunked_array([values]), "here").to_pylist()
    for cell in ("a|b", " a |b", "a", ""):
        assert known["tags_of"](cell) == bags(pa.chunked_array([[cell]]), "|", "here").to_pylist()[0]
    assert known["tags_of"]([1, True, None, " x"]) == ["1", "true", " x"]


def as_new(checkpoint: Checkpoint, table: pa.Table) -> Float32:
    """The trained model's vectors of items that nobody has met."""
    _, item, _ = parts_of(checkpoint.towers, checkpoint.blueprint)
    features = checkpoint.catalogue.items.state.encode(table)
    trend = torch.from_numpy(np.tile(untried(checkpoint.trend, checkpoint.blueprint.clock), (len(table), 1)))
    vectors: Float32 = item.run(item_inputs(item.inputs, features, trend, np.full(len(table), -1))).numpy()
    return vectors
