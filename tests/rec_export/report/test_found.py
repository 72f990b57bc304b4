"""What a report finds at the paths that are named, what of it belongs together, and what it cannot read."""

import shutil
from pathlib import Path

import pytest

from rec_export.report.found import found
from rec_export.report.job import title
from tests.conftest import LAST_DAY, command, config_file, done, refusal
from tests.rec_export.report.conftest import DAY_BEFORE, Page


def test_what_has_the_same_weights_is_one_model(gallery: Path, trained: Path, tmp_path: Path) -> None:
    (one,) = found((gallery,)).subjects
    assert (one.label, one.checkpoint, one.bundle, one.night and one.night.date) == (
        "hybrid", gallery / "checkpoint", gallery / "bundle", "2026-10-31",
    )  # fmt: skip
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    spec = (other / "spec.json").read_text()
    (other / "spec.json").write_text(spec.replace('"weights": "', '"weights": "0'))
    assert [one.label for one in found((gallery, other)).subjects] == [
        f"hybrid, {gallery / 'checkpoint'}",
        f"hybrid, {other}",
    ]
    assert title(found((gallery, other))) == f"hybrid: {gallery / 'checkpoint'} and {other}"


def test_of_models_of_the_same_weights_what_lies_together_is_one(gallery: Path, tmp_path: Path) -> None:
    """A checkpoint alone, one with its evaluation, and all that `run` wrote of a third."""
    kinds = {
        "alone": ("checkpoint",),
        "judged": ("checkpoint", "evaluation"),
        "whole": ("checkpoint", "bundle", "recs", "recs.control"),
    }
    for name, parts in kinds.items():
        for part in parts:
            shutil.copytree(gallery / part, tmp_path / name / part)
    told = found(tuple(tmp_path / name for name in kinds)).subjects
    assert [one.checkpoint for one in told] == [tmp_path / name / "checkpoint" for name in kinds]
    assert [one.evaluation for one in told] == [None, tmp_path / "judged" / "evaluation", None]
    assert [one.bundle for one in told] == [None, None, tmp_path / "whole" / "bundle"]
    assert [one.night is not None for one in told] == [False, False, True]


def test_a_night_stands_with_the_bundle_that_made_it(gallery: Path, tmp_path: Path) -> None:
    for part in ("bundle", "recs", "recs.control"):
        shutil.copytree(gallery / part, tmp_path / part)
    other = Path(shutil.copytree(gallery / "bundle", tmp_path / "abundle"))  # of the same weights, and found before it
    (other / "manifest.json").write_text((other / "manifest.json").read_text() + "\n")
    told = {one.bundle: one.night is not None for one in found((tmp_path,)).subjects}
    assert told == {tmp_path / "bundle": True, other: False}


def test_what_holds_nothing_is_refused_and_nothing_is_written_over(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "r.html").touch()
    assert refusal(tmp_path, "report", tmp_path / "empty", "--out", tmp_path / "new.html") == (
        2,
        "Error: DIR/empty holds nothing to report on; name a checkpoint, a bundle, a read root, what `evaluate --out`,"
        " `ablate`, `tune` or `find-lr` wrote, or a directory of such\n",
        [],
    )
    taken = "DIR/r.html already exists; name a new file or remove it first"
    assert refusal(tmp_path, "report", gallery, "--out", tmp_path / "r.html") == (73, f"Error: {taken}\n", [])
    assert refusal(tmp_path, "report", tmp_path / "no", "--out", tmp_path / "new.html").code == 66
    assert refusal(tmp_path, "report", gallery, "--out", tmp_path / "r.html").code == 73


def test_a_file_of_something_else_is_one_clear_line(gallery: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(gallery / "evaluation", tmp_path / "evaluation"))
    (folder / "evaluation.json").write_text('{"model": 1}')
    code, _, err = command("-q", "report", folder, "--out", tmp_path / "r.html")
    assert (code, err.startswith(f"Error: {folder / 'evaluation.json'} is not what rec-export writes: ")) == (65, True)
    assert not (tmp_path / "r.html").exists()


