"""How good the lists are, with intervals, beside what a model must beat; for whom they are good; predicted values."""

from matplotlib.axes import Axes

from rec_export.metrics import LOWER_IS_BETTER, NAMES, RATING_NAMES, Estimate
from rec_export.remark import MUST_BEAT
from rec_export.report.drawing import bare, clipped, colour, figure
from rec_export.report.found import EVALUATION, Found
from rec_export.report.page import MOST_TOLD, Cell, Figure, Note, Section, Table, count, estimate, number, short, text
from rec_export.report.sections.validated import validated
from rec_export.report.views import Evaluation, Served
from rec_export.words import listed, model_called

RIVALS = ("habit", "recent", "popular")  # what a model must beat
VALUE_RIVALS = {"biases": "the biases of users and items", "constant": "the mean of all values"}
LENGTHS = ("<=3", "4-10", "11-30", ">30")
SEGMENTS = ("warm", "cold", *LENGTHS)
MARKS = "osD^v"


def section(found: Found) -> Section | None:
    """From evaluations on held-out rows; without any from what training saw on its validation rows."""
    evaluations = {label: Evaluation.read(path / EVALUATION) for label, path in found.each("evaluation")}
    if not evaluations:
        return validated(found)
    label, first = next(iter(evaluations.items()))
    metric = metric_of(first)
    tests: dict[tuple[object, ...], dict[str, Evaluation]] = {}
    known = all(one.targets for one in evaluations.values())  # which earlier versions did not say
    for name, one in evaluations.items():
        tests.setdefault(one.judged_by(known), {})[name] = one
    blocks: list[Figure | Table | Note] = [listers(some, len(evaluations) > 1) for some in tests.values()]
    blocks += [Note(f"{name}: {warning}.") for name, one in evaluations.items() for warning in one.warnings]
    rivals = {name: one.against for name, one in evaluations.items() if one.against is not None}
    blocks += [
        Note(f"{name} was held against {other}, which the tables call against.") for name, other in rivals.items()
    ]
    kept = [name for name, one in evaluations.items() if one.seen == "keep"]
    if kept:
        blocks.append(Note(f"{listed(kept)}: what users had met is held out as well, and may stand in lists."))
    for name, one in evaluations.items():
        blocks.append(by_segment(one, metric_of(one), f"{name}: " if len(evaluations) > 1 else ""))
    blocks += [everything(evaluations), segments(evaluations), paired(evaluations)]
    if any(one.ratings for one in evaluations.values()):
        blocks.append(ratings(evaluations))
    line = headline(label, first, metric)
    if len(evaluations) > 1:  # with the best of them first
        evaluations = dict(sorted(evaluations.items(), key=lambda pair: mean_of(pair[1]), reverse=True))
        line = " ".join(headline(label, one, metric_of(one)) for label, one in [*evaluations.items()][:MOST_TOLD])
        means = (f"{name} has {short(mean_of(one))}" for name, one in evaluations.items())
        paired_here = any("against" in one.paired for one in evaluations.values())
        how = "a table below pairs two by user" if paired_here else "evaluate --against pairs two by user"
        how = how if len(tests) == 1 else "they were judged on different rows: do not compare"
        line = f"{line} Of {metric}, {', '.join(means)}; {how}."
    return Section("quality", "Quality", line, blocks)


def metric_of(one: Evaluation) -> str:
    """The metric that headlines tell."""
    return f"ndcg@{10 if 10 in one.k else one.k[0]}"


def mean_of(one: Evaluation) -> float:
    """The model's metric over all users."""
    return one.results["model"]["all"].metrics[metric_of(one)].mean


def headline(label: str, one: Evaluation, metric: str) -> str:
    """By how much the model beats the best of what it must beat."""
    best = rival(one, metric)
    told = ""
    if best is not None:
        told = f"{label} {against(one.paired[best]['all'][metric], MUST_BEAT[best], metric)}"
    if one.ratings is not None and one.ratings.segments["all"].rows:
        rows = one.ratings.segments["all"]
        least = min(VALUE_RIVALS, key=lambda name: rows.metrics[name]["rmse"].mean)
        how = against(rows.paired[least]["rmse"], VALUE_RIVALS[least], "rmse")
        told = f"As a predictor of values {label} {how} " + told.replace(label, "As a ranker it", 1)
    return told or f"{label} was judged on {one.test_rows:,} held-out rows."


