"""What is said on stderr is a line for a person, or an object a line for machines."""

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rec_export import logs
from rec_export.logs import bound, set_up
from tests.conftest import command


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines as JSON, without their times, which must be times."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(datetime.fromisoformat(line.pop("time")).tzinfo is not None for line in lines)
    return lines


def test_a_line_has_its_level_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(logging.INFO, "json")
    with bound(run_date="2026-11-20"), bound(shard=3):
        logging.getLogger("rec_export").info("%s of %s", 1, 2, extra={"step": "scoring"})
    logging.getLogger("rec_export").warning("line\nend from https://me:CANARY@host/", extra={"path": Path("x")})
    assert said(capsys) == [
        {"level": "info", "message": "1 of 2", "run_date": "2026-11-20", "shard": 3, "step": "scoring"},
        {"level": "warning", "message": "line\nend from https://***@host/", "path": "x"},
    ]


def test_a_refusal_is_an_object_with_its_exit_code() -> None:
    answer = command("--log-format", "json", "train", "nowhere.yaml", "--out", "x")
    line = json.loads(answer.err)
    assert (answer.code, line["level"], line["exit_code"]) == (66, "error", 66)
    assert line["message"].startswith("nowhere.yaml does not exist")


@pytest.mark.parametrize("words", [["train"], ["train", "x", "--out", "y", "--sed", "3"], ["trian"]])
def test_a_slip_in_the_command_is_an_object_too(words: list[str]) -> None:
    assert json.loads(command("--log-format", "json", *words).err)["exit_code"] == 2


def test_a_bug_is_an_object_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*anything: object) -> None:
        raise ZeroDivisionError("password=CANARY")

    monkeypatch.setattr("batch_jobs.status.status", broken)
    answer = command("--log-format", "json", "status", "recs")
    line = json.loads(answer.err)
    assert (answer.code, line["exit_code"], "ZeroDivisionError" in line["traceback"]) == (70, 70, True)
    assert "CANARY" not in answer.err
    answer = command("status", "recs")
    assert ("Traceback" in answer.err, "CANARY" in answer.err) == (True, False)


def test_who_asks_for_text_gets_text_again() -> None:
    command("--log-format", "json", "status", "nowhere")
    assert logs.is_json()
    assert command("status", "nowhere").err.startswith("Error: nowhere does not exist")
