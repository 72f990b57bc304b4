"""What `schedule` prints is what each scheduler wants, and tries again after the right exit codes only."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from batch_jobs.schedule import TRIES, Schedule
from batch_jobs.units import KINDS
from rec_export import errors
from rec_export.errors import GIVE_UP, TRY_AGAIN, RecExportError
from tests.conftest import Answer, command, config_file

ODD = "a b%c$d"  # a folder whose name means something to cron, systemd and shells
ENDS = {0: 1, **dict.fromkeys(GIVE_UP, 1), **dict.fromkeys(TRY_AGAIN, TRIES)}  # exit code -> attempts


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration for nights, in a folder with an odd name."""
    (tmp_path / ODD).mkdir()
    data = {"interactions": {"path": "log.parquet"}}
    return config_file(tmp_path / ODD, data=data, nightly={"bundle": "bundle", "out": "recs"})


def scheduled(config: Path, *more: object) -> Answer:
    """What is printed."""
    return command("-q", "schedule", config, *more)


def units(kind: str, config: Path, program: Path, **given: Any) -> list[str]:
    """The files for a scheduler, which call another program."""
    fields = {"name": "n", "zone": "Europe/Berlin", "mail": None, "image": "rec-export:1", **given}
    schedule = Schedule.of(config, "4:05", **fields)
    return list(KINDS[kind](schedule.model_copy(update={"program": (str(program),)})).values())


def ending_with(folder: Path, code: int) -> Path:
    """A program that writes down its words and ends with a code."""
    program = folder / "program"
    program.write_text(f'#!/bin/sh\necho "$*" >> "{folder}/calls"\nexit {code}\n')
    program.chmod(0o755)
    return program


def calls(folder: Path) -> list[str]:
    """How the program was called."""
    return (folder / "calls").read_text().splitlines()


def test_every_exit_code_is_worth_another_try_or_is_not() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RecExportError)]
    assert {kind.exit_code for kind in kinds} | {1, 2} == {*TRY_AGAIN, *GIVE_UP}


@pytest.mark.parametrize(("code", "attempts"), ENDS.items())
def test_crons_line_tries_again_what_is_worth_it(code: int, attempts: int, config: Path, tmp_path: Path) -> None:
    (unit,) = units("cron", config, ending_with(tmp_path, code))
    line = unit.splitlines()[-1]
    assert line.startswith("5 4 * * *  ")
    clock = f'[ "$*" = "-u +%F" ] || exit 1; cat "{tmp_path}/days"; echo 2026-11-21 > "{tmp_path}/days"'
    (tmp_path / "days").write_text("2026-11-20\n")  # and after the first time it is asked for, the next
    for name, body in {"sleep": f'echo "$*" >> "{tmp_path}/slept"', "date": clock}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    asked = re.sub(r"(?<!\\)%", "\n", line.removeprefix("5 4 * * *  ")).replace("\\%", "%")  # as cron does
    done = subprocess.run(["/bin/sh", "-c", asked], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode, calls(tmp_path)) == (code, [f"-q nightly {config} --run-date 2026-11-20"] * attempts)
    slept = (tmp_path / "slept").read_text().count("\n") if (tmp_path / "slept").exists() else 0
    assert slept == attempts - 1  # not before the mail


