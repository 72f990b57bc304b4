"""Which items the lists are made of: how much of the catalogue they reach, and how popular it is."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from rec_export.analysis import HEADS, SHARES, ListShapes
from rec_export.report.drawing import MUTED, bare, clipped, colour, dashes, figure, whole_numbers
from rec_export.report.found import Found, Night
from rec_export.report.page import Cell, Figure, Note, Section, Table, count, number, text, together
from rec_export.run_lists import SAMPLE, Run, read, step_for
from rec_export.run_manifest import SOURCES
from rec_export.words import listed

GROUPS = tuple(
    f"{low:.0%} to {high:.0%}" if low else f"top {high:.0%}" for low, high in zip((0, *HEADS[:-1]), HEADS, strict=True)
)
Floats = tuple[float, ...]


def section(found: Found) -> Section | None:
    """From evaluations, and from published lists."""
    judged = {
        label: ListShapes.read(file)
        for label, path in found.each("evaluation")
        if (file := Path(path) / "lists.json").is_file()
    }
    nights = found.nights()
    if not judged and not nights:
        return None
    blocks: list[Figure | Table | Note] = []
    lines: list[str] = []
    for label, shapes in judged.items():
        blocks += [reach(label, shapes), heads(label, shapes), ranks(label, shapes)]
        model = shapes.listers["model"]
        lines.append(
            f"The first {model.k} places of {label} reach {model.coverage:.1%} of {shapes.items:,} items;"
            f" {model.heads[0]:.1%} of these places hold the most popular 1% of the items, which got"
            f" {shapes.liked[0]:.1%} of what users liked next."
        )
    if judged:
        blocks.append(table(judged))
    if nights:
        drawn = {f"{label}, {night.date}": values for label, night in nights if (values := by_rank(night.folder))}
        blocks += [published(nights)] if any(night.manifest() for _, night in nights) else []
        blocks += [scores(drawn)] if drawn else []
        lines = lines or [published_line(*one) for one in nights]
    return Section("lists", "Lists", together(lines), blocks)


def called(label: str, lister: str) -> str:
    """The name of a lister."""
    return label if lister == "model" else lister


def reach(label: str, shapes: ListShapes) -> Figure:
    """How much of all places the most listed items fill."""

    def draw(axes: Axes) -> None:
        for place, (name, shape) in enumerate(shapes.listers.items()):
            axes.plot(SHARES, shape.reach, color=colour(place), linestyle=dashes(place), label=called(label, name))
        axes.set(
            xscale="log",
            xlabel="share of the catalogue, the most listed first",
            ylabel="share of all places",
            ylim=(0, 1.03),
        )
        axes.set_xticks((0.001, 0.01, 0.1, 1), ("0.1%", "1%", "10%", "100%"))
        axes.legend()

    place = SHARES.index(0.01)
    told = ", ".join(f"{called(label, name)} {shape.reach[place]:.0%}" for name, shape in shapes.listers.items())
    k = shapes.listers["model"].k
    return figure(
        draw,
        f"Coverage: how much of the first {k} places the most listed items fill",
        f"The most listed 1% of items fill: {told}.",
    )


def heads(label: str, shapes: ListShapes) -> Figure:
    """How the places fall on popular and rare items, beside what users liked next."""
    rows: dict[str, Floats] = {called(label, name): shape.heads for name, shape in shapes.listers.items()}
    rows["liked next"] = shapes.liked

    def draw(axes: Axes) -> None:
        with bare(axes):
            for place, share in enumerate(rows.values()):
                left = 0.0
                for group, wide in enumerate(share):
                    axes.barh(
                        place,
                        wide,
                        0.62,
                        left,
                        color=colour(group),
                        alpha=0.85,
                        label=GROUPS[group] if place == 0 else None,
                    )
                    left += wide
            axes.set_yticks(range(len(rows)), [clipped(name, 16) for name in rows])
            axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="share of places")
            axes.legend(
                loc="lower center",
                bbox_to_anchor=(0.5, 1.0),
                ncols=4,
                columnspacing=0.8,
                handlelength=0.8,
                handletextpad=0.4,
            )

    told = "; ".join(f"{name} {', '.join(f'{s:.0%}' for s in share)}" for name, share in rows.items())
    caption = "Popularity: the share of places of each group of items, by how often they were liked"
    return figure(draw, caption, f"Shares of {', '.join(GROUPS)} of items: {told}.", (4.4, 1.3 + 0.36 * len(rows)))


def ranks(label: str, shapes: ListShapes) -> Figure:
    """How popular the items at each rank are."""

    def draw(axes: Axes) -> None:
        for place, (name, shape) in enumerate(shapes.listers.items()):
            axes.plot(
                range(1, len(shape.rank_popularity) + 1),
                shape.rank_popularity,
                color=colour(place),
                linestyle=dashes(place),
                marker="osD^v"[place % 5],
                markersize=4,
                label=called(label, name),
            )
        whole_numbers(axes)
        axes.set(xlabel="rank", ylabel="share of items less popular", ylim=(0, 1.03))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    told = "; ".join(
        f"{called(label, n)} {s.rank_popularity[0]:.2f} to {s.rank_popularity[-1]:.2f}"
        for n, s in shapes.listers.items()
    )
    return figure(draw, "Mean popularity of the items at each rank", f"From the first to the last rank: {told}.")


def table(judged: dict[str, ListShapes]) -> Table:
    """The same in figures."""
    rows = [
        (
            text(label),
            text(called(label, name)),
            count(s.k),
            number(s.coverage, ".4f"),
            *(number(h, ".3f") for h in s.heads),
            *(number(s.reach[SHARES.index(at)], ".3f") for at in (0.01, 0.1)),
        )
        for label, shapes in judged.items()
        for name, s in shapes.listers.items()
    ]
    rows += [
        (
            text(label),
            text("liked next"),
            Cell(""),
            Cell(""),
            *(number(h, ".3f") for h in shapes.liked),
            Cell(""),
            Cell(""),
        )
        for label, shapes in judged.items()
    ]
    head = ("evaluation", "lists of", "k", "coverage", *GROUPS, "listed most: 1%", "10%")
    caption = "Shares of all places that groups of items fill, by popularity and then by how often they are listed"
    return Table(caption, head, rows)


def published(nights: list[tuple[str, Night]]) -> Table:
    """The counts of published runs."""
    rows = []
    for label, night in nights:
        run = night.manifest()
        if run is None:
            continue
        lists = max(sum(run.users.values()), 1)
        cells = [count(n) for n in (lists, *run.users.values(), run.rows, run.short_lists, run.empty_lists)]
        audit = run.audit
        told = (audit.items / max(run.items, 1), audit.first_item) if audit else (None, None)
        rows.append(
            (text(label), text(night.date), text(run.run_id), *cells, *(number(share, ".4f") for share in told))
        )
    head = (
        "model",
        "date",
        "run",
        "users",
        *SOURCES,
        "rows",
        "short lists",
        "empty lists",
        "coverage",
        "begin with one item",
    )
    return Table("Published lists" if all(night.refused is None for _, night in nights) else "Lists", head, rows)


def published_line(label: str, night: Night) -> str:
    """The headline where there is nothing but published lists."""
    run = night.manifest()
    if run is None or run.audit is None:
        return f"{label}: lists of {night.date} are {night.kind}, without a manifest that tells how they were made."
    got, short = "got" if night.refused is None else "would have got", run.short_lists - run.empty_lists
    few = [f"{short:,} shorter ones"] * (short > 0) + [f"{run.empty_lists:,} nothing"] * (run.empty_lists > 0)
    return (
        f"{label}: {sum(run.users.values()) - run.short_lists:,} users {got} lists of {run.k} on"
        f" {night.date}{f' ({listed(few)})' if few else ''}, from {run.audit.items:,} of {run.items:,} items."
    )


def scores(lines: dict[str, tuple[Floats, Floats, Floats]]) -> Figure:
    """Scores by rank: their quantiles over users."""

    def draw(axes: Axes) -> None:
        for place, (name, values) in enumerate(lines.items()):
            x = range(1, len(values[0]) + 1)
            axes.fill_between(x, values[0], values[2], color=colour(place), alpha=0.15, linewidth=0)
            axes.plot(x, values[1], color=colour(place), linestyle=dashes(place), label=name)
        axes.axhline(0, color=MUTED, linewidth=0.6)
        whole_numbers(axes)
        axes.set(xlabel="rank", ylabel="score")
        axes.legend()

    told = "; ".join(f"{name} {v[1][0]:.3g} at rank 1, {v[1][-1]:.3g} at rank {len(v[1])}" for name, v in lines.items())
    return figure(
        draw,
        "Scores by rank, as far as half of the lists reach: median, and 10% to 90% of users (where there are many, of"
        f" about {SAMPLE:,})",
        f"Medians: {told}.",
    )


def by_rank(folder: Path) -> tuple[Floats, Floats, Floats] | None:
    """The 10%, 50% and 90% quantiles of scores at each rank that half of the lists have; all parts are verified.

    None where there is no row.
    """
    run = Run.at(folder)
    table = read(run, step_for(run.users()), ["user_id", "rank", "score"])
    rank, score = table["rank"].to_numpy(), table["score"].to_numpy()
    count = np.bincount(rank)[1:]
    found = [np.quantile(score[rank == one], (0.1, 0.5, 0.9)) for one in np.flatnonzero(2 * count >= count[:1]) + 1]
    if not found:
        return None
    low, middle, high = zip(*(map(float, one) for one in found), strict=True)
    return low, middle, high
