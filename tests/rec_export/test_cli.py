"""The command line: quick help, near misses, exit codes, results on stdout and everything else on stderr."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pytest

from rec_export import __version__, cli, errors
from rec_export.errors import RecExportError
from tests.conftest import LAST_DAY, Answer, command, config_file, done, write_table

ROOT = Path(cli.__file__).parents[1]
HELP = """
import sys
from rec_export.cli import run
code = run({arguments!r})
heavy = sorted({{"torch", "pandas", "pyarrow", "onnxruntime", "sklearn", "numpy", "numba"}} & set(sys.modules))
sys.exit(f"{{code}} {{heavy}}")
"""


def python(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in cli.PLACES), ["trian"]]
)
def test_help_and_slips_import_nothing_heavy(arguments: list[str]) -> None:
    code = 2 if arguments == ["trian"] else 0
    assert python(HELP.format(arguments=arguments)).stderr.splitlines()[-1] == f"{code} []"


def test_help_is_there_in_a_second() -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        python("from rec_export.cli import run; run(['--help'])")
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(3)) < 1


def test_help_names_every_command_with_a_sentence() -> None:
    code, out, err = command("--help")
    assert (code, err) == (0, "")
    listed = dict(re.findall(r"^  ([a-z0-9-]+)  +(\S.*)$", out.split("Commands:")[1], re.MULTILINE))
    assert list(listed) == list(cli.PLACES)


@pytest.mark.parametrize("name", cli.PLACES)
def test_every_option_has_help_or_a_default(name: str) -> None:
    found = cli.cli.get_command(click.Context(cli.cli), name)
    assert found
    assert found.help
    assert [p.name for p in found.params if isinstance(p, click.Option) and not (p.help or p.show_default)] == []
    assert "None" not in found.get_help(click.Context(found))


def test_the_version_is_said() -> None:
    assert command("--version") == Answer(0, f"rec-export, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("slip", "right"), [("trian", "train"), ("scroe", "score"), ("sampledata", "sample-data"), ("Export", "export")]
)
def test_an_unknown_command_is_answered_with_the_nearest(slip: str, right: str) -> None:
    code, out, err = command(slip)
    said = f"Error: No such command '{slip}'; did you mean '{right}'? See `rec-export --help`\n"
    assert (code, out, err) == (2, "", said)


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    code, _, err = command("score", "bundle", "--interaction", "x")
    assert code == 2
    assert "--interactions" in err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["score", "b"], ["score", "b", "--interactions", "x", "--out", "y", "--k", "0"], ["train"]]
)
def test_a_usage_error_is_one_line_and_code_2(arguments: list[str]) -> None:
    code, out, err = command(*arguments)
    assert (code, out, err.startswith("Error: "), err.count("\n")) == (2, "", True, 1)
    assert err.endswith(f"See `rec-export {arguments[0]} --help`\n")


def test_without_a_command_there_is_help() -> None:
    code, _, err = command()
    assert (code, err.startswith("Usage: rec-export [OPTIONS] COMMAND")) == (2, True)


def test_every_error_has_the_exit_code_of_the_design() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, RecExportError)]
    assert {c.__name__: c.exit_code for c in classes} == {
        "RecExportError": 70,
        "UnsafePlaceError": 78,
        "UsageError": 2,
        "DataError": 65,
        "ModelError": 65,
        "TrainingError": 65,
        "MissingInputError": 66,
        "DeviceError": 69,
        "EnvironmentMissingError": 78,
        "OutputExistsError": 73,
        "StorageError": 74,
        "SinkError": 70,  # of the class; each has the code of what refused the table
        "BusyError": 75,
        "GateError": 80,
        "LostProcessError": 75,
        "MissingPartsError": 75,
        "ParityError": 81,
    }


DENIED = "cannot read or write /x: permission denied; check that it is there, and who may use it"


def wrapped(error: BaseException) -> Exception:
    """What a library raises that catches everything on the way, twice."""
    last, between = OSError("odd"), RuntimeError("could not load a part")
    last.__context__, between.__context__ = between, error
    return last


def run_of(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What is said when a command raises an error."""

    def raises(*anything: object, **more: object) -> None:
        raise error

    monkeypatch.setattr("rec_export.data.sample.write_sample", raises)
    return command("sample-data", "x")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (errors.ParityError("no"), 81, "Error: no\n"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "\nError: interrupted\n"),
        (wrapped(KeyboardInterrupt()), 128 + signal.SIGINT, "Error: interrupted\n"),
        (RuntimeError("KeyboardInterrupt: "), 128 + signal.SIGINT, "Error: interrupted\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 128 + signal.SIGPIPE, ""),
        (PermissionError(13, "Permission denied", "/x"), 74, f"Error: {DENIED}\n"),
    ],
)
def test_an_error_becomes_one_line_and_a_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_of(error, monkeypatch) == Answer(code, "", said)


