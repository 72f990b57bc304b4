"""How long each step and stage took."""

from matplotlib.axes import Axes

from rec_export.report.drawing import bare, colour, figure
from rec_export.report.found import Found
from rec_export.report.page import Figure, Section, Table, number, text, together
from rec_export.report.sections.training import history
from rec_export.report.views import BundleManifest, Outcome

Stages = dict[tuple[str, str], float]  # by step and stage
STEPS = ("train", "export", "score")


def section(found: Found) -> Section | None:
    """A table and a bar for each model."""
    times = {one.label: stages(found, one.label) for one in found.subjects}
    times = {label: one for label, one in times.items() if one}
    if not times:
        return None
    lines = [told(label, one) for label, one in times.items()]
    rows = [
        (text(name), text(step), text(stage), number(s, ",.1f"))
        for name, one in times.items()
        for (step, stage), s in one.items()
    ]
    blocks: list[Figure | Table] = [bars(name, one) for name, one in times.items()]
    table = Table("Seconds by stage", ("model", "step", "stage", "seconds"), rows)
    return Section("times", "Timings", together(lines), [*blocks, table])


def told(label: str, one: Stages) -> str:
    """How long it took in all, and what took longest."""
    (step, stage), longest = max(one.items(), key=lambda pair: pair[1])
    return f"{label} took {sum(one.values()):,.0f} s in all; the longest stage is {stage} ({step}), {longest:,.0f} s."


def stages(found: Found, label: str) -> Stages:
    """The seconds of all stages of a model that are known."""
    return {**trained(found, label), **exported(found, label), **scored(found, label)}


def trained(found: Found, label: str) -> Stages:
    """Epochs by phase, and the rest: reading, planning, writing."""
    path = dict(found.each("checkpoint")).get(label)
    if path is None or not (path / "metrics.json").is_file():
        return {}
    times: Stages = {}
    for epoch in history(path):
        key = "train", epoch.phase
        times[key] = times.get(key, 0.0) + epoch.seconds
    rest = Outcome.read(path / "metrics.json").seconds - sum(times.values())
    return {**times, ("train", "reading, planning, writing"): max(rest, 0.0)}


def exported(found: Found, label: str) -> Stages:
    """The stages of the export."""
    path = dict(found.each("bundle")).get(label)
    told = BundleManifest.read(path / "manifest.json").stages if path else {}
    return {("export", stage): seconds for stage, seconds in told.items()}


def scored(found: Found, label: str) -> Stages:
    """The stages of the run that is live."""
    night = dict(found.nights()).get(label)
    run = night.manifest() if night else None
    if run is None:
        return {}
    return {("score", stage): seconds for stage, seconds in run.stages.items()} or {("score", "all"): run.seconds}


def bars(label: str, times: Stages) -> Figure:
    """A bar for each stage."""

    def draw(axes: Axes) -> None:
        with bare(axes):
            for place, ((step, _), seconds) in enumerate(times.items()):
                axes.barh(place, seconds, 0.62, color=colour(STEPS.index(step)))
            axes.set_yticks(range(len(times)), [f"{step}: {stage}" for step, stage in times])
            axes.set(xlabel="seconds", ylim=(len(times) - 0.5, -0.5))

    told = ", ".join(f"{step} {stage} {seconds:.1f}" for (step, stage), seconds in times.items())
    return figure(draw, f"{label}: seconds by stage", f"Seconds: {told}.", (4.4, 0.9 + 0.28 * len(times)))
