"""`--dry-run` says what a step would do and need, writes nothing, and is refused as the step itself is."""

import json
import shutil
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from time import sleep

import pytest

from batch_jobs.dry_run import dry_run as forecast_of_scores
from batch_jobs.job import ScoreJob
from exporters.dry_run import dry_run as forecast_of_export
from exporters.job import ExportJob
from rec_export.config import Config
from rec_export.files import files_below, locked
from rec_export.forecast import Forecast, lasting, pace, sized
from tests.conftest import LAST_DAY, command, contents, done, refusal
from trainers.dry_run import dry_run as forecast_of_training
from trainers.job import TrainJob

CHANGES = "data.split.by=none", "training.epochs=1", "training.refit=false", "model.dim=8"  # as of `trained`


def of_training(shop: Path, out: Path, *changes: str) -> list[object]:
    """The command line."""
    words = (word for change in (*CHANGES, *changes) for word in ("--set", change))
    return ["train", shop / "config.yaml", "--out", out, *words, "--dry-run"]


def of_scores(shop: Path, bundle: Path, out: Path, k: int = 10) -> list[object]:
    """The command line, as of `scored`."""
    log = "--interactions", shop / "interactions.parquet"
    return ["score", bundle, *log, "--out", out, "--k", k, "--run-date", LAST_DAY, "--dry-run"]


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in files_below(folder))


def heads(said: str) -> list[str]:
    """What the lines are about."""
    return [line.split()[0] for line in said.splitlines() if line[:1].strip()]


