"""recommender.onnx gives the exact lists, whatever the head, the ties, the tiles and what is hidden, or is refused."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from exporters import recommender
from exporters.job import ExportJob, run
from exporters.onnx import file_fault, write_onnx
from exporters.parity import labels
from exporters.parts import Part
from exporters.recommender import lists_of, recommender_fault, signature, widest, write_recommender
from rec_export.bundle import Bundle
from rec_export.checkpoint import read_trend
from rec_export.topk import Seen
from rec_export.topk.contract import Added, Allowed
from rec_export.topk.reference import by_definition, by_rules
from rec_export.towers import AdditiveHead, DotHead, Head, Input, Inputs, ResidualHead, ScalarHead
from rec_export.world import for_lists
from tests.exporters.conftest import ITEMS, Make, whole

WIDTH, CATALOGUE, TILE = 4, 23, 5
HEADS: dict[str, Callable[[], Head]] = {
    "dot": DotHead,
    "additive": lambda: AdditiveHead((2, 3), 2),
    "residual": lambda: ResidualHead((2, 3)),
    "scalar": lambda: ScalarHead((3, 2)),
}
ROW = st.sampled_from([-(2**63), -1, *range(CATALOGUE), CATALOGUE, 2**63 - 1])


class Through(nn.Module):
    """A user tower that is told the vectors."""

    def forward(self, inputs: Inputs) -> Tensor:
        """{"context": float32 [B, D]} -> the same."""
        return inputs["context"] * 1


@pytest.fixture(scope="module", params=HEADS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Head, Tensor, Path]:
    """A head with small whole weights, a catalogue of small whole vectors in tiles of 5 items, and the bundle's folder.

    In it is another folder, `habits`, with a graph that adds what it is told to scores. All sums of whole numbers are
    exact, so that scores tie everywhere and float32 is as good as float64.
    """
    folder = tmp_path_factory.mktemp("small")
    (folder / "onnx").mkdir()
    torch.manual_seed(3)
    head = HEADS[request.param]().eval()
    for weight in head.parameters():
        nn.init.uniform_(weight.requires_grad_(False), -2, 2).round_()
    item_vec = torch.randint(-1, 2, (CATALOGUE, WIDTH)).float()
    context, user_vec = (Input(name=name, dtype="float32", shape=("B", WIDTH)) for name in ("context", "user_vec"))
    items, score = (Input(name=name, dtype="float32", shape=shape) for name, shape in
                    (("item_vec", ("N", WIDTH)), ("score", ("B", "N"))))  # fmt: skip
    write_onnx(Part("user_tower", Through(), (context,), user_vec), folder / "onnx/user_tower.onnx", {})
    write_onnx(Part("pair_head", head, (user_vec, items), score), folder / "onnx/pair_head.onnx", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommender, "LEAST_ITEMS", TILE)
        patch.setattr(recommender, "NUMBERS", TILE)
        write_recommender(folder, item_vec.numpy(), {})
        shutil.copytree(folder / "onnx", folder / "habits" / "onnx")
        write_recommender(folder / "habits", item_vec.numpy(), {}, habits=True)
    return head, item_vec, folder


def recommended(folder: Path, **inputs: np.ndarray) -> list[np.ndarray]:
    """item_row, score and count."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "onnx/recommender.onnx", options, ["CPUExecutionProvider"])
    answer: list[np.ndarray] = session.run(None, inputs)
    return answer


