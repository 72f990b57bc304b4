"""What each part of a model is worth, where an ablation was made."""

from matplotlib.axes import Axes

from rec_export.report.drawing import MUTED, bare, clipped, figure
from rec_export.report.found import ABLATION, Found
from rec_export.report.page import Cell, Figure, Section, Table, estimate, text, together
from rec_export.report.sections.quality import dot, said
from rec_export.report.views import Ablation
from rec_export.words import counted, listed

SHOWN = 3  # variants that the headline names


def section(found: Found) -> Section | None:
    """One figure and one table for each ablation."""
    trials = {label: Ablation.read(path / ABLATION) for label, path in found.ablations.items()}
    if not trials:
        return None
    blocks: list[Figure | Table] = []
    for label, one in trials.items():
        blocks += [*([bars(label, one)] if len(one.variants) > 1 else []), table(label, one)]
    lines = [f"{label}: {headline(one)}" if len(trials) > 1 else headline(one) for label, one in trials.items()]
    return Section("ablation", "Ablation", together(lines), [*blocks])


def headline(one: Ablation) -> str:
    """The variants that differ from the base, and how many cannot be told from it."""
    metric = f"ndcg@{one.k}"
    gaps = {name: v.difference[metric] for name, v in one.variants.items() if v.difference}
    if not gaps:
        base = next(iter(one.variants.values()))
        found = base.metrics[metric]
        return (
            f"Over {counted(len(base.seeds), 'seed')} {metric} is {found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]."
        )
    order = sorted(gaps, key=lambda name: gaps[name].mean)
    told = {name: f"{name} {gaps[name].mean:+.4f} [{gaps[name].low:+.4f}, {gaps[name].high:+.4f}]" for name in order}
    sure = [name for name in order if not gaps[name].low <= 0 <= gaps[name].high and not torn(one, name, metric)]
    unsure = len(gaps) - len(sure)
    if not sure:
        them = f"{told[order[0]]}, which" if len(gaps) == 1 else f"{len(gaps)} variants, none of which"
        cannot = "cannot" if len(gaps) == 1 else "can"
        return f"{metric} minus that of the base: {them} {cannot} be told from it, or not in each seed."
    few = sure if len(sure) <= SHOWN else [sure[0], sure[-1]]
    line = f"{metric} minus that of the base: {listed([told[name] for name in few])}"
    line += f", the least and the most of {len(sure)}" if len(few) < len(sure) else ""
    return f"{line}; {unsure} cannot be told from it, or not in each seed." if unsure else f"{line}."


def in_each_seed(one: Ablation, name: str, metric: str) -> list[float]:
    """A variant's difference to the base, seed by seed."""
    base = next(iter(one.variants.values()))
    return [found[metric] - base.seeds[seed][metric] for seed, found in one.variants[name].seeds.items()]


def torn(one: Ablation, name: str, metric: str) -> bool:
    """Whether seeds disagree about a variant, which a page of an older version has in no interval."""
    each = in_each_seed(one, name, metric)
    return min(each) <= 0 <= max(each)


def bars(label: str, one: Ablation) -> Figure:
    """The difference of each variant to the base."""
    metric = f"ndcg@{one.k}"
    gaps = {name: v.difference[metric] for name, v in one.variants.items() if v.difference}

    def draw(axes: Axes) -> None:
        with bare(axes):
            axes.axvline(0, color=MUTED, linewidth=1)
            for place, (name, gap) in enumerate(gaps.items()):
                each = in_each_seed(one, name, metric)
                axes.plot(each, [place] * len(each), linestyle="", marker="|", markersize=9, color=MUTED)
                dot(axes, gap, place, 0)
            axes.set_yticks(range(len(gaps)), [clipped(name) for name in gaps])
            axes.set(xlabel=f"{metric} minus that of the base", ylim=(len(gaps) - 0.5, -0.5))

    told = "; ".join(f"{name} {gap.mean:+.4f} from {gap.low:+.4f} to {gap.high:+.4f}" for name, gap in gaps.items())
    caption = f"{label}: differences to the base with 95% intervals; strokes are single seeds"
    return figure(draw, caption, f"Differences to the base: {told}.", (4.4, 1.0 + 0.36 * len(gaps)))


def table(label: str, one: Ablation) -> Table:
    """Metrics and differences."""
    metric = f"ndcg@{one.k}"
    rows = []
    for name, v in one.variants.items():
        told = (Cell(""), Cell("the base"))
        if v.difference:
            gap = v.difference[metric]
            how = said(gap, metric)
            told = estimate(gap, "+.4f"), Cell("not in each seed") if how.tone and torn(one, name, metric) else how
        rows.append((text(name), text(", ".join(v.changes)), estimate(v.metrics[metric]), *told))
    seeds = len(next(iter(one.variants.values())).seeds)
    return Table(
        f"{label}: {counted(one.users, 'user')}, {counted(seeds, 'seed')}",
        ("variant", "changes", metric, "minus the base", "so it is"),
        rows,
    )