def test_training_writes_nothing_and_tells_all(shop_copy: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    said = done(*of_training(shop_copy, tmp_path / "out"))
    assert contents(tmp_path) == before
    assert heads(said) == [
        "Would", "Reads", "Reads", "Reads", "Finds", "Writes", "Memory", "Disk", "Time", "Nothing",
    ]  # fmt: skip


def test_export_and_score_write_nothing(shop: Path, trained: Path, exported: Path, tmp_path: Path) -> None:
    said = done("export", trained, "--out", tmp_path / "out", "--dry-run")
    assert " if this machine stays as busy as it is now" in said
    assert "200 users x 120 items" in done(*of_scores(shop, exported, tmp_path / "recs"))
    assert contents(tmp_path) == {}


def test_what_a_checkpoint_takes_is_foretold_within_a_factor_of_two(shop: Path, trained: Path, tmp_path: Path) -> None:
    forecast = forecast_of_training(TrainJob(config=Config.load(shop / "config.yaml", CHANGES), out=tmp_path / "out"))
    check(forecast, trained)
    real = json.loads((trained / "metrics.json").read_text())
    assert f"{real['users']:,} users and {real['items']:,} items to learn from" in forecast.facts[0]
    assert forecast.facts[1].startswith(f"{real['parameters']:,} parameters")


def test_what_a_bundle_takes_is_foretold_within_a_factor_of_two(trained: Path, exported: Path, tmp_path: Path) -> None:
    formats = ("torchscript", "onnx", "pt2")
    forecast = forecast_of_export(ExportJob(checkpoint=trained, out=tmp_path / "out", formats=formats))
    check(forecast, exported)
    assert forecast.seconds is not None
    assert 1 < forecast.seconds[0] < forecast.seconds[1] < 3600


def test_what_torch_export_cannot_trace_has_no_time(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_program(*_: object) -> None:
        raise RuntimeError("a branch that depends on the data")

    monkeypatch.setattr("exporters.parts.program_of", no_program)
    said = done("export", trained, "--out", tmp_path / "out", "--dry-run", "--format", "torchscript")
    assert "Time" not in heads(said)


def test_what_would_be_replaced_is_named(shop: Path, exported: Path, scored: Path) -> None:
    said = done(*of_scores(shop, exported, scored, k=7), "--replace")
    assert ", in place of the run " in said


def test_what_lists_take_is_foretold_within_a_factor_of_two(
    shop: Path, exported: Path, scored: Path, tmp_path: Path
) -> None:
    log = shop / "interactions.parquet"
    job = ScoreJob(
        bundle=exported, interactions=log, out=tmp_path / "recs", run_date=date.fromisoformat(LAST_DAY), k=10
    )
    check(forecast_of_scores(job), scored)


def check(forecast: Forecast, real: Path) -> None:
    """Compare the disk that was foretold with what was written."""
    assert forecast.disk is not None
    assert 0.5 <= forecast.disk / size(real) <= 2


def test_what_is_live_already_is_nothing_to_do(shop: Path, exported: Path, scored: Path) -> None:
    before = contents(scored.parent)
    said = done(*of_scores(shop, exported, scored))
    assert contents(scored.parent) == before
    there = f"{scored}/run_date={LAST_DAY} is there already, made from the same"
    assert said.splitlines()[-1] == f"Writes    nothing: {there}"


def test_refusals_are_those_of_the_step_itself(
    shop_copy: Path, trained: Path, exported: Path, scored: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    lines = {
        66: ["export", tmp_path / "nothing", "--out", tmp_path / "out", "--dry-run"],
        2: of_training(shop_copy, tmp_path / "out", "training.epoch=3"),
        65: of_scores(shop_copy, broken(exported, tmp_path), tmp_path / "recs"),
    }
    assert {code: refusal(tmp_path, *line)[::2] for code, line in lines.items()} == {c: (c, []) for c in lines}
    taken = [of_training(shop_copy, there), ["export", trained, "--out", there, "--dry-run"]]
    taken.append(of_scores(shop_copy, exported, scored, k=7))
    assert [refusal(tmp_path, *line)[::2] for line in taken] == [(73, [])] * 3


def broken(bundle: Path, folder: Path) -> Path:
    """A bundle with a byte too many."""
    copy = Path(shutil.copytree(bundle, folder / "bundle"))
    with (copy / "weights.safetensors").open("ab") as file:
        file.write(b"x")
    return copy


def test_a_night_is_foretold_with_its_gates(shop_copy: Path, exported: Path, tmp_path: Path) -> None:
    config = shop_copy / "config.yaml"
    text = config.read_text().replace("../bundle", str(exported)).replace("../recs", str(tmp_path / "recs"))
    config.write_text(text)
    before = contents(tmp_path)
    found = json.loads(done("nightly", config, "--run-date", LAST_DAY, "--dry-run", "--json"))
    assert contents(tmp_path) == before
    assert (found["out"], "gates" in found["facts"][-1]) == (f"{tmp_path}/recs/run_date={LAST_DAY}", True)
    assert found == Forecast.model_validate(found).model_dump(mode="json")


def test_a_pace_leaves_out_the_first_steps() -> None:
    clock = iter([50.0, 10.0, 0.1, 0.1, 0.1])  # hundredths of a second of each step

    def steps() -> Iterator[partial[None]]:
        for seconds in clock:
            yield partial(sleep, seconds / 100)

    found = pace(steps())
    assert (found.done, 0.003 <= found.seconds < 0.1) == (3, True)


def test_a_pace_stops_in_time_and_takes_what_there_is() -> None:
    assert pace(iter([partial(sleep, 0.01)] * 10**6), enough=0.05).done < 100
    assert pace([partial(sleep, 0.01)]).done == 1


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (sized(999), "999 bytes"),
        (sized(1_234_567), "1.2 MB"),
        (sized(20 * 10**9), "20.0 GB"),
        (lasting(0.2), "1 s"),
        (lasting(600), "10 min"),
        (lasting(2 * 3600), "2.0 h"),
    ],
)
def test_sizes_and_times_are_said_as_a_person_does(said: str, expected: str) -> None:
    assert said == expected


def test_more_than_the_machine_has_is_a_warning(tmp_path: Path) -> None:
    forecast = Forecast(does="x", inputs=(), facts=(), out=tmp_path / "out", memory=10**18, disk=10**18)
    assert [line for line in forecast.lines() if line.startswith("WARNING")] == [
        "WARNING   that is more than this machine has",
        "WARNING   that is more than is free",
    ]


def test_a_lock_of_another_run_is_said(shop: Path, exported: Path, tmp_path: Path) -> None:
    control = tmp_path / "recs.control"
    control.mkdir()
    with locked(control / "lock"):
        assert command("-q", *of_scores(shop, exported, tmp_path / "recs")).code == 75
