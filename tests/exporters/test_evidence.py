"""A refused export leaves what it takes to see the fault again, and nothing that could be scored from."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exporters.cases import Arrays, Case
from exporters.evidence import read_case, write_case
from exporters.formats import FORMATS, Format
from exporters.fresh import CallError, Files, fresh
from exporters.job import ExportJob, run
from exporters.torchscript import write_torchscript
from rec_export.errors import ParityError
from tests.conftest import command, contents
from tests.exporters.conftest import ITEMS, USERS, Make
from tests.exporters.test_parity import plant, with_a_nan_row


@pytest.fixture(scope="module")
def first_refused(checkpoint: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with the evidence against an export whose item tower has a row of NaN; the command that shows it."""
    folder = tmp_path_factory.mktemp("refused")
    job = ExportJob(checkpoint=checkpoint("everything"), out=folder / "bundle", formats=("torchscript",))
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, "torchscript", "item_tower", with_a_nan_row)
        with pytest.raises(ParityError) as error:
            run(job)
    return folder, str(error.value).rpartition("report what this shows: ")[2]


@pytest.fixture
def refused(first_refused: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """A copy of it, and the command that shows the fault there."""
    folder, shows = first_refused
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "bundle.refused", shows.replace(str(folder), str(tmp_path))


def test_the_command_of_the_error_shows_the_fault_again(refused: tuple[Path, str]) -> None:
    program, *words = shlex.split(refused[1])
    assert program == "rec-export"
    code, out, err = command(*words)
    assert (code, out) == (81, "")
    path = refused[0] / "parity/cases/torchscript-item_tower.safetensors"
    assert err.startswith(f"Error: torchscript/item_tower is not the trained model: in {path} (real rows) 10 of 10 ")


def test_the_case_is_one_row_of_which_only_the_id_is_told(refused: tuple[Path, str]) -> None:
    artefact, (_, case) = read_case(refused[0] / "parity/cases/torchscript-item_tower.safetensors")
    assert artefact == "torchscript/item_tower"
    assert case["row"].tolist() == [ITEMS // 2]
    assert np.isnan(case["dense"]).all()
    assert [case[name].tolist() for name in ("category", "tags", "text")] == [[[-1, -1]], [[-1]], [[0.0] * 4]]


def test_it_is_no_bundle_and_says_so(refused: tuple[Path, str]) -> None:
    assert not list(refused[0].rglob("manifest.json"))
    code, _, err = command("verify", refused[0])
    assert (code, err.count("--case")) == (2, 1)


def test_a_changed_file_is_found_before_it_is_loaded(refused: tuple[Path, str]) -> None:
    path = refused[0] / "export/torchscript/item_tower.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert command(*shlex.split(refused[1])[1:]).code == 65


def test_newer_evidence_takes_the_place_of_older_and_of_nothing_else(
    refused: tuple[Path, str], checkpoint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "torchscript", "item_tower", with_a_nan_row)
    job = ExportJob(checkpoint=checkpoint("everything"), out=refused[0].with_name("bundle"), formats=("torchscript",))
    (refused[0] / "old").touch()
    with pytest.raises(ParityError):
        run(job)
    assert not (refused[0] / "old").exists()
    (refused[0] / "refusal.json").unlink()
    before = contents(refused[0])
    assert command("torchscript", job.checkpoint, "--out", job.out).code == 73
    assert contents(refused[0]) == before


def test_a_good_export_takes_the_evidence_against_an_earlier_one_away(
    refused: tuple[Path, str], checkpoint: Make
) -> None:
    out = refused[0].with_name("bundle")
    run(ExportJob(checkpoint=checkpoint("pmf"), out=out, formats=("torchscript",)))
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]


def test_a_file_that_does_not_answer_in_time_is_refused_with_the_call_as_it_was(
    checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = sys.executable, "-c", "import time; time.sleep(600)"
    pipe = subprocess.PIPE
    begun: list[subprocess.Popen[bytes]] = []

    def begin(files: Files) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen(asleep, stdin=pipe, stdout=pipe))
        return begun[-1]

    monkeypatch.setattr(Files, "begun", begin)
    code, _, err = command("-q", "torchscript", checkpoint("pmf"), "--out", tmp_path / "bundle", "--limit", 0.5)
    said = "in the case 'real rows' it has not answered within 0.5 seconds and was killed"
    assert (code, f"torchscript/user_tower is not the trained model: {said}" in err) == (81, True)
    assert [process.returncode for process in begun] == [-9]
    _, case = read_case(tmp_path / "bundle.refused/parity/cases/torchscript-user_tower.safetensors")
    assert len(case.inputs["row"]) == USERS


def test_verify_leaves_the_case_beside_a_bundle_that_fails_here(bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle("pmf")
    before = contents(folder)
    real = Files.__call__

    def other(files: Files, part: str, inputs: Arrays) -> Arrays:
        return {name: array + np.float32(0.1) for name, array in real(files, part, inputs).items()}

    monkeypatch.setattr(Files, "__call__", other)
    code, _, err = command("-q", "verify", folder)
    assert code == 81
    monkeypatch.undo()
    words = shlex.split(err.rpartition("report what this shows: ")[2])
    assert words[:3] == ["rec-export", "verify", str(folder)]
    assert command(*words[1:]) == (
        0,
        f"[ok] torchscript/user_tower gives what the trained model gives in {words[-1]} (real rows)\n",
        "",
    )
    assert contents(folder) == before


def shifted(files: Files, part: str, inputs: Arrays) -> Arrays:
    """What no exported file should give."""
    return {"output": np.zeros((1, 1), np.float32)}


def test_a_verdict_stands_where_evidence_cannot_be_kept(bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle("pmf")
    folder.with_name(f"{folder.name}.refused").mkdir()
    monkeypatch.setattr(Files, "__call__", shifted)
    code, _, err = command("-q", "verify", folder)
    assert (code, "is not the trained model" in err, "nothing more could be kept" in err) == (81, True, True)


def test_a_file_of_another_structure_is_not_even_loaded_for_a_case(
    refused: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "torchscript", Format(write_torchscript, lambda *_: "it holds a text"))
    monkeypatch.setattr(Files, "begun", lambda files: pytest.fail("it was run"))
    code, _, err = command(*shlex.split(refused[1])[1:])
    assert (code, "it holds a text" in err) == (81, True)


@pytest.mark.parametrize("artefact", ["onnx/nosuch", "zzz/user_tower", "../../x/user_tower"])
def test_a_case_for_what_is_not_there_accuses_nobody(artefact: str, bundle: Make, tmp_path: Path) -> None:
    write_case(Case("real rows", {"row": np.arange(3)}), artefact, tmp_path / "cases" / "c.safetensors")
    code, _, err = command("verify", bundle("pmf"), "--case", tmp_path / "cases" / "c.safetensors")
    assert (code, f"holds no {artefact}" in err) == (65, True)


def test_a_call_of_the_recommender_is_made_again_without_all_the_others(bundle: Make, tmp_path: Path) -> None:
    case = Case("three users", {"row": np.arange(3), "seen": np.full((3, 1), -1), "k": np.array(4)})
    write_case(case, "onnx/recommender", tmp_path / "cases" / "c.safetensors")
    answer = command("verify", bundle("pmf"), "--case", tmp_path / "cases" / "c.safetensors")
    assert (answer.code, "onnx/recommender gives what the trained model gives" in answer.out) == (0, True), answer.err


def test_a_process_that_dies_is_a_fault_and_another_takes_its_place(pristine: Make) -> None:
    with fresh(pristine("pmf"), "torchscript") as files:
        inputs = {"row": np.arange(3)}
        vectors = files("user_tower", inputs)
        assert files.process is not None
        files.process.kill()
        with pytest.raises(CallError, match="ends its process with exit code -9"):
            files("user_tower", inputs)
        np.testing.assert_equal(files("user_tower", inputs), vectors)


def test_what_a_trained_part_reads_in_memory_order_is_what_its_file_reads(pristine: Make) -> None:
    random = np.random.default_rng(0).normal(size=(3, 42)).astype(np.float32)
    with fresh(pristine("pmf"), "onnx") as files:
        by_rows = files("pair_head", {"user_vec": random, "item_vec": random})
        by_columns = files("pair_head", {"user_vec": np.asfortranarray(random), "item_vec": random})
    np.testing.assert_array_equal(by_rows["output"], by_columns["output"])