@given(
    users=st.lists(st.tuples(st.lists(st.integers(-2, 2), min_size=WIDTH, max_size=WIDTH), st.lists(ROW, max_size=30)),
                   max_size=4),
    allow=st.none() | st.lists(st.booleans(), min_size=CATALOGUE, max_size=CATALOGUE),
    k=st.integers(1, CATALOGUE + 2),
)  # fmt: skip
def test_lists_are_the_definition_with_ties_to_the_lower_row(
    users: list[tuple[list[int], list[int]]], allow: list[bool] | None, k: int, small: tuple[Head, Tensor, Path]
) -> None:
    head, item_vec, folder = small
    user_vec = torch.tensor([vec for vec, _ in users]).float().reshape(len(users), WIDTH)
    seen = filled([rows for _, rows in users])
    closed = [row for row in range(CATALOGUE) if allow and not allow[row]]
    hidden = [sorted({row for row in rows if 0 <= row < CATALOGUE} | set(closed)) for _, rows in users]
    start = np.cumsum([0, *map(len, hidden)])
    wanted = by_definition(
        head, user_vec, item_vec, k, Seen(start, np.array([row for rows in hidden for row in rows], np.int64))
    )
    mask = {} if allow is None else {"allow": np.array(allow)}
    item_row, score, count = recommended(folder, context=user_vec.numpy(), seen=seen, k=np.array(k), **mask)
    np.testing.assert_array_equal(item_row, wanted.item_row)
    np.testing.assert_array_equal(score, wanted.score.astype(np.float32))
    np.testing.assert_array_equal(count, wanted.count)


@given(
    users=st.lists(
        st.tuples(
            st.lists(st.integers(-2, 2), min_size=WIDTH, max_size=WIDTH),
            st.lists(ROW, max_size=5),
            st.dictionaries(ROW, st.integers(-9, 9), max_size=8),
        ),
        max_size=4,
    ),
    k=st.integers(1, CATALOGUE + 2),
)
def test_what_is_added_to_scores_moves_items_by_so_much(
    users: list[tuple[list[int], list[int], dict[int, int]]], k: int, small: tuple[Head, Tensor, Path]
) -> None:
    head, item_vec, folder = small
    user_vec = torch.tensor([vec for vec, _, _ in users]).float().reshape(len(users), WIDTH)
    seen = filled([rows for _, rows, _ in users])
    added, term = filled([list(terms) for _, _, terms in users]), filled([[*terms.values()] for _, _, terms in users])
    pairs = [(u, row) for u, (_, rows, _) in enumerate(users) for row in rows if 0 <= row < CATALOGUE]
    terms = [(u, row, value) for u, (_, _, mine) in enumerate(users) for row, value in mine.items()
             if 0 <= row < CATALOGUE]  # fmt: skip
    met, hidden = np.array(pairs, np.int64).reshape(-1, 2).T
    owner, item, value = np.array(terms, np.int64).reshape(-1, 3).T
    wanted = by_rules(
        head, user_vec, item_vec, k, Seen.of(met, hidden, len(users)),
        Allowed.everything(len(users)), None, None, Added(Seen.of(owner, item, len(users)), value.astype(np.float32)),
    )  # fmt: skip
    told = {"added": added, "term": term.astype(np.float32)}
    got = recommended(folder / "habits", context=user_vec.numpy(), seen=seen, k=np.array(k), **told)
    for mine, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(mine, other)


def filled(rows: list[list[int]]) -> np.ndarray:
    """Rows of any length as an array, with -1 where they end."""
    array = np.full((len(rows), max(map(len, rows), default=0)), -1)
    for line, row in zip(array, rows, strict=True):
        line[: len(row)] = row
    return array


def test_a_user_whose_vector_is_not_a_number_gets_nothing_and_disturbs_nobody(small: tuple[Head, Tensor, Path]) -> None:
    user_vec = np.ones((2, WIDTH), np.float32)
    user_vec[0] = np.nan
    seen = np.full((2, 0), -1)
    _, _, alone = recommended(small[2], context=user_vec[1:], seen=seen[1:], k=np.array(3))
    item_row, _, count = recommended(small[2], context=user_vec, seen=seen, k=np.array(3))
    assert (count == [0, alone[0]]).all()
    assert (item_row[0] == -1).all()


def test_what_was_seen_is_told_for_every_user(small: tuple[Head, Tensor, Path]) -> None:
    told = {"context": np.ones((3, WIDTH), np.float32), "k": np.array(3)}
    with pytest.raises(Exception, match="reshape"):  # onnxruntime's errors have no common class
        recommended(small[2], seen=np.array([[0, 1]]), **told)
    one, all_users = np.array([[0, 1]]), np.array([[0, 1]] * 3)
    for added, term in ((one, all_users), (all_users, one), (all_users, all_users.T), (all_users.T, all_users.T)):
        with pytest.raises(Exception, match=r"(?i)reshape|concat"):
            recommended(small[2] / "habits", seen=all_users, added=added, term=term.astype(np.float32), **told)


