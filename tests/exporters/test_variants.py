"""Smaller copies of the towers: what is lost is measured, promised and held; what is wrong is refused."""

import json
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from exporters.agreement import TriedTowers, overlap
from exporters.job import ExportJob, verified
from exporters.job import run as export
from exporters.quality import Judge, change
from exporters.smaller import pack, put
from exporters.variants import PRICES, Bench, Budget, Prices, Tried, Wanted, cheapest, prices, refuse_few
from rec_export.bundle import Bundle, Manifest
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Checkpoint, modules, write_weights
from rec_export.choices import Lossy
from rec_export.errors import ModelError, ParityError, UsageError
from rec_export.runtime import load_tower
from rec_export.sealed import MANIFEST, listed, write_manifest
from rec_export.variant import Agreement, Change, Quality, Variant
from tests.conftest import command, done, refusal
from tests.exporters.conftest import Make, write_checkpoint

BOTH = Wanted()
CPU = torch.device("cpu")
METRICS = ("hr@10", "recall@10", "ndcg@10", "mrr@10")


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with both copies of a model whose tables are worth it."""
    folder = tmp_path_factory.mktemp("priced")
    checkpoint = write_checkpoint(folder / "checkpoint", "pmf", dim=64)
    export(ExportJob(checkpoint=checkpoint, out=folder / "bundle", formats=("onnx",), smaller=BOTH))
    return folder / "bundle"


def test_a_bundle_keeps_what_was_asked_for_and_says_what_it_costs(priced: Path) -> None:
    fp16, int8 = Bundle.read(priced).manifest.variants
    prices = Prices.read(priced / "parity" / "variants.json")
    assert prices.variants == (fp16, int8)
    assert prices.not_held_out is not None
    assert [fp16.name, int8.name, fp16.quality] == ["onnx-fp16", "onnx-int8", None]
    assert fp16.agreement.overlap >= int8.agreement.overlap > 0.95
    assert fp16.bytes > int8.bytes
    assert [(one.part, one.batch) for one in int8.latency] == [
        (part, batch) for part in ("user_tower", "item_tower") for batch in (1, 4096)
    ]
    said = done("inspect", priced)
    assert "onnx-int8" in said.split("Smaller ONNX towers (lossy)")[1]
    assert "| `onnx-int8` |" in (priced / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_verify_repeats_the_promise(priced: Path) -> None:
    _, said, _ = verified(priced)
    assert [line[:14] for line in said] == ["[ok] onnx-fp16", "[ok] onnx-int8"]


def test_a_copy_that_is_not_what_was_promised_is_refused_by_verify(priced: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    copied(priced, folder)
    path = folder / "onnx" / "item_tower.int8.onnx"
    model = onnx.load(path)
    (table,) = (weight for weight in model.graph.initializer if weight.name.endswith(".int8"))
    table.CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(table), 1, axis=0), table.name))
    onnx.save(model, path)
    sealed_again(folder)
    with pytest.raises(ParityError, match="onnx-int8 is not what its report promised: item_tower in the case"):
        verified(folder)


def copied(bundle: Path, folder: Path) -> None:
    """A bundle to be tampered with."""
    for path in bundle.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(bundle)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(bundle)).write_bytes(path.read_bytes())


def sealed_again(folder: Path) -> None:
    """As a forger would do it."""
    manifest = Manifest.read(folder / MANIFEST)
    write_manifest(folder, manifest.model_copy(update={"files": listed(folder)}))


def test_a_flipped_byte_of_a_copy_is_refused(priced: Path, tmp_path: Path) -> None:
    copied(priced, tmp_path / "bundle")
    path = tmp_path / "bundle" / "onnx" / "user_tower.fp16.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match=r"the first being onnx/user_tower\.fp16\.onnx"):
        Bundle.read(tmp_path / "bundle")


def test_a_model_without_tables_has_none(checkpoint: Make, tmp_path: Path) -> None:
    made = export(ExportJob(checkpoint=checkpoint("popular"), out=tmp_path / "b", formats=("onnx",), smaller=BOTH))
    told = Prices.read(tmp_path / "b" / PRICES)
    assert (made.variants, {one.fault for one in told.tried}) == ((), {"it is no smaller than the exact towers"})
    assert not list((tmp_path / "b" / "onnx").glob("*.fp16.*"))


def overflowing(folder: Path) -> Path:
    """A checkpoint with one number that float16 does not hold: a popular item's bias, say."""
    checkpoint = write_checkpoint(folder, "pmf", dim=64)
    read = Checkpoint.read(checkpoint)
    with torch.no_grad():
        next(weight for weight in modules(read.towers).parameters() if weight.dim() == 2)[3, 1] = 70_000
    digest = write_weights(read.towers, folder / "weights.safetensors")
    read.blueprint.model_copy(update={"weights": digest}).write(folder / "spec.json")
    return checkpoint