def test_crons_lines_name_the_zone_and_who_gets_mail(config: Path) -> None:
    lines = units("cron", config, Path("/x"), mail="ops@example.com")[0].splitlines()
    settings = dict(line.split("=", 1) for line in lines[:-1] if not line.startswith("#"))
    assert settings == {
        "SHELL": "/bin/sh", "OMP_WAIT_POLICY": "PASSIVE", "MAILTO": "ops@example.com", "CRON_TZ": "Europe/Berlin",
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_no_fault_with_its_units(config: Path, tmp_path: Path) -> None:
    scheduled(config, "--systemd", "--mail", "ops@example.com", "-o", tmp_path / "units")
    files = sorted((tmp_path / "units").iterdir())
    assert [path.name for path in files] == [
        f"rec-export-nightly{end}" for end in ("-failed.service", ".service", ".timer")
    ]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    mine = [line for line in done.stderr.splitlines() if "rec-export" in line]  # and not what is wrong with the machine
    assert (done.returncode, mine) == (0, [])


def test_systemds_service_calls_the_command_and_gives_up_where_no_try_mends(config: Path, tmp_path: Path) -> None:
    service, timer = units("systemd", config, tmp_path / "program")
    whole = str(config).replace("%", "%%").replace("$", "$$")
    assert f'ExecStart="{tmp_path}/program" "-q" "nightly" "{whole}"\n' in service
    assert f"RestartPreventExitStatus={' '.join(map(str, GIVE_UP))}\n" in service
    assert "OnCalendar=*-*-* 04:05:00 Europe/Berlin\n" in timer


def test_systemd_must_know_whose_job_it_is(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert scheduled(config, "--systemd") == Answer(
        2,
        "",
        "Error: the uid 2147483641 has no name here that systemd could run the job as; set USER to that of the user"
        " whose job it is\n",
    )


def test_kubernetes_gets_a_cronjob(config: Path) -> None:
    (text,) = units("k8s", config, Path("/x"))
    unit = yaml.safe_load(text)
    job = unit["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert (unit["apiVersion"], unit["kind"], unit["metadata"]["name"]) == ("batch/v1", "CronJob", "n")
    assert [unit["spec"][key] for key in ("schedule", "timeZone", "concurrencyPolicy")] == [
        "5 4 * * *", "Europe/Berlin", "Forbid",
    ]  # fmt: skip
    assert (pod["restartPolicy"], job["backoffLimit"]) == ("Never", TRIES - 1)
    assert [rule["action"] for rule in job["podFailurePolicy"]["rules"]] == ["Ignore", "FailJob"]
    assert job["podFailurePolicy"]["rules"][1]["onExitCodes"] == {
        "containerName": container["name"], "operator": "NotIn", "values": list(TRY_AGAIN),
    }  # fmt: skip
    assert container["command"] == ["rec-export", "--log-format", "json", "nightly", str(config)]
    assert container["volumeMounts"] == [{"name": pod["volumes"][0]["name"], "mountPath": str(config.parent)}]


def test_kubernetes_schema_has_nothing_against_it(config: Path) -> None:
    (text,) = units("k8s", config, Path("/x"))
    unit = yaml.safe_load(text)
    kubernetes_validate.validate(unit, "1.31", strict=True)
    unit["spec"]["shedule"] = "* * * * *"
    with pytest.raises(kubernetes_validate.ValidationError):  # or the schema would have something against nothing
        kubernetes_validate.validate(unit, "1.31", strict=True)


class FailError(Exception):
    """Stands for AirflowFailException."""


@pytest.fixture
def dag_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], None]]:
    """The task of a DAG's text, run by what it imports of Airflow and no more."""
    tasks: list[Callable[[], None]] = []

    def task(**how: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
        assert how["retries"] == TRIES - 1
        return lambda publish: lambda: tasks.append(publish)

    context = {"logical_date": datetime(2026, 11, 20, 3, 5, tzinfo=UTC)}
    modules: dict[str, dict[str, Any]] = {
        "airflow": {}, "airflow.timetables": {},
        "airflow.sdk": {"dag": lambda **how: lambda f: f, "task": task, "get_current_context": lambda: context},
        "airflow.sdk.exceptions": {"AirflowFailException": FailError},
        "airflow.timetables.trigger": {"CronTriggerTimetable": lambda *words, **how: SimpleNamespace()},
    }  # fmt: skip
    for name, inside in modules.items():
        module = ModuleType(name)
        vars(module).update(inside)
        monkeypatch.setitem(sys.modules, name, module)

    def made(text: str) -> Callable[[], None]:
        exec(compile(text, "dag.py", "exec"), {})
        return tasks[0]

    return made


@pytest.mark.parametrize("code", ENDS)
def test_airflow_tries_again_what_is_worth_it(
    code: int, config: Path, tmp_path: Path, dag_of: Callable[[str], Callable[[], None]]
) -> None:
    publish = dag_of(units("airflow", config, ending_with(tmp_path, code))[0])
    raised: type[BaseException] | None = None
    try:
        publish()
    except (RuntimeError, FailError) as error:
        raised = type(error)
    assert raised is (None if code == 0 else RuntimeError if code in TRY_AGAIN or code > 128 else FailError)
    assert calls(tmp_path) == [f"-q nightly {config} --run-date 2026-11-20"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say for what: --cron, --systemd, --k8s, --airflow"),
        (["--cron", "--at", "25:00"], "--at is '25:00', but should be like 03:15"),
        (
            ["--cron", "--time-zone", "Europe/Berln"],
            "there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        (
            ["--cron", "--mail", "a\nb"],
            'the schedule: mail is "a\\nb", but should be an address such as ops@example.com',
        ),
        (
            ["--k8s", "--mail", "a@b"],
            "--mail is for cron and systemd; here failures are told by kube_job_status_failed",
        ),
    ],
)
def test_a_slip_is_named(words: list[str], said: str, config: Path) -> None:
    assert scheduled(config, *words) == Answer(2, "", f"Error: {said}\n")


