"""What a run is made of decides which run it is."""

from pathlib import Path

from tests.conftest import LAST_DAY, command, done


def test_a_run_that_treats_bad_rows_otherwise_than_its_training_is_another(
    exported: Path, shop: Path, tmp_path: Path
) -> None:
    log, recs = shop / "interactions.parquet", tmp_path / "recs"
    words = "score", exported, "--interactions", log, "--out", recs, "--run-date", LAST_DAY
    done(*words)
    (first,) = (tmp_path / "recs").rglob("*.parquet")
    done(*words, "--bad-rows", "refuse")  # as in training: the same run, which is done
    assert [first] == [*(tmp_path / "recs").rglob("*.parquet")]
    done(*words, "--bad-rows", "leave-out", "--replace")
    (second,) = (tmp_path / "recs").rglob("*.parquet")
    assert first.name[-20:] != second.name[-20:]  # with the run's id
    answer = command("-q", *words, "--bad-rows", "leave-out", "--k", 9)
    assert (answer.code, "made with different k;" in answer.err) == (73, True)