def test_less_than_nothing_is_nothing(small: tuple[Head, Tensor, Path]) -> None:
    none = np.full((2, 0), -1)
    item_row, _, count = recommended(small[2], context=np.ones((2, WIDTH), np.float32), seen=none, k=np.array(-3))
    assert (item_row.shape, count.tolist()) == ((2, 0), [0, 0])


def test_a_tile_holds_so_many_numbers_for_each_user_and_no_more(
    small: tuple[Head, Tensor, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"dot": 1, "additive": 3, "residual": 6, "scalar": 3}[small[0].family]
    graph = onnx.load(small[2] / "onnx/pair_head.onnx").graph
    assert widest(graph) == numbers
    head = recommender.renamed(graph, recommender.PREFIX["pair_head"])
    (tile,) = (i for i in lists_of(head, 1_000_000).initializer if i.name == "tile_items")
    assert onnx.numpy_helper.to_array(tile) == recommender.NUMBERS // numbers


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("item_vectors", r"of the items' vectors inside 1 of [\d,]+ values are off"),
        ("user_part.shared.ids.table.weight", "1 weights inside are not those of the parts, the first being user_part"),
        ("allow", "1 constants of the lists are not those of any, the first being allow"),
        ("tile_items", "1 constants of the lists are not those of any, the first being tile_items"),
        ("nothing", "None"),
    ],
)
def test_one_wrong_weight_inside_is_told_whether_a_list_shows_it_or_not(
    name: str, said: str, bundle: Make, checkpoint: Make
) -> None:
    folder = bundle("everything")
    parts, blueprint, catalogue = whole(checkpoint("everything"))
    path = folder / "onnx/recommender.onnx"
    model = onnx.load(path)
    for weight in model.graph.initializer:
        if weight.name == name:
            array = onnx.numpy_helper.to_array(weight).copy()
            array.flat[-1] = not array.flat[-1] if array.dtype == bool else array.flat[-1] * 2
            weight.CopyFrom(onnx.numpy_helper.from_array(array, name))
    onnx.save_model(model, path)
    trend = for_lists(read_trend(checkpoint("everything")), blueprint.clock)
    item_vec = recommender.item_vectors(parts[1], catalogue, trend)
    assert re.match(said, str(recommender_fault(parts[0], item_vec, folder, labels(blueprint))))


def test_the_manifest_says_how_to_call_it(pristine: Make, checkpoint: Make) -> None:
    manifest = Bundle.read(pristine("everything")).manifest
    inputs, outputs = signature(whole(checkpoint("everything"))[0][0], ITEMS)
    called = manifest.signatures["recommender"]
    assert (called.inputs, called.outputs) == (inputs, outputs)
    path = pristine("everything") / "onnx/recommender.onnx"
    assert file_fault(path, (*inputs, *outputs), labels(manifest.blueprint)) is None
    assert file_fault(path, inputs, labels(manifest.blueprint)) is not None


def test_large_weights_lie_beside_the_files_under_a_hash(
    checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporters.onnx.MOST_BYTES", 1000)
    manifest = run(ExportJob(checkpoint=checkpoint("pmf"), out=tmp_path / "bundle", formats=("onnx",)))
    beside = {file.path for file in manifest.files if file.path.endswith(".data")}
    assert beside == {f"onnx/{part}.onnx.data" for part in ("user_tower", "item_tower", "recommender")}


@pytest.mark.parametrize("place", ["../weights.safetensors", "item_tower.onnx.data"])
def test_weights_from_elsewhere_are_refused(place: str, checkpoint: Make, bundle: Make) -> None:
    parts, blueprint, _ = whole(checkpoint("pmf"))
    path = bundle("pmf") / "onnx/user_tower.onnx"
    model = onnx.load(path)
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    (path.parent / place).write_bytes(bytes(weight.raw_data))
    onnx.external_data_helper.set_external_data(weight, location=place)
    weight.ClearField("raw_data")
    onnx.save_model(model, path)
    fault = file_fault(path, (*parts[0].inputs, parts[0].output), labels(blueprint))
    assert fault is not None
    assert "its weights are in" in fault or "is not valid ONNX" in fault
