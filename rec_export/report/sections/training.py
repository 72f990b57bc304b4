"""How training went: the loss and the metric on held-out rows by epoch, and what came out."""

from pathlib import Path

from matplotlib.axes import Axes

from rec_export.report.drawing import MUTED, SIZE, colour, dashes, figure, whole_numbers
from rec_export.report.found import Found
from rec_export.report.page import Figure, Note, Section, Table, count, number, text, together
from rec_export.report.views import Epoch, Outcome, Spec
from rec_export.words import TOLD, counted, listed

WITHOUT_RATE = ("als", "popular")
WITHOUT_BATCHES = (*WITHOUT_RATE, "bpr")
OWN_LOSS = {"als": "squared errors of all pairs", "bpr": "pairs"}  # of trainers that heed no training.loss
SECOND = "a second model that looks at no time"
Histories = dict[str, list[Epoch]]


def section(found: Found) -> Section | None:
    """All checkpoints in one."""
    outcomes = {
        label: Outcome.read(p / "metrics.json")
        for label, p in found.each("checkpoint")
        if (p / "metrics.json").is_file()
    }
    if not outcomes:
        return None
    histories = {label: history(path) for label, path in found.each("checkpoint")}
    specs = {label: Spec.read(path / "spec.json") for label, path in found.each("checkpoint")}
    models = {label: str(spec.model["name"]) for label, spec in specs.items()}
    blocks: list[Figure | Table | Note] = [*curves(histories, outcomes, models), facts(outcomes, models)]
    lines = [learned(label, one, histories[label], specs[label]) for label, one in outcomes.items()]
    return Section("training", "Training", together(lines), blocks)


def learned(label: str, one: Outcome, epochs: list[Epoch], spec: Spec) -> str:
    """How much one learned from how much, how long, and how well."""
    metric = one.plan.metric
    line = f"{label} learned {counted(one.parameters, 'parameter')} from {one.rows:,} rows in {one.seconds:.0f} s"
    best = chosen(one, epochs)
    whole = None if best is None else one.held_out["model"].get(metric)
    line += f"; {metric} on the validation rows was best, {best:.4f}, in epoch {one.best_epoch}" if best else ""
    others = [*([SECOND] if spec.timeless else []), *(TOLD[one.get("tells", "together")] for one in spec.shallow)]
    return line + (f", and {whole:.4f} with {listed(others)}." if others and whole is not None else ".")


def chosen(one: Outcome, epochs: list[Epoch]) -> float | None:
    """The metric after the epoch that was chosen, before anything was added to the model."""
    metric = one.plan.metric
    return next((e.held_out[metric] for e in epochs if e.epoch == one.best_epoch and metric in e.held_out), None)


def history(checkpoint: Path) -> list[Epoch]:
    """All epochs, of the search and of refits, but for a last line that was never ended."""
    path = checkpoint / "history.jsonl"
    *lines, _ = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    return [Epoch.of(line, f"line {place} of {path}") for place, line in enumerate(lines, 1)]


def curves(histories: Histories, outcomes: dict[str, Outcome], models: dict[str, str]) -> list[Figure]:
    """The loss, and the metric where one was measured after each epoch; each kind of either in a figure of its own."""
    drawn = []
    kinds = {label: OWN_LOSS.get(models[label], one.plan.loss) for label, one in outcomes.items()}
    for loss in dict.fromkeys(kinds.values()):
        some = {label: histories[label] for label, kind in kinds.items() if kind == loss and models[label] != "popular"}
        if any(epoch.epoch > 1 for epochs in some.values() for epoch in epochs):
            drawn.append(losses(some, loss, several=len(outcomes) > 1))
    for metric in dict.fromkeys(one.plan.metric for one in outcomes.values()):
        some = {label: histories[label] for label, one in outcomes.items() if one.plan.metric == metric}
        if any(metric in epoch.held_out for epochs in some.values() for epoch in epochs):
            drawn.append(metrics(some, {label: outcomes[label] for label in some}, metric))
    return drawn


