"""What `export` would do, from the checkpoint alone."""

from functools import partial
from time import perf_counter

from exporters.evidence import check_place
from exporters.job import ExportJob
from exporters.parts import Part, parts_of
from exporters.recommender import portions, vectors_of
from exporters.variants import held_out_of
from rec_export.checkpoint import Checkpoint
from rec_export.choices import Runtime
from rec_export.errors import ParityError
from rec_export.files import files_below, refuse_existing
from rec_export.forecast import Forecast, pace, peak, read

GRAPHS = 400_000  # bytes of one format's three graphs without their weights, and of the cases that prove it
BESIDE = 350_000_000  # bytes of memory of the exporters' and the runtimes' libraries
COPIES = 4  # of the weights in memory: traced, written, and read again by the runtime that is compared
BEGUN = 6.0  # starts: of Python, the libraries, and what is done once
STARTS: dict[Runtime, float] = {"torchscript": 2.5, "onnx": 4.0, "pt2": 4.0, "aoti": 30.0}
TRACES: dict[Runtime, float] = {"torchscript": 1.0, "onnx": 3.5, "pt2": 2.0, "aoti": 15.0}
"""What a format takes to be written and proved: so many starts, and so many traces of both towers."""
PASSES = 2  # over all items, and as many for each format
SPREAD = 0.7, 2.0  # of what was foretold, by what else a model has; docs/dry_run.md


def dry_run(job: ExportJob) -> Forecast:
    """Read the checkpoint, and write nothing. Raises what `export` raises before it writes."""
    check_place(job.out)
    refuse_existing(job.out)
    checkpoint = Checkpoint.read(job.checkpoint)
    if job.smaller is not None:
        held_out_of(checkpoint, job.smaller)
    users, items = (side.table.num_rows for side in checkpoint.catalogue)
    weights = (job.checkpoint / "weights.safetensors").stat().st_size
    tables = sum(path.stat().st_size for path in files_below(job.checkpoint)) - weights
    parts, vectors = parts_of(checkpoint.towers, checkpoint.blueprint), 0
    if "onnx" in job.formats:  # the recommender holds the user tower and the vectors of all items
        user, _, head = parts
        width = next(port.shape[-1] for port in head.inputs if port.name == "item_vec")
        held = sum(w.numel() * w.element_size() for w in user.module.state_dict().values())
        vectors = held + items * 4 * (width if isinstance(width, int) else 0)
    return Forecast(
        does=f"export as {', '.join(job.formats)}, and prove that each computes what the trained model computes",
        inputs=read({"checkpoint": job.checkpoint}),
        facts=(
            f"the model {checkpoint.blueprint.model['name']!r}, {weights / 1e6:.1f} MB of weights,"
            f" {users:,} users, {items:,} items",
        ),
        out=job.out,
        memory=peak() + BESIDE + COPIES * len(job.formats) * weights + 2 * vectors,
        disk=(len(job.formats) + 1) * weights + len(job.formats) * GRAPHS + vectors + tables,
        seconds=seconds(job, checkpoint, parts),
    )


def seconds(job: ExportJob, checkpoint: Checkpoint, parts: tuple[Part, Part, Part]) -> tuple[float, float] | None:
    """Least and most, from how long it takes to trace the head, with which everything that traces is loaded, to trace
    both towers, and to compute the vectors of some items; None where torch.export cannot trace, which the export itself
    says, if a format asks for it.
    """
    user, item, head = parts
    try:
        start, traces = traced(head), traced(user) + traced(item)
    except ParityError:
        return None
    rows = portions(len(checkpoint.trend))
    rate = pace(partial(vectors_of, item, checkpoint.catalogue, checkpoint.trend, some) for some in rows)
    passes = PASSES * (1 + len(job.formats)) * rate.of(len(rows))
    starts = BEGUN + sum(STARTS[form] for form in job.formats)
    foretold = starts * start + sum(TRACES[form] for form in job.formats) * traces + passes
    least, most = SPREAD
    return least * foretold, most * foretold


def traced(part: Part) -> float:
    """The seconds that torch.export takes to find a part's program."""
    begun = perf_counter()
    part.traced()
    return perf_counter() - begun
