"""What a gate does: the share of each component by length of history, and whether it has collapsed."""

import math
from typing import NamedTuple

from matplotlib.axes import Axes

from rec_export.report.drawing import MUTED, colour, dashes, figure
from rec_export.report.found import Found
from rec_export.report.page import Cell, Figure, Section, Table, number, text, together
from rec_export.report.sections.training import history
from rec_export.report.views import Epoch

IDLE = 0.02  # a mean share below it is as good as none
ALIKE = 0.02  # a spread below it means that the gate gives everybody the same
EVEN = 0.995  # of log(components), from which on shares are all but equal


class Judged(NamedTuple):
    """What shares say of a gate."""

    words: str
    tone: str


def section(found: Found) -> Section | None:
    """One gate a checkpoint."""
    gates = {}
    for label, path in found.each("checkpoint"):
        epochs = history(path)
        if epochs and epochs[-1].gate:
            gates[label] = final(epochs)
    if not gates:
        return None
    lines = []
    for label, one in gates.items():
        shares = ", ".join(f"{name} {share:.2f}" for name, share in one.gate["all"].items())
        lines.append(f"The gate of {label}{of_seed(one)} {judged(one, 'all').words}: mean shares {shares}.")
    blocks: list[Figure | Table] = [drawn(label, epoch) for label, epoch in gates.items()]
    return Section("gate", "Gate", together(lines), [*blocks, table(gates)])


def final(epochs: list[Epoch]) -> Epoch:
    """The epoch whose weights are kept, or the nearest to it: the last one of the last phase.

    The gate of a second model, which looks at no time, weighs other components.
    """
    return next(epoch for epoch in reversed(epochs) if not epoch.phase.endswith("without time"))


def of_seed(epoch: Epoch) -> str:
    """Which of several models it is that is told of, the last."""
    number = epoch.phase.removeprefix("refit ")
    return f", of its {number} models the last," if number.isdigit() else ""


def judged(epoch: Epoch, kind: str) -> Judged:
    """Whether a gate has collapsed, to one component or to equal shares for everybody."""
    shares, spread, entropy = epoch.gate[kind], epoch.gate_spread.get(kind, {}), epoch.gate_entropy.get(kind)
    idle = [name for name, share in shares.items() if share < IDLE]
    if idle:
        return Judged(f"has collapsed: {' and '.join(idle)} {'is' if len(idle) == 1 else 'are'} hardly used", "bad")
    if not spread or entropy is None:
        return Judged("uses all components", "")
    most = max(spread.values())
    if most < ALIKE and entropy > EVEN * math.log(len(shares)):
        return Judged("has collapsed to equal shares for everybody", "bad")
    if most < ALIKE:
        return Judged("gives everybody nearly the same shares", "warn")
    return Judged("tells users apart", "good")


def drawn(label: str, epoch: Epoch) -> Figure:
    """Shares by length of history, with their spread over users."""
    kinds = [kind for kind in epoch.gate if kind != "all"]
    names = list(epoch.gate["all"])

    def draw(axes: Axes) -> None:
        for place, name in enumerate(names):
            mean = [epoch.gate[kind][name] for kind in kinds]
            spread = [epoch.gate_spread.get(kind, {}).get(name, 0.0) for kind in kinds]
            x = [at + 0.06 * (place - (len(names) - 1) / 2) for at in range(len(kinds))]
            axes.errorbar(
                x,
                mean,
                spread,
                color=colour(place),
                linestyle=dashes(place),
                marker="osD^v"[place % 5],
                markersize=5,
                elinewidth=1,
                label=name,
            )
        axes.axhline(1 / len(names), color=MUTED, linewidth=1, linestyle=":")
        axes.set_xticks(range(len(kinds)), kinds)
        axes.set(xlabel="items of history", ylabel="share", ylim=(0, None))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names), columnspacing=1, handlelength=1.6)

    told = "; ".join(f"{kind}: " + ", ".join(f"{n} {epoch.gate[kind][n]:.2f}" for n in names) for kind in kinds)
    return figure(
        draw,
        f"{label}: mean shares by length of history; strokes are one standard deviation of users",
        f"Shares by length of history. {told}.",
    )


def table(gates: dict[str, Epoch]) -> Table:
    """Mean, spread and entropy of each kind of user."""
    rows = []
    for label, epoch in gates.items():
        limit = math.log(len(epoch.gate["all"]))
        for kind, shares in epoch.gate.items():
            entropy, verdict = epoch.gate_entropy.get(kind), judged(epoch, kind)
            told = Cell("" if entropy is None else f"{entropy:.3f} of {limit:.3f}", entropy)
            for name, share in shares.items():
                cells = (number(share, ".3f"), number(epoch.gate_spread.get(kind, {}).get(name), ".3f"), told)
                rows.append((text(label), text(kind), text(name), *cells, Cell(verdict.words, tone=verdict.tone)))
    head = (
        "model",
        "history",
        "component",
        "mean share",
        "spread over users",
        "entropy of log(components)",
        "the gate",
    )
    return Table("Collapse indicator: shares of the last epoch, on the users that were learned from", head, rows)
