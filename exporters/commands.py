"""The commands: export, torchscript, onnx, pt2 and verify."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rec_export.choices import Runtime
from rec_export.local import PATH, Finite
from rec_export.words import listed

if TYPE_CHECKING:
    from exporters.variants import Wanted

USUAL = 20  # exporters.onnx.OPSET, which is not asked here as it imports torch
OPSET = click.option(
    "--opset", type=click.IntRange(18, 23), default=USUAL, show_default=True, help="Of the ONNX files."
)
LIMIT = click.option(
    "--limit",
    type=Finite(min=0, min_open=True),
    default=600,
    show_default=True,
    help="Seconds that one call of an exported file may take; later it is refused.",
)


def export_options(command: Callable[..., None]) -> Callable[..., None]:
    """CHECKPOINT --out BUNDLE --limit SECONDS --json."""
    json_flag = click.option("--json", "as_json", is_flag=True, help="Print the parity summary as JSON.")
    out = click.option("-o", "--out", type=PATH, required=True, help="The new directory to write.")
    return click.argument("checkpoint", type=PATH)(out(LIMIT(json_flag(command))))


@click.command()
@click.option("--variants", metavar="KINDS", help="Smaller copies of the ONNX towers to keep: fp16, int8 or fp16,int8.")
@click.option(
    "--budget",
    metavar="METRIC=PERCENT",
    help="Keep the smallest copy that costs no more than this on held-out rows, as in ndcg=1%.",
)
@click.option("--test", type=PATH, help="Held-out rows for that, where the split has no test part.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(get_args(Runtime)),
    multiple=True,
    default=("torchscript", "onnx", "pt2"),
    show_default=True,
    help="What to write; may be given several times. aoti is compiled by g++, for machines like this one alone.",
)
@OPSET
@click.option("--dry-run", is_flag=True, help="Say what would happen and what it needs; write nothing.")
@export_options
def export(
    checkpoint: Path,
    out: Path,
    limit: float,
    as_json: bool,
    variants: str | None,
    budget: str | None,
    test: Path | None,
    formats: "tuple[Runtime, ...]",
    opset: int,
    dry_run: bool,
) -> None:
    """Write CHECKPOINT as TorchScript, ONNX and pt2, and prove that they compute the same as the trained model.

    Nothing lossy is made unless --variants or --budget asks for it, and nothing lossy is run unless `score --runtime`,
    or score.runtime in the configuration, names it.
    """
    from rec_export.progress import starting

    with starting(2700):
        from exporters.variants import wanted

    smaller, formats = wanted(variants, budget, test), tuple(dict.fromkeys(formats))
    if smaller and "onnx" not in formats:
        raise click.UsageError("--variants and --budget make copies of the ONNX towers; add --format onnx.")
    if opset != USUAL and "onnx" not in formats:
        raise click.UsageError("--opset is that of the ONNX files; add --format onnx.")
    if dry_run:
        from exporters.dry_run import dry_run as foretell
        from exporters.job import ExportJob

        forecast = foretell(ExportJob(checkpoint=checkpoint, out=out, formats=formats, smaller=smaller))
        click.echo(forecast.as_json() if as_json else "\n".join(forecast.lines()))
        return
    run_and_say(checkpoint, out, formats, limit, as_json, smaller, opset)


@click.command()
@export_options
def torchscript(checkpoint: Path, out: Path, limit: float, as_json: bool) -> None:
    """Write CHECKPOINT as TorchScript alone, with the same proof."""
    run_and_say(checkpoint, out, ("torchscript",), limit, as_json)


@click.command()
@OPSET
@export_options
def onnx(checkpoint: Path, out: Path, limit: float, as_json: bool, opset: int) -> None:
    """Write CHECKPOINT as ONNX alone, with the same proof."""
    run_and_say(checkpoint, out, ("onnx",), limit, as_json, opset=opset)


@click.command()
@export_options
def pt2(checkpoint: Path, out: Path, limit: float, as_json: bool) -> None:
    """Write CHECKPOINT as pt2 (torch.export) alone, with the same proof."""
    run_and_say(checkpoint, out, ("pt2",), limit, as_json)


def run_and_say(
    checkpoint: Path,
    out: Path,
    formats: "tuple[Runtime, ...]",
    limit: float,
    as_json: bool,
    smaller: "Wanted | None" = None,
    opset: int = USUAL,
) -> None:
    """Export, and say what was proved."""
    from rec_export.progress import starting

    with starting(400):
        from exporters.job import REPORT, ExportJob, run
        from exporters.report import Report
        from exporters.variants import PRICES, Prices

    manifest = run(
        ExportJob(checkpoint=checkpoint, out=out, formats=formats, smaller=smaller, opset=opset, limit=limit)
    )
    if as_json:
        click.echo(as_text(manifest.parity))
        return
    size = sum(file.bytes for file in manifest.files) / 1e6
    for line in Report.read(out / REPORT).lines():
        click.echo(line)
    for line in Prices.read(out / PRICES).lines() if smaller else ():
        click.echo(line)
    click.echo(f"bundle: {out} ({len(manifest.files) + 1} files, {size:.1f} MB)")


@click.command()
@click.argument("bundle", type=PATH)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Run them there.")
@click.option("--case", type=PATH, help="Only this stored case; BUNDLE may then be a refused export.")
@LIMIT
@click.option("--json", "as_json", is_flag=True, help="Print the parity summary as JSON.")
def verify(bundle: Path, device: str, case: Path | None, limit: float, as_json: bool) -> None:
    """Check every file of BUNDLE, then prove again, on this machine, that it computes the same as the trained model."""
    from rec_export.progress import starting

    with starting(3100):
        from exporters.evidence import reproduced
        from exporters.job import verified

    if case is not None:
        click.echo(f"[ok] {reproduced(bundle, case, limit)}")
        return
    manifest, smaller, report = verified(bundle, device, limit)
    if as_json:
        click.echo(as_text(report.summaries()))
        return
    click.echo(f"[ok] {len(manifest.files)} files are what was exported at {manifest.made_at}")
    for line in [*report.lines(), *smaller]:
        click.echo(line)
    click.echo(f"{bundle} computes on this machine what was trained, as {listed(report.formats())}")


def as_text(records: tuple[Any, ...]) -> str:
    """Records as JSON."""
    return json.dumps([record.model_dump() for record in records], indent=2)
