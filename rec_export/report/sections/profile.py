"""The log: how much, how dense, how long its tails, how active over time, and what was left out of it."""

import numpy as np
from matplotlib.axes import Axes

from rec_export.data.profile import BUSIEST, Bars, Profile, Tail, day_of
from rec_export.report.drawing import MUTED, colour, dashes, figure, logarithmic
from rec_export.report.found import Found
from rec_export.report.page import Cell, Figure, Section, Table, count, number, text
from rec_export.words import listed

EVEN = 0.2  # the busiest share that a headline tells of


def section(found: Found) -> Section | None:
    """One log for each different profile."""
    alike: dict[str, tuple[Profile, list[str]]] = {}
    for label, checkpoint in found.each("checkpoint"):
        path = checkpoint / "profile.json"
        if path.is_file():
            profile = Profile.read(path)
            alike.setdefault(profile.as_json(), (profile, []))[1].append(label)
    profiles = {listed(labels): profile for profile, labels in alike.values()}
    if not profiles:
        return None
    first = next(iter(profiles.values()))
    share = first.items.share[BUSIEST.index(EVEN)]
    headline = (
        f"{first.rows:,} rows of {first.users.count:,} users and {first.items.count:,} items"
        f" ({first.density:.3%} of all pairs); the busiest {EVEN:.0%} of the items hold {share:.0%} of the rows."
    )
    logs: dict[str, tuple[str, Profile]] = {}  # models that differ in what was held out share the figures of their log
    for label, profile in profiles.items():
        log = profile.model_copy(update={"parts": {}, "repeats": 0, "below_minimum": 0, "unliked": None})
        logs.setdefault(log.as_json(), (label, profile))
    blocks: list[Figure | Table] = [facts(profiles), left_out(profiles)]
    for label, profile in logs.values():
        blocks += figures(profile, f"{label}: " if len(logs) > 1 else "")
    return Section("data", "Data", headline, [*blocks])


def facts(profiles: dict[str, Profile]) -> Table:
    """The figures that a person asks first."""
    rows = []
    for label, one in profiles.items():
        told = (one.users.median, one.users.single, one.items.median, one.items.single)
        dates = f"{one.first} to {one.last}" if one.first else "no times"
        rows.append((text(label), count(one.rows), count(one.users.count), count(one.items.count),
                     Cell(f"{one.density:.4%}", one.density), Cell(f"{one.liked / one.rows:.1%}", one.liked / one.rows),
                     number(told[0]), count(told[1]), number(told[2]), count(told[3]), text(dates)))  # fmt: skip
    head = ("model", "rows", "users", "items", "density", "liked", "rows of a user (median)", "users with one row",
            "rows of an item (median)", "items with one row", "dates")  # fmt: skip
    return Table("The log as it was read", head, rows)


def left_out(profiles: dict[str, Profile]) -> Table:
    """What is not learned from, and why."""
    rows = []
    for label, one in profiles.items():
        reasons = {
            "no user or no item in the row": one.without_ids,
            **{f"row {what} (data.interactions.bad_rows)": n for what, n in one.broken.items()},
            "repeats of a user and an item (data.interactions.repeats)": one.repeats,
            "fewer rows than data.minimum asks of a user or item": one.below_minimum,
            "disliked rows of users or items without any liking, and in no table": one.unliked or 0,
            "held out for validation (learned from in the refit, if there was one)": one.parts.get("valid", 0),
            "held out for the test": one.parts.get("test", 0),
        }
        total = max(one.rows + one.without_ids + sum(one.broken.values()), 1)
        rows += [
            (text(label), text(why), count(n), Cell(f"{n / total:.2%}", n / total)) for why, n in reasons.items() if n
        ]
        if one.unliked == 0 and not any(reasons.values()):
            rows.append((text(label), text("nothing: every row was learned from"), count(0), Cell("0.00%", 0.0)))
        if one.undescribed:
            share = one.undescribed / max(one.items.count, 1)
            rows.append(
                (text(label), text("items of the log that the table of items lacks (learned from, in no list)"),
                 count(one.undescribed), Cell(f"{share:.2%} of items", share))
            )  # fmt: skip
    return Table("What was left out or held out, and why", ("model", "reason", "rows", "share"), rows)