def losses(histories: Histories, loss: str, several: bool) -> Figure:
    """The mean loss by epoch, of each phase; `several`: the report is about more than one model."""
    lines = {
        f"{label}, {phase}" if several else phase: [e for e in epochs if e.phase == phase]
        for label, epochs in histories.items()
        for phase in dict.fromkeys(e.phase for e in epochs)
    }
    columns = 1 if several else 2  # names of models may be long

    def draw(axes: Axes) -> None:
        for place, (name, epochs) in enumerate(lines.items()):
            axes.plot(
                [e.epoch for e in epochs],
                [e.loss for e in epochs],
                color=colour(place),
                linestyle=dashes(place),
                marker="." if len(epochs) == 1 else None,
                label=name,
            )
        axes.set(xlabel="epoch", ylabel="mean loss")
        whole_numbers(axes)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)

    told = "; ".join(
        f"{name} from {e[0].loss:.4g} to {e[-1].loss:.4g} in {counted(len(e), 'epoch')}" for name, e in lines.items()
    )
    size = SIZE[0], SIZE[1] + 0.21 * (-(-len(lines) // columns))
    return figure(draw, f"Loss on the training rows ({loss})", f"Curves of the loss: {told}.", size)


def metrics(histories: Histories, outcomes: dict[str, Outcome], metric: str) -> Figure:
    """The metric that chose the epoch, and that of baselines, which are several where models had several logs."""
    baselines: dict[str, dict[float, int]] = {}  # by name and figure, the place of the first model beside it
    for place, outcome in enumerate(outcomes.values()):
        for name, beside in list(outcome.held_out.items())[1:]:
            if metric in beside:
                baselines.setdefault(name, {}).setdefault(beside[metric], place)

    def draw(axes: Axes) -> None:
        for place, (label, outcome) in enumerate(outcomes.items()):
            points = [(e.epoch, e.held_out[metric]) for e in histories[label] if metric in e.held_out]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=colour(place), linestyle=dashes(place), label=label)
            best = [value for epoch, value in points if epoch == outcome.best_epoch]  # none of a file that was cut off
            axes.plot(
                [outcome.best_epoch] * len(best), best, marker="o", markersize=7, color=colour(place), fillstyle="none"
            )
        for name, figures in baselines.items():
            for n, (value, place) in enumerate(figures.items()):
                named = name if len(figures) == 1 else f"{name}, of the same colour"
                axes.axhline(
                    value,
                    color=MUTED if len(figures) == 1 else colour(place),
                    linewidth=1,
                    linestyle=":" if name == "constant" else "--",
                    label="_" + named if n else named,  # what begins with _ is not in the legend
                )
        axes.set(xlabel="epoch", ylabel=metric)
        whole_numbers(axes)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))

    told = "; ".join(
        f"{label}: {best:.4f} in epoch {outcome.best_epoch}"
        for label, outcome in outcomes.items()
        if (best := chosen(outcome, histories[label])) is not None
    )
    size = SIZE[0], SIZE[1] + 0.21 * (len(outcomes) + len(baselines))
    title = "The metric on validation rows; the circle is the epoch that was chosen"
    return figure(draw, title, f"Best epochs: {told}.", size)


def facts(outcomes: dict[str, Outcome], models: dict[str, str]) -> Table:
    """The numbers of each training; a rate and batches only where there were such."""
    rows = []
    for label, one in outcomes.items():
        rate = number(None if models[label] in WITHOUT_RATE else one.plan.lr)
        batch = number(None) if models[label] in WITHOUT_BATCHES else count(one.plan.batch)
        rows.append(
            (text(label), count(one.parameters), count(one.users), count(one.items), count(one.rows),
             count(one.best_epoch), rate, batch, count(one.plan.seeds), number(one.seconds, ",.1f"))
        )  # fmt: skip
    head = ("model", "parameters", "users", "items", "rows", "epochs", "learning rate", "batch", "seeds", "seconds")
    return Table("What was learned", head, rows)
