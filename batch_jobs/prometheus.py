"""How a night ended, for Prometheus' node exporter: a file in its textfile directory (*.prom), put in place whole."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from batch_jobs.report import Report
from rec_export.files import write_whole

SUCCESS = "rec_export_last_success_timestamp_seconds"


def write_metrics(report: Report, path: Path) -> None:
    """Write the figures of a night. The time of the last success stays what it was, when this one is none."""
    write_whole(path, "".join(f"{line}\n" for line in lines(report, time.time(), last_success(path))))


def last_success(path: Path) -> str | None:
    """What the file says of the nights before."""
    try:
        found = re.search(rf"^{SUCCESS} (\S+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found and found[1]


def lines(report: Report, now: float, before: str | None) -> Iterator[str]:
    """The text format: a name, labels, a value."""
    success = f"{now:.0f}" if report.exit_code == 0 else before
    yield f"rec_export_last_attempt_timestamp_seconds {now:.0f}"
    if success is not None:
        yield f"{SUCCESS} {success}"
    yield f"rec_export_exit_code {report.exit_code}"
    yield f"rec_export_seconds {report.seconds:g}"
    yield f"rec_export_rows {report.rows}"
    yield from (f'rec_export_users{{source="{source}"}} {count}' for source, count in report.users.items())
    for one in report.gates:
        if one.value is not None:
            yield f'rec_export_gate_value{{gate="{one.gate}"}} {one.value:g}'
        for said in ("refused", "warned"):
            yield f'rec_export_gate_{said}{{gate="{one.gate}"}} {int(one.verdict == said)}'