def rival(one: Evaluation, metric: str) -> str | None:
    """The best of what the model must beat."""
    there = [name for name in RIVALS if name in one.results and "all" in one.paired.get(name, {})]
    return max(there, key=lambda name: one.results[name]["all"].metrics[metric].mean, default=None)


def against(gap: Estimate, other: str, metric: str) -> str:
    """What a paired difference says: beats, loses to, or cannot be told apart."""
    interval = f"[{short(gap.low)}, {short(gap.high)}]"
    if gap.low <= 0 <= gap.high:
        return f"cannot be told from {other}: {metric} differs by {short(gap.mean)} {interval}."
    better = (gap.mean > 0) != (metric in LOWER_IS_BETTER)
    size = f"{short(abs(gap.mean))} {interval if gap.mean > 0 else f'[{short(-gap.high)}, {short(-gap.low)}]'}"
    return f"{'beats' if better else 'LOSES to'} {other} by {size} {metric}."


def called(one: Evaluation, lister: str) -> str:
    """The name of a lister in a table."""
    return model_called(one.model) if lister == "model" else lister


def listers(evaluations: dict[str, Evaluation], several: bool) -> Figure:
    """A dot and an interval for each model that was judged on the same rows, and for what they must beat."""
    label, first = next(iter(evaluations.items()))
    metric = metric_of(first)
    values = {
        name if several else model_called(one.model): one.results["model"]["all"].metrics[metric]
        for name, one in evaluations.items()
    }
    mine = list(values)
    values |= {name: served["all"].metrics[metric] for name, served in first.results.items() if name != "model"}

    def draw(axes: Axes) -> None:
        with bare(axes):
            for place, (name, value) in enumerate(values.items()):
                dot(axes, value, place, 0 if name in mine else 6)
            axes.set_yticks(range(len(values)), [clipped(name) for name in values])
            axes.set(xlabel=f"{metric}, all users", xlim=(0, None), ylim=(len(values) - 0.5, -0.5))

    means = ", ".join(f"{name} {short(value.mean)}" for name, value in values.items())
    caption = f"{metric} with 95% intervals" + (f"; beside the lists that {label} was judged beside" if several else "")
    return figure(draw, caption, f"Dots with intervals: {means}.", (4.4, 0.9 + 0.36 * len(values)))


def dot(axes: Axes, value: Estimate, place: float, series: int) -> None:
    """A mean and its interval, along x."""
    axes.plot((value.low, value.high), (place, place), color=colour(series), linewidth=2.4)
    axes.plot(value.mean, place, marker=MARKS[series % len(MARKS)], markersize=6, color=colour(series))


def by_segment(one: Evaluation, metric: str, prefix: str) -> Figure:
    """The model beside its best rival, for warm and cold users and by length of history."""
    best = rival(one, metric)
    shown = [name for name in ("model", best) if name]
    kinds = [kind for kind in SEGMENTS if (served := one.results["model"].get(kind)) and served.users]

    def draw(axes: Axes) -> None:
        with bare(axes):
            for series, name in enumerate(shown):
                for place, kind in enumerate(kinds):
                    value = one.results[name][kind].metrics[metric]
                    dot(axes, value, place + 0.3 * (series - 0.5), series)
                axes.plot([], [], color=colour(series), marker=MARKS[series], label=called(one, name))
            axes.set_yticks(range(len(kinds)), [f"{kind} ({one.results['model'][kind].users:,})" for kind in kinds])
            axes.set(xlabel=metric, xlim=(0, None), ylim=(len(kinds) - 0.5, -0.5))
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    told = "; ".join(
        f"{kind} users {' and '.join(short(one.results[n][kind].metrics[metric].mean) for n in shown)}"
        for kind in kinds
    )
    alt = f"{metric} of {' and '.join(called(one, n) for n in shown)}: {told}."
    caption = f"{prefix}{metric} of warm and cold users, and of warm ones by how many items they had liked (users)"
    return figure(draw, caption, alt, (4.4, 1.3 + 0.36 * len(kinds)))


