"""The report of a night, as JSON for machines and as Markdown for people."""

from pathlib import Path
from typing import Literal, Self, final

from pydantic import Field, ValidationError

from rec_export.data.broken import told
from rec_export.files import write_whole
from rec_export.record import Record
from rec_export.run_manifest import Recall, RunManifest, Verdict
from rec_export.words import counted


@final
class Report(Record):
    """report.json: how a night ended."""

    outcome: Literal["published", "kept", "refused", "failed"]  # kept: the same run was live before
    exit_code: int = 0
    sentence: str = ""  # why not
    run_date: str
    run_id: str | None = None
    started_at: str  # UTC, ISO 8601
    seconds: float
    users: dict[str, int] = Field(default_factory=dict)  # by source
    rows: int = 0
    items: int = 0  # that could be recommended
    listed: int | None = None  # of these, those that are in a list
    short_lists: int = 0
    empty_lists: int = 0
    rules: str | None = None  # what business rules left out
    left_out: dict[str, int] = Field(default_factory=dict)  # rows of the log, by what is wrong with them
    approximate: Recall | None = None  # None: every list is exact
    resumed_parts: int = 0  # that an earlier attempt had finished
    carried: int = 0  # users whose list is that of the run before
    everybody_because: str | None = None  # why an incremental run carried nothing over
    gates: tuple[Verdict, ...] = ()

    @classmethod
    def of_run(
        cls, run: RunManifest, outcome: Literal["published", "kept", "refused"], seconds: float, *,
        exit_code: int = 0, sentence: str = "", resumed: int = 0,
    ) -> Self:  # fmt: skip
        """Of a run that was made."""
        return cls(
            outcome=outcome, exit_code=exit_code, sentence=sentence, run_date=run.run_date, run_id=run.run_id,
            started_at=run.started_at, seconds=seconds, users=run.users, rows=run.rows, items=run.items,
            listed=None if run.audit is None else run.audit.items,
            short_lists=run.short_lists, empty_lists=run.empty_lists, rules=run.rules_in_words(), left_out=run.left_out,
            approximate=run.approximate, resumed_parts=resumed, carried=run.carried,
            everybody_because=run.everybody_because, gates=run.gates,
        )  # fmt: skip

    def line(self) -> str:
        """One line for a log or a mail."""
        asked = [one for one in self.gates if one.verdict != "skipped"]
        well = sum(one.verdict == "passed" for one in asked)
        others = [
            f"{one.gate} {one.verdict}" + ("" if one.value is None else f" at {one.value:.4g}, should be {one.limit}")
            for one in asked
            if one.verdict != "passed"
        ]
        gates = f"{well} of {len(asked)} gates passed" + (f" ({'; '.join(others)})" if others else "")
        resumed = f", {counted(self.resumed_parts, 'part')} resumed" if self.resumed_parts else ""
        carried = f", {counted(self.carried, 'list')} carried over" if self.carried else ""
        return (
            f"{self.outcome} run_date={self.run_date} run {self.run_id}: {counted(sum(self.users.values()), 'user')},"
            f" {counted(self.rows, 'row')}, {gates}, {self.seconds:.0f} s{resumed}{carried}"
        )

    def markdown(self) -> str:
        """A page that says what a person asks first."""
        lines = [f"# run_date={self.run_date}: {self.outcome}", ""]
        lines += [self.sentence, ""] if self.sentence else []
        if self.run_id is not None:
            users = ", ".join(f"{count:,} {source}" for source, count in self.users.items())
            listed = "" if self.listed is None else f", of which {self.listed:,} are in a list"
            lines += [f"Run {self.run_id}: {users} users, {self.rows:,} rows, {self.items:,} items{listed},"]
            lines += [f"{self.short_lists:,} short lists, {self.empty_lists:,} of them empty."]
        lines += [f"Rules: {self.rules}."] if self.rules else []
        lines += [f"Rows of the log that were left out: {told(self.left_out)}."] if self.left_out else []
        lines += [f"{shortfall(self.approximate).capitalize()}."] if self.approximate else []
        if self.carried or self.everybody_because:
            lines += [f"{self.carried:,} lists are carried over. {self.everybody_because or ''}".strip()]
        lines += [f"Started {self.started_at}, took {self.seconds:.0f} s, exit code {self.exit_code}.", ""]
        if self.gates:
            lines += ["| gate | verdict | value | should be | |", "|---|---|---|---|---|"]
        for one in self.gates:
            value = "" if one.value is None else f"{one.value:g}"
            lines.append(f"| {one.gate} | {one.verdict} | {value} | {one.limit} | {cell(one.reason or '')} |")
        return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text that stays in its place in a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def shortfall(told: Recall) -> str:
    """What approximate lists hold of the exact ones."""
    said = (
        f"approximate: recall {told.recall:.4f} of the exact lists of {told.users:,} users, {told.least:.4f} at least,"
        f" {told.same:.1%} the same"
    )
    return said if told.searched else f"{said}; this model is not ranked faster so, and all lists are exact"


def report_in(text: str | None) -> Report | None:
    """A report from JSON; None where it is gone or damaged."""
    try:
        return None if text is None else Report.model_validate_json(text)
    except ValidationError:
        return None


def refused_in(control: Path) -> dict[str, str | None]:
    """The reports in failed/, in JSON, by run id; the newest first. None: a report is gone."""
    folders = sorted(control.glob("failed/*"), key=changed, reverse=True)
    found = {folder.name: folder / "report.json" for folder in folders}
    return {
        run_id: path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
        for run_id, path in found.items()
    }


def changed(folder: Path) -> int:
    """When something was put into a folder, or into one in it, last."""
    return max((path.stat().st_mtime_ns for path in (folder, *folder.glob("*")) if path.exists()), default=0)


def write_report(report: Report, folder: Path) -> None:
    """Write report.json and report.md in a folder, each whole."""
    report.write(folder / "report.json")
    write_whole(folder / "report.md", report.markdown())
