"""What `export` would do, from the checkpoint alone."""

from exporters.evidence import check_place
from exporters.job import ExportJob
from exporters.parts import parts_of
from rec_export.checkpoint import Checkpoint
from rec_export.files import files_below, refuse_existing
from rec_export.forecast import Forecast, peak, read

GRAPHS = 400_000  # bytes of one format's three graphs without their weights, and of the cases that prove it
BESIDE = 350_000_000  # bytes of memory of the exporters' and the runtimes' libraries
COPIES = 4  # of the weights in memory: traced, written, and read again by the runtime that is compared


def dry_run(job: ExportJob) -> Forecast:
    """Read the checkpoint, and write nothing. Raises what `export` raises before it writes."""
    check_place(job.out)
    refuse_existing(job.out)
    checkpoint = Checkpoint.read(job.checkpoint)
    users, items = (side.table.num_rows for side in checkpoint.catalogue)
    weights = (job.checkpoint / "weights.safetensors").stat().st_size
    tables = sum(path.stat().st_size for path in files_below(job.checkpoint)) - weights
    vectors = 0
    if "onnx" in job.formats:  # the recommender holds the user tower and the vectors of all items
        user, _, head = parts_of(checkpoint.towers, checkpoint.blueprint)
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
        untold="most of it is the proof, whose length depends on the formats and the machine; minutes, not hours",
    )
