"""A published run can be taken back in one step, and does not come back by itself."""

from pathlib import Path

import pytest

from rec_export.recs import Recs, run_in
from tests.conftest import LAST_DAY, command, contents, done


@pytest.fixture
def twice(exported: Path, shop: Path, tmp_path: Path) -> Recs:
    """A read root whose date was published with 3 items, and then with 4."""
    assert publish(exported, shop, tmp_path, 3) == 0
    assert publish(exported, shop, tmp_path, 4, "--replace") == 0
    return Recs.at(tmp_path / "recs")


def publish(bundle: Path, shop: Path, folder: Path, k: int, *more: object) -> int:
    """The exit code of a run."""
    words = "--interactions", shop / "interactions.parquet", "--out", folder / "recs", "--run-date", LAST_DAY
    return command("-q", "score", bundle, *words, "--k", k, *more).code


def longest(recs: Recs) -> int:
    """How many items the live run gives."""
    return recs.told(LAST_DAY, str(run_in(recs.live(LAST_DAY)))).k


def test_the_run_before_comes_back_as_it_was(exported: Path, shop: Path, twice: Recs, tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    publish(exported, shop, tmp_path / "once", 3)
    said = done("rollback", twice.root, "--reason", "too long")
    assert said.startswith(f"run_date={LAST_DAY}: ")
    assert contents(twice.root) == contents(tmp_path / "once" / "recs")
    assert done("verify-run", twice.root)


def test_a_second_rollback_does_not_bring_the_bad_run_back(twice: Recs) -> None:
    good, bad = (str(run_in(folder)) for folder in (*twice.control.glob("trash/*/*"), twice.live(LAST_DAY)))
    done("rollback", twice.root)
    code, _, err = command("rollback", twice.root)
    assert (code, longest(twice)) == (66, 3)
    assert err == (
        f"Error: {good} is live at run_date={LAST_DAY}, and every other run of it that is kept was withdrawn"
        f"; --to {bad} puts the run back that was live last, --withdraw takes the date away, so that the one"
        " before is the newest\n"
    )


def test_a_rollback_of_the_only_run_says_so(exported: Path, shop: Path, tmp_path: Path) -> None:
    publish(exported, shop, tmp_path, 3)
    only = run_in(Recs.at(tmp_path / "recs").live(LAST_DAY))
    said = command("rollback", tmp_path / "recs").err
    assert said.startswith(
        f"Error: {only} is the only run of run_date={LAST_DAY}, so there is none to put back; --with"
    )


def test_a_run_that_is_named_comes_back(twice: Recs) -> None:
    bad = str(run_in(twice.live(LAST_DAY)))
    done("rollback", twice.root)
    done("rollback", twice.root, "--to", bad)
    assert longest(twice) == 4
    assert done("rollback", twice.root, "--to", bad).endswith("is live already\n")


def test_a_withdrawn_run_is_not_published_again_by_the_same_command(
    exported: Path, shop: Path, twice: Recs, tmp_path: Path
) -> None:
    done("rollback", twice.root, "--run-date", LAST_DAY, "--withdraw")
    assert not twice.live(LAST_DAY).exists()
    assert publish(exported, shop, tmp_path, 4) == 73
    assert publish(exported, shop, tmp_path, 4, "--replace") == 0
    assert longest(twice) == 4


def test_the_pointer_goes_with_the_last_date(twice: Recs) -> None:
    assert (twice.control / "latest.json").is_file()
    done("rollback", twice.root, "--run-date", LAST_DAY, "--withdraw")
    assert not (twice.control / "latest.json").exists()


def test_an_error_after_the_commit_does_not_ask_for_a_second_rollback(
    twice: Recs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(recs: Recs) -> None:
        if run_in(recs.live(LAST_DAY)) != before:  # the commit is done
            raise OSError(28, "no space left")

    before = run_in(twice.live(LAST_DAY))
    monkeypatch.setattr("batch_jobs.publish.settle", full)
    answer = command("rollback", twice.root)
    assert (answer.code, longest(twice)) == (0, 3)
    assert "it is done, but what was replaced is not in the trash yet" in answer.err


def test_a_run_that_was_damaged_in_the_trash_is_not_put_back(twice: Recs) -> None:
    (part,) = (twice.control / "trash").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    before = contents(twice.root)
    assert (command("rollback", twice.root).code, contents(twice.root)) == (65, before)


def test_a_date_is_withdrawn_by_its_name_alone_and_once(twice: Recs) -> None:
    assert command("rollback", twice.root, "--withdraw").code == 2
    words = "rollback", twice.root, "--run-date", LAST_DAY, "--withdraw"
    run, newest = run_in(twice.live(LAST_DAY)), "nothing is published now"
    assert done(*words) == f"run_date={LAST_DAY}: the run {run} is withdrawn; {newest}\n"
    assert done(*words) == f"run_date={LAST_DAY}: withdrawn already; {newest}\n"


def test_what_rec_export_did_not_write_is_left_alone(twice: Recs) -> None:
    (part,) = twice.live(LAST_DAY).glob("part-*")
    part.rename(part.with_name("lists.parquet"))
    before = contents(twice.root)
    answer = command("rollback", twice.root, "--run-date", LAST_DAY, "--withdraw")
    assert (answer.code, "did not write" in answer.err, contents(twice.root) == before) == (73, True, True)


def test_what_was_never_there_cannot_be_put_back(twice: Recs) -> None:
    assert command("rollback", twice.root, "--to", "0123456789ab").code == 66
    assert command("rollback", twice.root, "--run-date", "2020-01-01").code == 66
    assert longest(twice) == 4


def test_what_was_never_there_cannot_be_withdrawn(twice: Recs, tmp_path: Path) -> None:
    for root, day in ((twice.root, "2020-01-01"), (tmp_path / "slip", LAST_DAY)):
        answer = command("rollback", root, "--run-date", day, "--withdraw")
        assert (answer.code, f"nothing is published at {root / f'run_date={day}'}; " in answer.err) == (66, True)
    assert longest(twice) == 4


def test_a_run_whose_parts_are_gone_can_be_mended_or_taken_back(
    twice: Recs, exported: Path, shop: Path, tmp_path: Path
) -> None:
    kept = run_in(next(twice.control.glob("trash/*/*")))
    for k, mend in ((5, None), (6, "--to"), (7, "--withdraw")):
        assert publish(exported, shop, tmp_path, k, "--replace") == 0
        for part in twice.live(LAST_DAY).glob("part-*"):
            part.unlink()
        broken = command("verify-run", twice.root)
        assert (broken.code, "is live, but all its parts are gone; restore it from" in broken.err) == (66, True)
        assert "all its parts are gone" in command("status", twice.root).out
        assert "are gone; restore it from a backup" in command("diff", twice.live(LAST_DAY), twice.root).err
        assert publish(exported, shop, tmp_path, k) == 73
        if mend is None:
            assert publish(exported, shop, tmp_path, k, "--replace") == 0
            assert longest(twice) == k
        else:
            done("rollback", twice.root, "--run-date", LAST_DAY, mend, *([kept] if mend == "--to" else []))
            assert twice.run_id(LAST_DAY) == (kept if mend == "--to" else None)
            assert ("without its parts" in command("status", twice.root).out) == (mend == "--withdraw")
    assert publish(exported, shop, tmp_path, 8) == 0
    assert done("verify-run", twice.root)


def test_status_says_what_is_live_and_what_can_be_put_back(twice: Recs) -> None:
    lines = done("status", twice.root).splitlines()
    assert [line.split()[0] for line in lines] == ["live", "dates", "kept"]


def test_status_says_what_was_taken_back_until_it_is_put_back(twice: Recs) -> None:
    run = str(run_in(twice.live(LAST_DAY)))
    done("rollback", twice.root, "--run-date", LAST_DAY, "--withdraw", "--reason", "prices were old")
    lines = done("status", twice.root).splitlines()
    (before,) = {path.name for path in twice.control.glob("trash/*/*")} - {run}
    assert f"kept      run {before} of {LAST_DAY}, for `rollback --to`" in lines  # though nothing is live there
    (line,) = [line for line in lines if line.startswith("withdrawn")]
    assert (f"run {run} of run_date={LAST_DAY}" in line, line.endswith(": prices were old")) == (True, True)
    done("rollback", twice.root, "--run-date", LAST_DAY, "--to", run)
    assert "withdrawn" not in done("status", twice.root)


def test_status_of_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "recs").mkdir()
    assert done("status", tmp_path / "recs") == "nothing is published\n"


def test_status_of_a_mistyped_folder_is_one_line(tmp_path: Path) -> None:
    answer = command("status", tmp_path / "resc")
    assert (answer.code, answer.err) == (66, f"Error: {tmp_path / 'resc'} does not exist; name the --out of a run\n")


def test_status_of_the_folder_above_a_read_root_names_the_read_root(tmp_path: Path) -> None:
    (tmp_path / "recs.control").mkdir()
    answer = command("status", tmp_path)
    said = f"Error: {tmp_path} is no read root; did you mean '{tmp_path / 'recs'}'?\n"
    assert (answer.code, answer.err) == (66, said)
