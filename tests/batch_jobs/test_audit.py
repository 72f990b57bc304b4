"""What is counted of parts adds up to what they hold together."""

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batch_jobs.audit import Evidence, one_in, overlap
from batch_jobs.part_lists import BROKEN
from tests.batch_jobs.made_up_lists import lists, part


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 12), max_size=3))
@example(cuts=[*range(1, 12), *[12] * 9])  # so many that they are added up as they come
def test_evidence_adds_up_however_the_users_are_cut_into_parts(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rows = tmp_path_factory.mktemp("parts"), lists(users=12)
    edges = [0, *sorted(cuts), 12]
    for place, (first, stop) in enumerate(pairwise(edges)):
        chosen = rows[(rows.user_id >= f"u{first:04d}") & (rows.user_id < f"u{stop:04d}")]
        part(folder / f"{place}.parquet", chosen, stop - first)
    part(folder / "whole.parquet", rows, 12)
    found = Evidence.together([Evidence.of(folder / f"{i}.parquet", one_in(2)) for i in range(len(edges) - 1)])
    whole = Evidence.of(folder / "whole.parquet", one_in(2))
    assert (found.audit(), found.users, found.rows) == (whole.audit(), whole.users, whole.rows)
    assert found.scores.to_dict() == whole.scores.to_dict()
    assert overlap(found.sample, whole.sample) in (1.0, None)


def test_no_more_counts_are_held_for_more_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part(tmp_path / "a.parquet", lists(users=40, items=50), 40)
    one, of_all, held = Evidence.of(tmp_path / "a.parquet", one_in(1)), Evidence.of_all, list[int]()

    def noted(parts: list[Evidence]) -> Evidence:
        held.append(len(parts))
        return of_all(parts)

    monkeypatch.setattr(Evidence, "of_all", noted)
    assert Evidence.together(one for _ in range(100)).item.sum() == 100 * one.item.sum()
    assert (max(held) <= 6, sum(held) < 150) == (True, True)


def test_a_user_in_two_parts_breaks_the_order(tmp_path: Path) -> None:
    part(tmp_path / "a.parquet", lists(users=3), 3)
    found = Evidence.together([Evidence.of(tmp_path / "a.parquet", one_in(1))] * 2)
    assert found.broken[BROKEN[0]] == 1


def test_the_overlap_is_the_share_of_items_that_stay(tmp_path: Path) -> None:
    rows = lists(users=10, k=4)
    tables = [
        pa.Table.from_pandas(frame[["user_id", "item_id"]], preserve_index=False)
        for frame in (rows, rows.assign(item_id=rows.item_id.where(rows["rank"] > 1, "new")))
    ]
    assert overlap(*tables) == 0.75
