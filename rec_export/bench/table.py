"""A report of `rec-export bench` as a table and as a picture."""

from pathlib import Path

from rec_export.bench.measure import Machine, Report, Result
from rec_export.files import storage_errors

TITLE = f"{'Mpairs/s':<16}{'users':>7}{'items':>9}{'dim':>5}{'k':>5}{'ours':>8}{'limit':>8}   ours over"


def heading(machine: Machine) -> str:
    """Where it was measured."""
    unit = "processor time" if machine.clock == "process_time" else "clock time"
    threads = f"{machine.threads} thread{'s' * (machine.threads > 1)} of {machine.cores}"
    return f"{machine.gpu or machine.cpu}, {threads}, {unit}, torch {machine.torch}\n{' '.join(machine.flags)}"


def row(result: Result) -> str:
    """One case: speeds, and how many times as fast as the limit and each peer ours is."""
    ours, limit = result.ours_pairs_per_s, result.limit_pairs_per_s
    size = f"{result.users:>7,}{result.items:>9,}{result.dim:>5}{result.k:>5}"
    others = {"limit": limit} | result.peers
    ratios = "  ".join(f"{name} {ours / speed:.1f}x" for name, speed in others.items())
    return f"{result.name:<16}{size}{ours / 1e6:>8.0f}{limit / 1e6:>8.0f}   {ratios}"


def footing(machine: Machine) -> str:
    """What the medians leave out."""
    seconds = "  ".join(f"{name} {value:.1f}" for name, value in machine.first_s.items())
    return f"first calls (catalogue prepared, kernels compiled or read from the disk), seconds more: {seconds}"


def plot(report: Report, path: Path) -> None:
    """Bars of pairs a second, ours beside the others, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.add_subplot()
    speeds = [
        {"ours": case.ours_pairs_per_s, "float32 product": case.limit_pairs_per_s} | case.peers for case in report.cases
    ]
    names = list(dict.fromkeys(name for speed in speeds for name in speed))
    width = 0.85 / max(1, len(names))
    for place, name in enumerate(names):
        at = [case + width * place for case, speed in enumerate(speeds) if name in speed]
        axes.bar(at, [speed[name] for speed in speeds if name in speed], width, label=name)
    axes.set_xticks([case + 0.42 for case in range(len(speeds))], [case.name for case in report.cases], rotation=20)
    axes.set_yscale("log")
    axes.set_ylabel("user x item pairs a second")
    axes.set_title(report.machine.gpu or report.machine.cpu)
    axes.legend()
    with storage_errors(path):
        figure.savefig(path, dpi=120, format="png")