def test_fp16_that_overflows_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    checkpoint = overflowing(tmp_path / "checkpoint")
    only = Wanted(kinds=("onnx-fp16",))
    said = r"onnx-fp16 is not the trained model: 1 numbers of user_tower's \S+ are beyond what float16 holds \(65,504\)"
    with pytest.raises(ParityError, match=said):
        export(ExportJob(checkpoint=checkpoint, out=tmp_path / "bundle", formats=("onnx",), smaller=only))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "1%"], "--budget is '1%', but should be like ndcg=1%"),
        (["--budget", "ndgc=1%"], "--budget: 'ndgc' is no metric; did you mean 'ndcg'?"),
        (["--variants", "fp16,fp61"], "--variants: 'fp61' is no kind; did you mean 'fp16'?"),
        (["--test", "later.parquet"], "--test is for --variants and --budget; name one of them too"),
    ],
)
def test_slips_are_answered(options: list[str], said: str, checkpoint: Make, tmp_path: Path) -> None:
    answer = refusal(tmp_path, "export", checkpoint("pmf"), "--out", tmp_path / "bundle", *options)
    assert answer == (2, f"Error: {said}\n", [])


def test_a_budget_needs_held_out_rows(trained: Path, tmp_path: Path) -> None:
    answer = refusal(tmp_path, "export", trained, "--out", tmp_path / "bundle", "--budget", "ndcg=1%")
    assert (answer.code, answer.changed) == (2, [])
    assert answer.err.startswith("Error: the checkpoint's split (data.split) holds out no test rows; name a file")
    foretold = refusal(tmp_path, "export", trained, "--out", tmp_path / "bundle", "--budget", "ndcg=1%", "--dry-run")
    assert foretold == answer


