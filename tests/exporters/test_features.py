"""The feature graphs make of raw attributes what FeatureState makes of them, whatever the texts are."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.numpy_helper import from_array, to_array

from exporters.featured import feature_trials
from exporters.features import add_text, lowered
from exporters.graph import Graph
from exporters.raw import texts
from rec_export.bundle import Bundle, manifest_of
from rec_export.checkpoint import read_trend
from rec_export.data.columns import Float32
from rec_export.data.config import Attributes
from rec_export.data.features import FeatureState
from rec_export.sealed import listed, write_manifest
from rec_export.towers import Input
from rec_export.world import newcomer, untried
from tests.conftest import command
from tests.exporters.conftest import Make, whole

WORDS = "usb", "usb cable", "cable", "straße", "naïve", "日本語", "жук", "red_1", "é2", "οδοσ", "οδος"


def of_texts(learned: FeatureState) -> onnxruntime.InferenceSession:
    """The graph from one text column to directions."""
    graph = Graph()
    add_text(graph, ["title"], learned)
    ports = (Input(name="title", dtype="string", shape=("N",)),), (Input(name="text", dtype="float32", shape=("N", 3)),)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    proto = graph.model("texts", *ports).SerializeToString()
    return onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def learned() -> FeatureState:
    """Weights of a few words."""
    fitted = FeatureState.fit(pa.table({"title": ["usb cable", "usb cable red"]}), attributes("title"))
    random = np.random.default_rng(0)
    words = tuple(sorted(WORDS))
    directions = random.normal(size=(3, len(words))).astype(np.float32)
    return FeatureState(
        fitted.state.model_copy(update={"words": words}), random.random(len(words)).astype(np.float32) + 1, directions
    )


@pytest.fixture(scope="module")
def session(learned: FeatureState) -> onnxruntime.InferenceSession:
    """The graph of `learned`."""
    return of_texts(learned)


@pytest.fixture(scope="module")
def lower() -> onnxruntime.InferenceSession:
    """The graph from texts to the same in lower case."""
    graph = Graph()
    graph.op("Identity", lowered(graph, "title"), out="lower")
    ports = (Input(name="title", dtype="string", shape=("N",)),), (Input(name="lower", dtype="string", shape=("N",)),)
    return onnxruntime.InferenceSession(graph.model("lower", *ports).SerializeToString())


def attributes(text: str) -> Attributes:
    """One text column."""
    return Attributes(path=Path("made-up"), id="id", text=(text,), text_dim=1)


LETTERS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z"]))
PIECES = st.sampled_from(
    [*WORDS, "USB", "Cable", "STRASSE", "ẞ", "İ", "Σ", "ΟΔΟΣ", "NAÏVE", " ", "-", "'", "\n", "a", "9", "_", "😀"]
)


@given(st.lists(st.one_of(st.lists(PIECES).map("".join), LETTERS), max_size=5))
def test_any_text_has_the_direction_that_scikit_learn_gives_it(
    learned: FeatureState, session: onnxruntime.InferenceSession, given_texts: list[str]
) -> None:
    (found,) = session.run(None, {"title": texts(given_texts)})
    wanted = learned.text_vectors(pa.table({"title": pa.array(given_texts, pa.string())}))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@given(st.text(st.sampled_from("aΩΣ9_'.·ʰ\u0301\u00ad -ªⅧ日"), max_size=12))
def test_a_capital_sigma_at_the_end_of_a_word_is_written_as_python_does(
    lower: onnxruntime.InferenceSession, text: str
) -> None:
    (found,) = lower.run(None, {"title": texts([text, "longer than any other", text + "Σ"])})
    assert found.tolist() == [text.lower(), "longer than any other", (text + "Σ").lower()]


def test_a_text_of_many_thousand_words_takes_memory_by_their_number(
    learned: FeatureState, session: onnxruntime.InferenceSession
) -> None:
    long = " ".join(np.random.default_rng(1).choice([*WORDS, "other"], 100_000))  # a square of them would be 80 GB
    (found,) = session.run(None, {"title": texts([long, "usb"])})
    np.testing.assert_allclose(found, learned.text_vectors(pa.table({"title": [long, "usb"]})), atol=1e-6)


def test_letters_are_those_of_python_but_for_characters_that_it_does_not_know_yet() -> None:
    graph = Graph()
    graph.op("com.microsoft:Tokenizer", "x", out="y", mark=0, mincharnum=1, pad_value="", tokenexp=r"[\p{L}\p{N}_]{2,}")
    ports = (Input(name="x", dtype="string", shape=("N",)),), (Input(name="y", dtype="string", shape=("N", "W")),)
    session = onnxruntime.InferenceSession(graph.model("words", *ports).SerializeToString())
    codes = [code for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    (found,) = session.run(None, {"x": texts([f"a{chr(code)}b" for code in codes])})
    joined = {code for code, row in zip(codes, found, strict=True) if row[0] == f"a{chr(code)}b"}
    ours = {code for code in codes if re.match(r"\w", chr(code))}
    assert ours <= joined
    assert all(not chr(code).isprintable() for code in joined - ours)  # not assigned in Python's tables


def test_both_sides_are_part_of_the_bundle_and_of_its_proof(pristine: Make) -> None:
    manifest = Bundle.read(pristine("everything")).manifest
    inputs = [(port.name, port.dtype) for port in manifest.signatures["item_features"].inputs]
    assert inputs == [
        ("dense.price", "float32"),
        ("category.country", "string"),
        ("category.brand", "string"),
        ("tags.tags", "string"),
        ("text.title", "string"),
    ]
    proved = {summary.artefact for summary in manifest.parity}
    assert {"onnx/item_features", "onnx/user_features"} <= proved
    assert not (pristine("pmf") / "onnx/item_features.onnx").exists()


def test_every_category_tag_and_word_is_tried(checkpoint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporters.raw.MANY", 3)
    monkeypatch.setattr("exporters.raw.BATCH", 2)
    folder = checkpoint("everything")
    parts, blueprint, catalogue = whole(folder)
    kinds = set()
    for trial in feature_trials(parts, catalogue, blueprint.clock, read_trend(folder)):
        state = trial.side.state.state
        for port in trial.inputs:
            kind, _, column = port.name.partition(".")
            cases = [case for case in trial.cases if case.name.startswith(f"{port.name} all that is known")]
            told = [text for case in cases for text in case.inputs[port.name].ravel()]
            if kind == "text":
                assert {word for word in state.words if not any(word in text for text in told)} == set()
            elif kind == "category":
                assert told == list(state.category[column])
            elif kind == "tags":
                assert {f"{column}={tag}" for tag in told} <= {*state.tags}
            kinds |= {kind} if cases else set()
    assert kinds == {"category", "tags", "text"}


def test_a_vocabulary_that_is_shifted_by_one_is_refused_with_one_row(
    checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporters.features.looked_up", shifted)
    code, _, err = command("-q", "onnx", checkpoint("everything"), "--out", tmp_path / "bundle")
    assert code == 81
    assert "onnx/user_features is not the trained model: in the case 'raw rows from 0' category: " in err
    code, _, again = command(*err.rpartition("rec-export ")[2].split())
    assert (code, "(raw rows from 0)" in again) == (81, True)


def shifted(graph: Graph, names: str, known: tuple[str, ...]) -> str:
    """Each text has the place of the one before."""
    where = list(range(-1, len(known) - 1))
    return graph.op("ai.onnx.ml:LabelEncoder", names, keys_strings=known, values_int64s=where, default_int64=-1)


def test_a_graph_of_an_earlier_version_is_held_against_what_it_meant(pristine: Make, tmp_path: Path) -> None:
    """It flagged a new item, and put texts into lower case letter by letter; one with other numbers is refused."""
    bundle = Bundle.read(Path(shutil.copytree(pristine("everything"), tmp_path / "bundle"))).folder
    clock, trend = Bundle.read(bundle).manifest.blueprint.clock, read_trend(bundle)
    rewritten(bundle, "ς".encode(), "\u03c3".encode(), untried(trend, clock), newcomer(clock))
    assert command("verify", bundle).code == 0
    rewritten(bundle, b"", b"", newcomer(clock), newcomer(clock) + 1)
    answer = command("verify", bundle)
    assert (answer.code, "onnx/item_features is not the trained model" in answer.err) == (81, True)


def rewritten(bundle: Path, letter: bytes, other: bytes, trend: Float32, instead: Float32) -> None:
    """A bundle whose graphs have another letter, and other trends of a new item, with hashes that are right."""
    changed = 0
    for path in (bundle / "onnx").glob("*_features.onnx"):
        model = onnx.load(path)
        for constant in model.graph.initializer:
            constant.string_data[:] = [other if letter and one == letter else one for one in constant.string_data]
            if constant.data_type == onnx.TensorProto.FLOAT and np.array_equal(to_array(constant).ravel(), trend):
                constant.CopyFrom(from_array(instead[None], constant.name))
                changed += 1
        onnx.save(model, path)
    assert changed == 1
    write_manifest(bundle, manifest_of(bundle).model_copy(update={"files": listed(bundle)}))
