"""How a search for settings went, trial by trial, where one was made."""

import numpy as np
from matplotlib.axes import Axes

from rec_export.metrics import LOWER_IS_BETTER, gain
from rec_export.report.drawing import MUTED, colour, figure, whole_numbers
from rec_export.report.found import SEARCH, Found
from rec_export.report.page import Figure, Section, Table, count, number, text, together
from rec_export.report.views import Search, SearchTrial
from rec_export.words import counted

ENDED = {
    "complete": "as it should", "pruned": "early, as it lagged behind", "failed": "by an error",
    "cut off": "as its process was stopped",
}  # fmt: skip


def section(found: Found) -> Section | None:
    """One figure and one table for each search."""
    searches = {label: Search.read(path / SEARCH) for label, path in found.searches.items()}
    if not searches:
        return None
    lines = [f"{label}: {headline(one)}" if len(searches) > 1 else headline(one) for label, one in searches.items()]
    blocks: list[Figure | Table] = []
    for label, one in searches.items():
        blocks += [*([drawn(label, one)] if complete(one) else []), table(label, one)]
    return Section("search", "Search", together(lines), [*blocks])


def complete(one: Search) -> list[SearchTrial]:
    """The trials that were not stopped, the best first."""
    done = [trial for trial in one.trials if trial.state == "complete" and trial.value is not None]
    return sorted(done, key=lambda trial: -gain(one.metric, trial.value or 0.0))


def headline(one: Search) -> str:
    """The best trial beside the configuration as it was."""
    done = complete(one)
    if not done:
        return f"No trial has ended as it should, of {counted(len(one.trials), 'trial')}."
    best, first = done[0], next((trial for trial in done if not trial.changes), None)
    ended = sum(trial.state != "cut off" for trial in one.trials)
    judged = f"Over {counted(ended, 'trial')} {one.metric} on the validation rows"
    if not best.changes:
        return f"{judged} was best with the configuration as it is: {best.value:.4f}."
    moved = "fell" if one.metric in LOWER_IS_BETTER else "rose"
    way = "came" if first is None else f"{moved} from {first.value:.4f}"
    return (
        f"{judged} {way} to {best.value:.4f}, by {', '.join(best.changes)}; the best of many flatters itself, as these"
        " rows chose it."
    )


def drawn(label: str, one: Search) -> Figure:
    """The metric by trial, and the best so far."""
    done = sorted(complete(one), key=lambda trial: trial.number)
    stopped = [trial for trial in one.trials if trial.state != "complete" and trial.value is not None]
    places, values = [trial.number for trial in done], [trial.value or 0.0 for trial in done]
    best = (np.minimum if one.metric in LOWER_IS_BETTER else np.maximum).accumulate(values)

    def draw(axes: Axes) -> None:
        axes.step(places, best, where="post", color=colour(0))
        axes.plot(places, values, "o", color=colour(0), markersize=4)
        axes.plot([t.number for t in stopped], [t.value or 0.0 for t in stopped], "x", color=MUTED, markersize=4)
        whole_numbers(axes)
        axes.set(xlabel="trial", ylabel=one.metric)

    told = f"{one.metric} of {counted(len(done), 'trial')}: {values[0]:.4f} first, {best[-1]:.4f} at best"
    early = f"; {len(stopped)} more ended early" if stopped else ""
    return figure(draw, f"Search: {label}; line: the best so far; crosses: ended early", f"{told}{early}.")


def table(label: str, one: Search) -> Table:
    """All trials, the best first and those that were stopped last."""
    done = complete(one)
    rows = [
        (
            count(trial.number),
            number(trial.value, ".4f"),
            text(", ".join(trial.changes) or "the configuration as it is"),
            count(trial.epochs),
            text(ENDED.get(trial.state, trial.state)),
        )
        for trial in [*done, *(trial for trial in one.trials if trial not in done)]
    ]
    return Table(f"{label}: trials", ("trial", one.metric, "changes", "epochs", "ended"), rows)
