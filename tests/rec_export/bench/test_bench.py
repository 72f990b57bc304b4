"""`rec-export bench` measures every way on the same vectors, and tells it to people and to machines."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from rec_export.bench import cases as bench_cases
from rec_export.bench import measure
from rec_export.bench.case import some_seen
from rec_export.bench.cases import cases
from rec_export.bench.commands import CASES, bench
from rec_export.bench.dot_peers import dot_peers
from rec_export.bench.measure import check
from rec_export.bench.mlp_peers import in_tiles, naive
from rec_export.errors import DeviceError, ModelError
from rec_export.topk import Ranker
from tests.conftest import command


@pytest.fixture(autouse=True)
def hardly_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that have learnt for two steps: the lists are what matters here."""
    monkeypatch.setattr(bench_cases, "STEPS", 2)


def test_the_names_that_the_command_knows_are_the_cases() -> None:
    assert tuple(cases(8, 1000)) == CASES


@pytest.mark.parametrize("name", ["dot_k10_gauss", "dot_k10_skew", "dot_k10_trained"])
def test_all_ways_to_dot_products_lead_to_the_same_lists(name: str) -> None:
    case = cases(20, 1500)[name]()
    ours = Ranker(case.head, case.item_vec).top_k(case.user_vec, case.k, case.seen).item_row
    lists = {peer: way() for peer, way in dot_peers(case).items()}
    assert {"torch", "onnxruntime"} <= set(lists)
    assert all(rows is not None and rows.tolist() == ours.tolist() for rows in lists.values())


@pytest.mark.parametrize("name", ["mlp_k10", "mlp3_k10", "gated_k10"])
def test_all_ways_to_a_network_lead_to_the_same_lists(name: str) -> None:
    case = cases(10, 1000)[name]().first(3)
    ours = Ranker(case.head, case.item_vec).top_k(case.user_vec, case.k, case.seen).item_row
    with torch.inference_mode():
        assert naive(case).tolist() == in_tiles(case).tolist() == ours.tolist()


def test_the_report_has_the_fields_that_machines_read(tmp_path: Path) -> None:
    picture = tmp_path / "speed.png"
    arguments = "--case dot_k100_small --case gated_k10 --users 8 --items 8000 --rounds 1 --threads 1 --json --plot"
    result = CliRunner().invoke(bench, [*arguments.split(), str(picture)], catch_exceptions=False)
    report = json.loads(result.stdout)
    first, second = report["cases"]
    assert set(report) == {"machine", "cases"}
    assert set(first) == set(["name", "users", "items", "dim", "k", "ours_pairs_per_s", "limit_pairs_per_s", "peers"])
    assert [first[field] for field in ("name", "users", "items", "dim", "k")] == ["dot_k100_small", 8, 1000, 64, 100]
    assert set(second["peers"]) == {"naive", "torch"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_could_not_be_drawn_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    code, out, err = command("bench", "--plot", tmp_path / "absent" / "speed.png")
    assert (code, out, "absent does not exist; make that folder first" in err) == (66, "", True)


def test_the_table_names_the_machine_and_the_ratios() -> None:
    arguments = "--case dot_k100_small --users 8 --items 8000 --rounds 1 --threads 1"
    result = CliRunner().invoke(bench, arguments.split(), catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert "1 thread of" in lines[0]
    assert lines[4].split()[:5] == ["dot_k100_small", "8", "1,000", "64", "100"]
    assert "torch" in lines[4]


@pytest.mark.parametrize(("name", "share"), [("mlp_k10", 0.5), ("mlp3_k10", 0.5), ("gated_k10", 1.0)])
def test_all_users_take_the_way_of_a_limit_that_is_one_product(
    name: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases(20, 1000)[name]().first(4)
    monkeypatch.setitem(measure.SLOW_PAIRS, "limit", 2 * len(case.item_vec))
    assert measure.ways(case)["limit"][0] == share * len(case.user_vec)


def test_other_lists_are_no_result() -> None:
    rows = torch.arange(20).reshape(2, 10)
    with pytest.raises(ModelError, match=r"only 50\.0% of torch's places"):
        check("case", {"ours": rows, "torch": torch.stack([rows[0], rows[1] + 1])})


def test_what_others_say_after_the_end_of_a_list_is_not_compared() -> None:
    rows = torch.arange(20).reshape(2, 10)
    check("case", {"ours": torch.where(rows % 10 < 4, rows, -1), "torch": rows})


def test_ten_to_fifty_items_are_seen() -> None:
    seen = some_seen(100, 500)
    length = seen.start[1:] - seen.start[:-1]
    assert (length.min() >= 10, length.max() <= 50, seen.item_row.max() < 500) == (True, True, True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_gpu_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(DeviceError, match="the device 'cuda' is not available here"):
        CliRunner().invoke(bench, ["--device", "cuda"], catch_exceptions=False)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_on_a_gpu_torch_alone_stands_beside_ours() -> None:
    arguments = "--device cuda --case dot_k10_gauss --case mlp_k10 --users 256 --items 8000 --rounds 1 --json"
    report = json.loads(CliRunner().invoke(bench, arguments.split(), catch_exceptions=False).stdout)
    assert report["machine"]["gpu"] == torch.cuda.get_device_name()
    assert [set(case["peers"]) for case in report["cases"]] == [{"torch"}, {"naive", "torch"}]