def test_who_stops_reading_is_no_error_of_python() -> None:
    """Exit code 1 would be Python's own."""
    piped = f"{sys.executable} -m rec_export.cli --help | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout in ("0\n", "141\n")  # all was written before, or not
    assert ended.stderr == ""


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("odd"), AssertionError()])
def test_a_bug_keeps_its_traceback_and_is_owned(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run_of(error, monkeypatch)
    first, *_, last = err.splitlines()
    said = f"Error: this is a bug of rec-export ({type(error).__name__}); please report the lines above"
    assert (code, out, first, last) == (70, "", "Traceback (most recent call last):", said)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 2950720000 bytes"
        ),
        pa.ArrowMemoryError("malloc of size 5 failed"),
    ],
)
def test_memory_that_is_not_there_is_no_bug(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run_of(error, monkeypatch)
    assert (code, out, err.count("\n")) == (69, "", 1)
    assert err.startswith("Error: there is not enough memory here (")


def test_results_are_on_stdout_and_the_log_on_stderr(tmp_path: Path) -> None:
    write_table(tmp_path / "log.parquet", user_id=list("abcd") * 5, item_id=[f"i{i % 7}" for i in range(20)])
    fields: dict[str, Any] = {
        "data": {"interactions": {"path": "log.parquet"}},
        "model": {"name": "popular"},
        "training": {"epochs": 1},
    }
    loud = command("train", config_file(tmp_path, **fields), "--out", tmp_path / "a")
    quiet = command("--quiet", "train", tmp_path / "config.yaml", "--out", tmp_path / "b")
    assert (loud.code, quiet.code, quiet.err, "epoch 1" in loud.err, "epoch 1" in loud.out) == (0, 0, "", True, False)
    assert quiet.out.splitlines()[-1].endswith(str(tmp_path / "b"))


def test_json_is_json_alone(shop: Path, exported: Path, tmp_path: Path) -> None:
    log = shop / "interactions.parquet"
    answer = command("score", exported, "--interactions", log, "--out", tmp_path / "recs", "--k", 3, "--json")
    assert json.loads(answer.out)["k"] == 3


def test_a_path_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    log = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.parquet")
    for words in (["init", log], ["run", "log.parquet", "-o", log], ["status", log]):
        code, _, err = command(*words)
        assert (code, err.endswith("caf\\udce9.parquet' is not UTF-8; rename it\n")) == (2, True), err


def test_a_folder_with_a_colon_is_no_url(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs:1").mkdir()
    shutil.copytree(shop, tmp_path / "runs:1" / "shop")
    monkeypatch.chdir(tmp_path)
    done("train", "runs:1/shop/config.yaml", "--out", "runs:1/checkpoint", "--set", "model={name: popular}")
    done("export", "runs:1/checkpoint", "--out", "runs:1/bundle", "--format", "torchscript")
    log = "runs:1/shop/interactions.parquet"
    done("score", "runs:1/bundle", "--interactions", log, "--out", "runs:1/recs", "--run-date", LAST_DAY)
    assert "200 users with a list" in done("verify-run", "runs:1/recs")