def damaged(gallery: Path, folder: Path) -> Path:
    """A copy of the published lists whose newest date holds a part that is cut off."""
    for name in ("recs", "recs.control"):
        shutil.copytree(gallery / name, folder / name)
    part = min((folder / "recs").glob("run_date=*31/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-100])
    return part


def test_a_part_that_is_cut_off_is_one_clear_line(gallery: Path, tmp_path: Path) -> None:
    part = damaged(gallery, tmp_path)
    code, _, err = command("-q", "report", tmp_path / "recs", "--out", tmp_path / "r.html")
    assert (code, err.count("\n"), f"the first being {part.name}" in err) == (65, 1, True)
    shutil.rmtree(tmp_path / "recs.control")  # nor is it read where no manifest tells its hash
    code, _, err = command("-q", "report", tmp_path / "recs", "--out", tmp_path / "r.html")
    assert (code, err.count("\n"), err.startswith(f"Error: {part} is no part of a run: ")) == (65, 1, True)


def test_a_date_without_parts_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "recs" / "run_date=2026-10-31").mkdir(parents=True)
    code, _, err = command("-q", "report", tmp_path / "recs", "--out", tmp_path / "r.html")
    assert (code, err.count("\n"), err.startswith("Error: all parts in ")) == (66, 1, True)


@pytest.mark.parametrize("line", [b'{"phase": "refit"', b'"\xff"'])
def test_a_damaged_line_of_a_history_is_one_clear_line(line: bytes, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    path = folder / "history.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    code, _, err = command("-q", "report", folder, "--out", tmp_path / "r.html")
    assert (code, err.count("\n")) == (65, 1)
    assert err.startswith(f"Error: line 1 of {path} is not what rec-export writes: ")


def test_a_date_can_be_named_from_inside(gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gallery / "recs" / "run_date=2026-10-29")
    (one,) = found((Path(),)).subjects
    assert one.night is not None
    assert one.night.date == "2026-10-29"
    done("report", ".", "--out", tmp_path / "r.html")
    assert "lists" in Page(tmp_path / "r.html").of("section", "id")


def refused(gallery: Path, folder: Path) -> Path:
    """A copy of the published lists whose newest run is where the gates leave one that they refuse."""
    for name in ("recs", "recs.control"):
        shutil.copytree(gallery / name, folder / name)
    (manifest,) = (folder / "recs.control" / "manifests" / f"run_date={LAST_DAY}").iterdir()
    kept = folder / "recs.control" / "failed" / manifest.stem
    kept.mkdir(parents=True)
    manifest.rename(kept / "manifest.json")
    live = folder / "recs" / f"run_date={LAST_DAY}"
    (live / "_SUCCESS").unlink(missing_ok=True)
    live.rename(kept / live.name)
    return kept


@pytest.mark.parametrize("inner", ["", f"run_date={LAST_DAY}"])
def test_a_run_that_the_gates_refused_is_shown_beside_the_date_before(
    inner: str, gallery: Path, tmp_path: Path
) -> None:
    kept = refused(gallery, tmp_path)
    said = done("report", kept / inner, "--out", tmp_path / "r.html")
    assert " users would have got lists of 10 on 2026-10-31, from " in said
    assert " would have kept " in said
    assert f" of their items from {DAY_BEFORE} to {LAST_DAY}; " in said
    page = Page(tmp_path / "r.html")
    assert page.of("section", "id") == ["lists", "gates", "churn", "times", "words"]
    assert f"lists of {LAST_DAY} that the gates refused in {kept}" in page.text


def test_a_night_tells_its_business_rules_or_that_there_were_none(
    gallery: Path, exported: Path, shop: Path, tmp_path: Path
) -> None:
    done("report", gallery / "recs", "--out", tmp_path / "none.html")
    assert f": no business rules on {LAST_DAY}." in Page(tmp_path / "none.html").text
    rules = config_file(tmp_path, rules={"popularity_penalty": 0.5})
    log = shop / "interactions.parquet"
    done("score", exported, "--interactions", log, "--rules", rules, "--out", tmp_path / "recs", "--run-date", LAST_DAY)
    done("report", tmp_path / "recs", "--out", tmp_path / "some.html")
    assert f": the business rules of {LAST_DAY}: popularity_penalty 0.5." in Page(tmp_path / "some.html").text


def test_a_run_that_the_gates_refused_belongs_to_its_bundle(gallery: Path, tmp_path: Path) -> None:
    (one,) = found((gallery / "bundle", refused(gallery, tmp_path))).subjects
    assert one.night is not None
    assert (one.label, one.night.kind, one.night.date) == ("hybrid", "refused", LAST_DAY)


def test_a_refused_run_that_was_copied_elsewhere_heeds_nothing_of_what_lies_above_it(
    gallery: Path, tmp_path: Path
) -> None:
    kept = refused(gallery, tmp_path / "own")
    alone = Path(shutil.copytree(kept, tmp_path / "mail" / "inbox" / kept.name))
    (tmp_path / "mail" / "report.json").write_text("{}")  # of something else
    assert "users would have got lists of 10" in done("report", alone, "--out", tmp_path / "r.html")