@pytest.fixture(scope="module")
def within_budget(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a model with a test part, and the smallest copy for a budget that any copy keeps."""
    folder = tmp_path_factory.mktemp("budget")
    changes = "data.split.by=time", "data.split.test=0.3", "training.epochs=1", "training.refit=false", "model.dim=32"
    done(
        "train",
        shop / "config.yaml",
        "--out",
        folder / "c",
        *(word for change in changes for word in ("--set", change)),
    )
    within = Wanted(budget=Budget.parsed("ndcg=50%"))
    export(ExportJob(checkpoint=folder / "c", out=folder / "bundle", formats=("onnx",), smaller=within))
    return folder / "bundle"


def test_a_budget_keeps_the_smallest_copy_within_it(within_budget: Path) -> None:
    prices = json.loads((within_budget / "parity" / "variants.json").read_text())
    (variant,) = Bundle.read(within_budget).manifest.variants
    assert (prices["kept"], variant.name) == (["onnx-int8"], "onnx-int8")
    assert [one["kind"] for one in prices["tried"]] == ["onnx-fp16", "onnx-int8"]
    assert sorted(path.name for path in (within_budget / "onnx").glob("*_tower.*")) == [
        "item_tower.int8.onnx", "item_tower.onnx", "user_tower.int8.onnx", "user_tower.onnx",
    ]  # fmt: skip
    assert variant.quality is not None
    assert set(variant.quality.metrics) == set(METRICS)


def test_score_runs_a_copy_only_where_it_is_named(within_budget: Path, shop: Path, tmp_path: Path) -> None:
    log = shop / "interactions.parquet"
    shared = ["--interactions", log, "--k", 5, "--run-date", "2026-10-31", "--json"]
    exact, lossy = (
        json.loads(done("score", within_budget, *shared, "--out", tmp_path / name, *options))
        for name, options in (("exact", []), ("lossy", ["--runtime", "onnx-int8"]))
    )
    assert [exact["runtime"], lossy["runtime"]] == ["onnx", "onnx-int8"]
    assert exact["files"][0]["rows"] == lossy["files"][0]["rows"]
    missing = command("score", within_budget, *shared, "--out", tmp_path / "none", "--runtime", "onnx-fp16")
    assert missing.code == 65


def a_variant(name: Lossy, size: int, low: float) -> Tried:
    """A copy of so many bytes, whose NDCG falls by no more than `low`."""
    metrics = dict.fromkeys(METRICS, Change(exact=0.1, variant=0.1, change=0.0, low=low, high=0.0))
    agreed = Agreement(users=1, items=1, overlap=1, first_changed=0, cosine=1, worst_difference=0)
    quality = Quality(users=200, overlap=1, first_changed=0, metrics=metrics)
    variant = Variant(name=name, bytes=size, exact_bytes=100, agreement=agreed, quality=quality, latency=())
    return Tried(kind=name, variant=variant, fault=None)


@pytest.mark.parametrize(
    ("falls", "kept"),
    [((0.0, -0.009), ("onnx-int8",)), ((0.0, -0.011), ("onnx-fp16",)), ((-0.02, -0.03), ())],
)
def test_the_whole_interval_must_be_within_the_budget(falls: tuple[float, float], kept: tuple[Lossy, ...]) -> None:
    tried = (a_variant("onnx-fp16", 50, falls[0]), a_variant("onnx-int8", 27, falls[1]))
    broken = Tried(kind="onnx-fp16", variant=None, fault="it overflows")
    assert cheapest((*tried, broken), Budget.parsed("ndcg=1%")) == kept


@given(st.floats(0.1, 99.9).map(lambda number: round(number, 1)))
def test_a_budget_is_what_it_says(percent: float) -> None:
    assert Budget.parsed(f"hr@10={percent}%") == Budget(metric="hr", most=percent / 100)
    with pytest.raises(UsageError, match="should be like"):
        Budget.parsed(f"hr={percent}")


@pytest.mark.parametrize(("hits", "enough"), [(299, False), (300, True), (0, False)])
def test_a_loss_that_might_show_in_nobody_is_not_taken_for_none(hits: int, enough: bool) -> None:
    if enough:
        refuse_few(hits, Budget.parsed("hr=1%"))
    else:
        with pytest.raises(UsageError, match=f"lists of {hits} users, and a loss of 1.00% can be told from 300 on"):
            refuse_few(hits, Budget.parsed("hr=1%"))


def test_with_few_hits_no_copy_is_made_for_a_budget(tmp_path: Path) -> None:
    judge = create_autospec(Judge, instance=True)
    judge.users_with_hits.return_value = 299
    bench = Bench(tmp_path, create_autospec(TriedTowers), judge, create_autospec(Catalogue), 20, {})
    with pytest.raises(UsageError, match="lists of 299 users"):
        prices(bench, Wanted(budget=Budget.parsed("ndcg=1%")), None)


def test_a_change_is_that_of_the_mean_with_its_interval() -> None:
    exact, variant = np.full(400, 0.5), np.full(400, 0.49)
    assert change(exact, variant) == Change(exact=0.5, variant=0.49, change=-0.02, low=-0.02, high=-0.02)


def test_overlap_counts_items_whatever_their_order() -> None:
    assert overlap(np.array([[1, 2, 3], [4, 5, -1]]), np.array([[3, 2, 9], [5, 4, -1]])) == 4 / 5


@given(rows=st.integers(1, 40), width=st.sampled_from([1, 8, 33]), kind=st.sampled_from(["onnx-fp16", "onnx-int8"]))
def test_a_packed_number_is_off_by_half_a_step_at_most(rows: int, width: int, kind: Lossy) -> None:
    table = np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)
    table[0] = 0
    packed = pack(numpy_helper.from_array(table, "table"), kind)
    if list(packed) == [".fp16"]:
        wide, step = packed[".fp16"].astype(np.float32), np.abs(table) * 2.0**-10 + 2.0**-24
    else:
        wide, step = packed[".int8"] * packed[".scale"], packed[".scale"]
    assert (np.abs(wide - table) <= step * 0.5001).all()


def test_a_table_that_is_looked_up_and_multiplied_is_both_in_the_copy() -> None:
    table = np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32)
    row = helper.make_tensor_value_info("row", TensorProto.INT64, ["B"])
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["B", 16])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["B", 64])
    nodes = [
        helper.make_node("Gather", ["table", "row"], ["rows"]),
        helper.make_node("Gemm", ["rows", "table"], ["score"], transB=1),
    ]
    graph = helper.make_graph(nodes, "both", [row], [rows, score], [numpy_helper.from_array(table, "table")])
    put(graph, {"table": pack(graph.initializer[0], "onnx-int8")})
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in graph.node] == ["Cast", "Mul", "Gather", "Gather", "Cast", "Mul", "Gemm"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found_rows, found_score = session.run(None, {"row": np.array([5, 0])})
    np.testing.assert_allclose(found_rows, table[[5, 0]], atol=0.02)
    np.testing.assert_allclose(found_score, found_rows @ table.T, atol=0.2)


def test_the_copies_run_by_the_same_names(priced: Path) -> None:
    exact, *copies = (load_tower(priced, "item_tower", name, CPU) for name in ("onnx", "onnx-fp16", "onnx-int8"))
    inputs = {"row": torch.tensor([0, 5, -1, 2**62])}
    for copy in copies:
        torch.testing.assert_close(copy(inputs), exact(inputs), rtol=0, atol=0.02)