def everything(evaluations: dict[str, Evaluation]) -> Table:
    """All metrics at every k, of all users."""
    rows = [
        (text(label), text(called(one, lister)), count(k), *row(served["all"], k))
        for label, one in evaluations.items()
        for lister, served in one.results.items()
        for k in one.k
    ]
    head = ("evaluation", "lists of", "k", *NAMES, "coverage")
    tests = (
        f"{one.test_rows:,} held-out rows{'' if one.test is None else f' of {one.test}'},"
        f" {one.results['model']['all'].users:,} users, {one.items:,} items"
        for one in evaluations.values()
    )
    test = " and ".join(dict.fromkeys(tests))
    return Table(f"All users, full ranking, mean [95% interval over users]: {test}", head, rows)


def row(served: Served, k: int) -> tuple[Cell, ...]:
    """The metrics of one lister at one k."""
    return (
        *(estimate(served.metrics[f"{name}@{k}"]) for name in NAMES),
        number(served.coverage.get(f"coverage@{k}"), ".4f"),
    )


def segments(evaluations: dict[str, Evaluation]) -> Table:
    """One metric of users of each kind, a column for each lister."""
    names = list(dict.fromkeys(name for one in evaluations.values() for name in one.results))
    rows = []
    for label, one in evaluations.items():
        for kind in SEGMENTS:
            there = {
                name: served[kind] for name, served in one.results.items() if kind in served and served[kind].users
            }
            if there:
                cells = [estimate(there[name].metrics[metric_of(one)]) if name in there else Cell("") for name in names]
                rows.append((text(label), text(kind), count(next(iter(there.values())).users), *cells))
    caption = (
        f"{metric_of(next(iter(evaluations.values())))} by kind of user; lengths are items that a warm user had liked"
    )
    return Table(caption, ("evaluation", "users who are", "users", *names), rows)


def paired(evaluations: dict[str, Evaluation]) -> Table:
    """By how much the model is better for the same users."""
    rows = []
    for label, one in evaluations.items():
        metric = metric_of(one)
        for other, kinds in one.paired.items():
            for kind, gaps in kinds.items():
                if metric in gaps:
                    rows.append(
                        (
                            text(label),
                            text(other),
                            text(kind),
                            estimate(gaps[metric], "+.4f"),
                            said(gaps[metric], metric),
                        )
                    )
    return Table(
        "The model's metric minus that of another, for the same users (paired)",
        ("evaluation", "minus", "users", "difference", "so it is"),
        rows,
    )


def said(gap: Estimate, metric: str) -> Cell:
    """What a difference says."""
    if gap.low <= 0 <= gap.high:
        return Cell("not told apart")
    better = (gap.mean > 0) != (metric in LOWER_IS_BETTER)
    return Cell("better", tone="good") if better else Cell("worse", tone="bad")


def ratings(evaluations: dict[str, Evaluation]) -> Table:
    """RMSE, MAE and R2 beside the mean and the biases."""
    rows = []
    for label, one in evaluations.items():
        for kind, rated in one.ratings.segments.items() if one.ratings else ():
            for who, metrics in rated.metrics.items():
                gap = rated.paired.get(who, {}).get("rmse")
                cells = (estimate(gap, "+.4f"), said(gap, "rmse")) if gap else (Cell(""), Cell(""))
                rows.append(
                    (
                        text(label),
                        text(kind),
                        count(rated.rows),
                        text(called(one, who)),
                        *(estimate(metrics[m]) for m in RATING_NAMES),
                        *cells,
                    )
                )
    head = (
        "evaluation",
        "rows",
        "how many",
        "predicted by",
        *RATING_NAMES,
        "rmse of the model minus it",
        "so the model is",
    )
    return Table("Predicted values, mean [95% interval over users]", head, rows)
