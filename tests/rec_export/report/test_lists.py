"""What the page says of published lists is said of all of them."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from rec_export.report.sections.lists import by_rank
from tests.conftest import LAST_DAY, config_file, done, write_table


def lists_of(path: Path, first: float, ranks: list[int]) -> Path:
    """A part: as many users as there are numbers in `ranks`, each with so long a list, whose scores fall by one."""
    rows = [
        (f"{path.stem}{u}", rank, f"i{rank}", first - rank)
        for u, most in enumerate(ranks)
        for rank in range(1, most + 1)
    ]
    names = "user_id", "rank", "item_id", "score"
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return write_table(path, **columns, source=["model"] * len(rows))


def test_scores_by_rank_are_of_all_parts(tmp_path: Path) -> None:
    lists_of(tmp_path / "part-00000-of-00002-000000000000.parquet", 10, [2, 2])
    lists_of(tmp_path / "part-00001-of-00002-000000000000.parquet", 20, [2, 2, 2])
    assert by_rank(tmp_path) == ((9, 8), (19, 18), (19, 18))


def test_ranks_that_most_lists_lack_are_not_drawn(tmp_path: Path) -> None:
    lists_of(tmp_path / "part-00000-of-00001-000000000000.parquet", 10, [1, 1, 3, 2])
    drawn = by_rank(tmp_path)
    assert drawn is not None
    assert drawn[1] == (9, 8)


def test_of_a_run_without_rows_no_scores_are_drawn(tmp_path: Path) -> None:
    """And of one without a manifest nothing is told of gates, or of how it was made."""
    folder = tmp_path / "recs" / f"run_date={LAST_DAY}"
    folder.mkdir(parents=True)
    lists_of(folder / "part-00000-of-00001-000000000000.parquet", 10, [1])
    part = folder / "part-00000-of-00001-000000000000.parquet"
    pq.write_table(pq.read_table(part).slice(0, 0), part)
    done("report", tmp_path / "recs", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert ["Scores by rank" in text, "Published lists" in text, '<p class="headline"></p>' in text] == [False] * 3


def test_short_and_empty_lists_are_not_called_whole(exported: Path, shop: Path, tmp_path: Path) -> None:
    """Six items alone may be listed, and each user has met some of them."""
    log, few = shop / "interactions.parquet", pq.read_table(shop / "items.parquet")["item_id"][:6].to_pylist()
    rules = config_file(tmp_path, rules={"allow": few})
    done("score", exported, "--interactions", log, "--rules", rules, "--out", tmp_path / "recs", "--run-date", LAST_DAY,
         "--k", 6)  # fmt: skip
    lists = (
        duckdb.connect()
        .execute(f"select user_id, count(*) n from '{tmp_path}/recs/*/part-*.parquet' group by user_id")
        .df()
    )
    full, short = int((lists.n == 6).sum()), int((lists.n < 6).sum())
    said = done("report", tmp_path / "recs", "--out", tmp_path / "r.html")
    assert min(full, short) > 0
    assert f": {full:,} users got lists of 6 on {LAST_DAY} ({short:,} shorter ones" in said
