"""Whether lists were fit to be published, and how they differ from those of the date before."""

from itertools import zip_longest

from matplotlib.axes import Axes

from rec_export.churn import Churn, Moved, churn
from rec_export.errors import RecExportError
from rec_export.recs import CONTROL
from rec_export.report.drawing import bare, clipped, colour, figure
from rec_export.report.found import Found, Night
from rec_export.report.page import Cell, Figure, Note, Section, Table, count, number, text, together
from rec_export.report.views import Night as NightReport
from rec_export.run_lists import Run
from rec_export.run_manifest import Verdict
from rec_export.words import counted

TONES = {"passed": "good", "warned": "warn", "refused": "bad", "forced": "warn", "skipped": ""}


def gates(found: Found) -> Section | None:
    """What each gate said of the run, and how the last night ended."""
    tables: list[Table | Figure | Note] = []
    lines: list[str] = []
    for label, night in found.nights():
        manifest, ended = night.manifest(), last(night)
        verdicts = manifest.gates if manifest else ()
        if verdicts:
            tables.append(
                verdict_table(
                    f"{label}: the {night.kind} run {manifest.run_id if manifest else ''} of {night.date}", verdicts
                )
            )
            lines.append(summary(label, night.date, verdicts))
        if manifest is not None:
            rules = manifest.rules_in_words()
            said = f"the business rules of {night.date}: {rules}" if rules else f"no business rules on {night.date}"
            tables.append(Note(f"{label}: {said}."))
        if ended is not None and (manifest is None or ended.run_id != manifest.run_id):
            tables.append(
                Note(
                    f"{label}: the last night, {ended.run_date}, ended {ended.outcome} (exit code {ended.exit_code})."
                    f" {ended.sentence}"
                )
            )
            if ended.gates:
                tables.append(
                    verdict_table(f"{label}: the run {ended.run_id} of {ended.run_date}, {ended.outcome}", ended.gates)
                )
            if ended.exit_code:
                newest = night.recs.dates()[-1:]
                live = f"{newest[0]} is the newest date that is live" if newest else "nothing is live"
                lines.insert(0, f"The last night of {label}, {ended.run_date}, was {ended.outcome}; {live}.")
    line = " ".join(lines) or "No manifest tells of gates."
    return Section("gates", "Gates", line, tables) if tables else None


def last(night: Night) -> NightReport | None:
    """How the last `nightly` ended; a refused run that was copied elsewhere has no control folder above it."""
    path = night.recs.control / "report.json"
    return NightReport.read(path) if path.parent.name.endswith(CONTROL) and path.is_file() else None


def summary(label: str, date: str, verdicts: tuple[Verdict, ...]) -> str:
    """How many gates passed."""
    asked = [one for one in verdicts if one.verdict != "skipped"]
    if [(one.gate, one.verdict) for one in asked] == [("structure", "passed")]:
        return f"{label}: the lists of {date} keep every promise of the format; only a night asks other gates."
    others = [f"{one.gate} {one.verdict}" for one in asked if one.verdict != "passed"]
    told = f"{label}: {len(asked) - len(others)} of {len(asked)} gates passed on {date}"
    return f"{told} ({', '.join(others)})." if others else f"{told}."


def verdict_table(caption: str, verdicts: tuple[Verdict, ...]) -> Table:
    """One row for each gate."""
    rows = [
        (
            text(one.gate),
            Cell(one.verdict, tone=TONES[one.verdict]),
            number(one.value),
            text(one.limit),
            text(one.reason or ""),
        )
        for one in verdicts
    ]
    return Table(caption, ("gate", "verdict", "value", "should be", "reason"), rows)


def changes(found: Found) -> Section | None:
    """Churn against the date before, of every read root that has one."""
    blocks: list[Table | Figure | Note] = []
    lines: list[str] = []
    for label, night in found.nights():
        before = night.before()
        if before is None:
            continue
        try:
            diff = churn(Run.at(before.folder), Run.at(night.folder))
        except RecExportError as error:  # a damaged date before is no reason to show nothing
            blocks.append(Note(f"{label}: {error}"))
            continue
        everybody = diff.segments["all"]
        kept = "kept" if night.refused is None else "would have kept"
        lines.append(
            f"Users of {label} {kept} {everybody.overlap:.1%} of their items from {before.date} to {night.date};"
            f" {counted(diff.came, 'user')} came, {diff.left:,} left."
        )
        moved = [movers(label, diff)] if diff.entering or diff.leaving else []
        blocks += [*moved, segments(label, diff), quantiles(label, diff)]
    line = together(lines) or "The date before cannot be compared."
    return Section("churn", "Churn", line, blocks) if blocks else None


def segments(label: str, diff: Churn) -> Table:
    """How alike lists are, by source."""
    rows = [
        (
            text(name),
            count(one.users),
            Cell(f"{one.overlap:.1%}", one.overlap),
            number(one.rbo, ".4f"),
            Cell(f"{one.same:.1%}", one.same),
        )
        for name, one in diff.segments.items()
    ]
    sample = ", a sample of users" if diff.sampled else ""
    caption = (
        f"{label}: {diff.before} and {diff.after}{sample}; lists of {' and '.join(map(str, dict.fromkeys(diff.k)))}"
    )
    return Table(caption, ("users by source", "users", "items kept", "rank-biased overlap", "the same list"), rows)


def movers(label: str, diff: Churn) -> Figure:
    """The items that entered and left most lists."""
    shown: list[Moved] = [*diff.entering[:8], *reversed(diff.leaving[:8])]

    def draw(axes: Axes) -> None:
        with bare(axes):
            for place, one in enumerate(shown):
                series = 0 if one.after > one.before else 1
                axes.plot((one.before, one.after), (place, place), color=colour(series), linewidth=2)
                axes.plot(one.after, place, marker=">" if series == 0 else "<", color=colour(series), markersize=6)
            axes.set_yticks(range(len(shown)), [clipped(str(one.item)) for one in shown])
            axes.set(xlabel="share of users whose list holds the item", ylim=(len(shown) - 0.5, -0.5))

    told = "; ".join(
        f"{one.item} {one.before:.1%} to {one.after:.1%}" for one in (*diff.entering[:3], *diff.leaving[:3])
    )
    return figure(
        draw,
        f"{label}: items that entered (right) and left (left) most lists",
        f"Changes: {told}.",
        (4.4, 0.8 + 0.26 * max(len(shown), 1)),
    )


def quantiles(label: str, diff: Churn) -> Table:
    """Where the scores were and are."""
    rows = [
        (Cell(f"{level:.0%}", level), number(before), number(after))
        for level, before, after in zip_longest(diff.levels, *diff.scores)
    ]
    index = "" if diff.psi is None else f" (population stability index {diff.psi:.3f})"
    caption = f"{label}: quantiles of scores, which {diff.moved()}{index}"
    return Table(caption, ("quantile", diff.before, diff.after), rows)
