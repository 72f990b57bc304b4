"""Write the report: look, ask every section, and put the page in its place whole."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, final

from pydantic import Field

from rec_export.errors import UsageError
from rec_export.files import refuse_existing, storage_errors, write_whole
from rec_export.progress import track
from rec_export.record import Record
from rec_export.report.found import Found, Night, found
from rec_export.report.page import Section, page
from rec_export.report.remarks import remarks
from rec_export.report.sections import (
    lists,
    nights,
    parity,
    parts,
    predictions,
    profile,
    quality,
    rates,
    search,
    shares,
    times,
    training,
    words,
)

SECTIONS = (
    quality.section, profile.section, training.section, rates.section, search.section, shares.section, parts.section,
    predictions.section, lists.section, nights.gates, nights.changes, parity.section, times.section,
)  # fmt: skip
"""In the order in which a reader asks."""


@final
class ReportJob(Record):
    """What to show, and where."""

    paths: tuple[Path, ...] = Field(min_length=1)
    out: Path
    title: str | None = None


class Reported(NamedTuple):
    """What the page shows; what its words mean is not told again."""

    sections: list[Section]
    bytes: int


def run(job: ReportJob) -> Reported:
    """Write job.out, a new file. Raises MissingInputError or UsageError where there is nothing to show."""
    refuse_existing(job.out, "file")
    there = found(job.paths)
    asked = track(SECTIONS, len(SECTIONS), "drawing")
    sections = [section for ask in asked if (section := ask(there)) is not None]
    if not sections:
        raise UsageError(f"{', '.join(map(str, job.paths))}: nothing there says anything that a report shows")
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    shown = [*sections, *filter(None, [words.section(sections)])]
    text = page(
        job.title or title(there), lead(there), list(remarks(there)), shown, now, several=len(there.subjects) > 1
    )
    with storage_errors(job.out):
        job.out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(job.out, text)
    return Reported(sections, len(text.encode()))


def title(there: Found) -> str:
    """What the page is about."""
    labels = [one.label for one in there.subjects] or [*there.ablations, *there.ranges]
    models = {label.partition(", ")[0] for label in labels}
    if len(labels) > 1 and len(models) == 1:  # labels of one model differ in the path alone
        labels = [label.partition(", ")[2] or label for label in labels]
        labels[0] = f"{models.pop()}: {labels[0]}"
    return " and ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)


def lists_in(night: Night) -> str:
    """Where published lists are, or those that were refused."""
    if night.refused is not None:
        return f"lists of {night.date} that the gates refused in {night.refused.folder}"
    return f"lists of {night.date} in {night.recs.root}"


def lead(there: Found) -> list[str]:
    """Where everything came from."""
    lines = []
    for one in there.subjects:
        places = {"trained in": one.checkpoint, "exported to": one.bundle, "judged in": one.evaluation}
        told = [f"{verb} {path}" for verb, path in places.items() if path]
        told += [lists_in(one.night)] if one.night else []
        name = one.label.partition(", ")[0]  # the rest of a label is one of the places
        lines.append(f"{name}: {', '.join(told)}")
    return lines