def figures(profile: Profile, prefix: str) -> list[Figure | Table]:
    """Tails, activity and values."""
    drawn: list[Figure | Table] = [concentration(profile, prefix), tails(profile, prefix)]
    if profile.activity:
        drawn.append(activity(profile, prefix))
    if profile.values is not None:
        drawn.append(values(profile.values, prefix))
    return drawn


def concentration(profile: Profile, prefix: str) -> Figure:
    """How much of all rows the busiest users and items hold."""

    def draw(axes: Axes) -> None:
        shares = (0.0, *BUSIEST)
        for place, (name, tail) in enumerate((("items", profile.items), ("users", profile.users))):
            axes.plot(shares, (0.0, *tail.share), color=colour(place), linestyle=dashes(place), label=name)
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, label="if all were alike")
        axes.set(
            xlabel="share of items or users, the busiest first", ylabel="share of rows", xlim=(0, 1), ylim=(0, 1.02)
        )
        axes.legend(loc="lower right")

    tenth = BUSIEST.index(0.1)
    alt = (
        f"Two rising curves: the busiest 10% of items hold {profile.items.share[tenth]:.0%} of the rows,"
        f" the busiest 10% of users {profile.users.share[tenth]:.0%}."
    )
    return figure(draw, f"{prefix}How unevenly rows fall on items and users", alt)


def tails(profile: Profile, prefix: str) -> Figure:
    """How many users and items have so many rows."""

    def draw(axes: Axes) -> None:
        for place, (name, tail) in enumerate((("items", profile.items), ("users", profile.users))):
            held = [(least, held) for least, held in zip(tail.least, tail.held, strict=True) if held]
            axes.plot(
                *zip(*held, strict=True),
                color=colour(place),
                linestyle=dashes(place),
                marker="os"[place],
                markersize=4,
                label=name,
            )
        logarithmic(axes, "xy")
        axes.set(xlabel="rows of one, up to twice as many", ylabel="how many items or users")
        axes.legend()

    alt = f"Falling curves on logarithmic axes. {told('item', profile.items)} {told('user', profile.users)}"
    return figure(draw, f"{prefix}Long tails: items and users by their number of rows", alt)


def told(name: str, tail: Tail) -> str:
    """A tail in words."""
    return f"{tail.single:,} of {tail.count:,} {name}s have one row; the busiest has {tail.most:,}."


def activity(profile: Profile, prefix: str) -> Figure:
    """Rows over time."""
    assert profile.first is not None
    assert profile.period_days is not None
    days, first, counts = profile.period_days, profile.first, profile.activity

    def draw(axes: Axes) -> None:
        axes.bar(range(len(counts)), counts, width=0.85, color=colour(0))
        ticks = sorted({round(part * (len(counts) - 1)) for part in (0, 1 / 3, 2 / 3, 1)})
        axes.set_xticks(ticks, [day_of(first, tick * days) for tick in ticks])
        axes.set(ylabel=f"rows in {days} days" if days > 1 else "rows a day")

    peak = int(np.argmax(counts))
    alt = (
        f"Bars of rows in periods of {days} days from {first} to {profile.last};"
        f" the highest, {counts[peak]:,}, begins {day_of(first, peak * days)}."
    )
    return figure(draw, f"{prefix}Activity over time", alt)


def values(bars: Bars, prefix: str) -> Figure:
    """The values of rows: ratings, or plays."""
    few = len(bars.edges) == len(bars.counts)

    def draw(axes: Axes) -> None:
        if few:
            axes.bar(range(len(bars.counts)), bars.counts, width=0.85, color=colour(2))
            axes.set_xticks(range(len(bars.counts)), [f"{value:g}" for value in bars.edges])
            axes.tick_params(axis="x", labelrotation=90 if len(bars.counts) > 10 else 0)
        else:
            axes.stairs(bars.counts, bars.edges, fill=True, color=colour(2))
            if bars.edges[0] > 0 and bars.edges[-1] > 100 * bars.edges[0]:
                logarithmic(axes, "x")
        axes.set(xlabel="value", ylabel="rows")

    most = int(np.argmax(bars.counts))
    alt = (
        f"A histogram of values from {bars.edges[0]:g} to {bars.edges[-1]:g};"
        f" the fullest bar, {bars.counts[most]:,} of {sum(bars.counts):,} rows, is at {bars.edges[most]:g}."
    )
    return figure(draw, f"{prefix}The values of rows", alt)
