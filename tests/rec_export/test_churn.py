"""How two runs differ, by known answers and by what must hold for any lists."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_export.churn import PERSISTENCE, Churn, Moved, Segment, churn, psi
from rec_export.errors import DataError, MissingInputError
from rec_export.run_lists import Run

Lists = dict[str, list[str]]


def run_of(folder: Path, lists: Lists, source: dict[str, str] | None = None, score: float = 1.0) -> Run:
    """A run of made-up lists, without a manifest."""
    rows = [
        (user, rank, item, score / rank, (source or {}).get(user, "model"))
        for user in sorted(lists)
        for rank, item in enumerate(lists[user], 1)
    ]
    columns = list(zip(*rows, strict=True)) or [()] * 5
    kinds = [pa.string(), pa.int16(), pa.string(), pa.float32(), pa.string()]
    names = ["user_id", "rank", "item_id", "score", "source"]
    table = pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "part-00000-of-00001-0123456789ab.parquet")
    return Run.at(folder)


def compared(tmp_path: Path, before: Lists, after: Lists) -> Churn:
    """The difference of two made-up runs."""
    return churn(run_of(tmp_path / "a", before), run_of(tmp_path / "b", after))


def test_the_same_lists_are_the_same(tmp_path: Path) -> None:
    lists = {"u": ["a", "b", "c"], "v": ["d"]}
    found = compared(tmp_path, lists, lists)
    assert found.segments == {
        "all": Segment(users=2, overlap=1.0, rbo=1.0, same=1.0),
        "model": Segment(users=2, overlap=1.0, rbo=1.0, same=1.0),
    }
    assert (found.entering, found.leaving, found.psi, found.left, found.came) == ((), (), 0.0, 0, 0)


def test_users_and_items_that_come_and_go_are_told(tmp_path: Path) -> None:
    found = compared(tmp_path, {"u": ["a", "b"], "gone": ["a"]}, {"u": ["b", "c"], "new": ["c"], "newer": ["c"]})
    assert (found.both, found.left, found.came, found.items) == (1, 1, 2, (2, 2))
    assert found.entering == (Moved(item="c", before=0.0, after=1.0),)
    assert found.leaving == (Moved(item="a", before=1.0, after=0.0),)
    assert found.segments["all"].overlap == 0.5


def by_definition(one: list[str], other: list[str]) -> float:
    """Extrapolated rank-biased overlap of two lists of the same length, straight from equation 32."""
    p, k = PERSISTENCE, len(one)
    agreement = [len(set(one[:d]) & set(other[:d])) / d for d in range(1, k + 1)]
    return agreement[-1] * p**k + (1 - p) / p * sum(a * p**d for d, a in enumerate(agreement, 1))


@given(pairs=st.lists(st.tuples(st.permutations("abcdefgh"), st.permutations("abcdefgh")), min_size=1, max_size=4))
def test_rank_biased_overlap_is_its_definition(
    pairs: list[tuple[list[str], list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    before = {f"u{n}": one[:5] for n, (one, _) in enumerate(pairs)}
    after = {f"u{n}": other[:5] for n, (_, other) in enumerate(pairs)}
    wanted = np.mean([by_definition(before[user], after[user]) for user in before])
    assert compared(folder, before, after).segments["all"].rbo == pytest.approx(wanted, abs=1e-4)


def test_lists_without_a_common_item_have_no_overlap_and_a_shorter_one_may_still_agree(tmp_path: Path) -> None:
    apart = compared(tmp_path / "1", {"u": ["a", "b"]}, {"u": ["c", "d"]}).segments["all"]
    assert (apart.overlap, apart.rbo) == (0.0, 0.0)
    shorter = compared(tmp_path / "2", {"u": ["a"]}, {"u": ["a", "b"]}).segments["all"]
    assert shorter.overlap == 0.5
    assert 0.5 < shorter.rbo < 1


def test_users_whose_source_changed_are_a_kind_of_their_own(tmp_path: Path) -> None:
    before = run_of(tmp_path / "a", {"u": ["a"], "v": ["a"]}, {"u": "cold"})
    after = run_of(tmp_path / "b", {"u": ["a"], "v": ["b"]})
    found = churn(before, after, {"short": pa.array(["v"]), "nobody": pa.array(["w"])})
    assert {name: (one.users, one.overlap) for name, one in found.segments.items()} == {
        "all": (2, 0.5),
        "model": (1, 0.0),
        "cold -> model": (1, 1.0),
        "short": (1, 0.0),
    }


def test_scores_that_move_raise_the_index() -> None:
    scores = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    assert psi(scores, scores[::-1].copy()) == 0.0
    moved = psi(scores, scores + np.float32(0.5))
    assert moved is not None
    assert 0.1 < moved < 0.5


def test_a_run_without_rows_is_compared_with_nothing(tmp_path: Path) -> None:
    before, after = run_of(tmp_path / "a", {"u": ["a"]}), run_of(tmp_path / "b", {})
    found = churn(before, after)
    assert (found.psi, found.scores[1], found.moved()) == (
        None,
        (),
        "cannot be compared, as one of the runs has no rows",
    )


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="does not exist"):
        Run.at(tmp_path / "nowhere")
    (tmp_path / "part-00000-of-00001-0123456789ab.parquet").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="is no part of a run"):
        churn(Run("a", [tmp_path / "part-00000-of-00001-0123456789ab.parquet"], None), Run("b", [], None))