@pytest.mark.parametrize("kind", ["--systemd", "--k8s"])
@pytest.mark.parametrize(
    ("at", "zone", "refused"),
    [
        ("23:29", "UTC", False), ("23:30", "UTC", True), ("23:59", "UTC", True), ("00:00", "UTC", False),
        ("00:45", "Europe/Berlin", True), ("01:45", "Europe/Berlin", True), ("02:00", "Europe/Berlin", False),
    ],
)  # fmt: skip
def test_what_cannot_keep_a_date_does_not_try_again_past_midnight(
    kind: str, at: str, zone: str, refused: bool, config: Path
) -> None:
    got = scheduled(config, kind, "--at", at, "--time-zone", zone)
    said = f"Error: --at {at} {zone} is so near to midnight UTC that a later try would publish the next date"
    assert (got.code, got.err.partition(";")[0]) == ((2, said) if refused else (0, ""))


def test_files_without_a_folder_in_common_cannot_be_one_volume(tmp_path: Path) -> None:
    nightly = {"bundle": "/srv/bundle", "out": "/var/recs"}
    config = config_file(tmp_path, data={"interactions": {"path": "log.parquet"}}, nightly=nightly)
    assert "have no folder in common that a volume could hold" in scheduled(config, "--k8s").err


def test_lists_of_rules_belong_into_the_volume_too(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "data": {"interactions": {"path": "log.parquet"}},
        "rules": {"deny": {"path": "../lists/deny.csv"}},
    }
    (tmp_path / "shop").mkdir()
    config = config_file(tmp_path / "shop", **sections, nightly={"bundle": "bundle", "out": "recs"})
    assert f"mountPath: {tmp_path}\n" in scheduled(config, "--k8s").out


@pytest.mark.parametrize("more", [{"delta": "{}/table"}, {"gates": {"command": "{}/check --all"}}])
def test_a_delta_table_and_the_program_of_a_gate_do_too(more: dict[str, Any], tmp_path: Path) -> None:
    more = json.loads(json.dumps(more).replace("{}", f"{tmp_path}/lists"))
    (tmp_path / "shop").mkdir()
    data = {"interactions": {"path": "log.parquet"}}
    config = config_file(tmp_path / "shop", data=data, nightly={"bundle": "bundle", "out": "recs", **more})
    assert f"mountPath: {tmp_path}\n" in scheduled(config, "--k8s").out


def test_the_program_of_a_gate_need_not_be_on_the_machine_that_prints(tmp_path: Path) -> None:
    nightly = {"bundle": "bundle", "out": "recs", "gates": {"command": "only-in-the-image --all"}}
    config = config_file(tmp_path, data={"interactions": {"path": "log.parquet"}}, nightly=nightly)
    assert f"mountPath: {tmp_path}\n" in scheduled(config, "--k8s").out


def test_what_is_printed_are_the_files(config: Path, tmp_path: Path) -> None:
    scheduled(config, "--cron", "-o", tmp_path / "units")
    (unit,) = (tmp_path / "units").iterdir()
    assert scheduled(config, "--cron").out == unit.read_text()
