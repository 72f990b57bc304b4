"""From a checkpoint to a bundle."""

import logging
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch
from pydantic import Field

from exporters import parity
from exporters.aoti import check_compiler
from exporters.candidate import RECOMMENDER
from exporters.card import card, metrics, unknown
from exporters.corpus import write_corpus
from exporters.evidence import Opened, check_bundle, check_place, kept, withdraw
from exporters.features import NAMES, feature_signature, write_features
from exporters.formats import FORMATS
from exporters.fresh import LIMIT, RefusalError
from exporters.onnx import LEAST_RUNTIME, OPSET, write_onnx
from exporters.parts import Part, parts_of
from exporters.quality import Judge
from exporters.recommender import item_vectors, signature, write_recommender
from exporters.report import Report
from exporters.variants import PRICES, Bench, Prices, Wanted, again, held_out_of, listed_of, prices
from rec_export import __version__
from rec_export.aoti import SYSTEM, TORCH, machine
from rec_export.bundle import Bundle, Manifest, Signature
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Blueprint, Checkpoint, read_trend, write_trend
from rec_export.choices import Runtime
from rec_export.device import device_of
from rec_export.errors import DeviceError, ModelError
from rec_export.files import new_directory
from rec_export.held_out import HeldOut
from rec_export.machine import usual_torch
from rec_export.progress import in_parts, passed, track
from rec_export.record import Record
from rec_export.runtime import FILES
from rec_export.sealed import listed, write_manifest
from rec_export.stages import Stages
from rec_export.world import for_lists, untried

log = logging.getLogger("rec_export")
REPORT = "parity/report.json"
CARD = "MODEL_CARD.md"


@final
class ExportJob(Record):
    """What to export, where to, and as what."""

    checkpoint: Path
    out: Path
    formats: tuple[Runtime, ...] = Field(min_length=1)
    smaller: Wanted | None = None  # copies of the ONNX towers
    opset: int = Field(default=OPSET, ge=18, le=23)  # of the ONNX parts and the recommender
    limit: float = Field(default=LIMIT, gt=0)  # seconds that one call of an exported file may take in the proof


@usual_torch()
def run(job: ExportJob) -> Manifest:
    """Write the bundle. Raises ParityError, and leaves OUT.refused, when it is not the trained model."""
    check_place(job.out)
    if "aoti" in job.formats:
        check_compiler()
    with new_directory(job.out) as folder:
        stages = Stages()
        checkpoint = Checkpoint.read(job.checkpoint)
        stages.end("read the checkpoint")
        blueprint = checkpoint.blueprint
        trend = for_lists(checkpoint.trend, blueprint.clock)  # as earlier versions kept what training reads
        held_out = job.smaller and held_out_of(checkpoint, job.smaller)
        parts = parts_of(checkpoint.towers, blueprint)
        write_parts(parts, folder, job.formats, parity.labels(blueprint), job.opset)
        if "onnx" in job.formats:
            with in_parts("exporting the recommender", 4):
                item_vec = item_vectors(parts[1], checkpoint.catalogue, trend)
                passed()
                write_recommender(folder, item_vec, parity.labels(blueprint), blueprint.habit is not None)
                for part, side in zip(parts, checkpoint.catalogue, strict=False):
                    passed()
                    write_features(folder, part, side, untried(trend, blueprint.clock), parity.labels(blueprint))
        shutil.copyfile(job.checkpoint / "weights.safetensors", folder / "weights.safetensors")
        checkpoint.catalogue.write(folder)
        write_trend(trend, folder)
        stages.end("write the formats")
        with in_parts("choosing what to prove it with", 2):
            write_corpus(folder, parts, blueprint, checkpoint.catalogue)
        report = proved(Opened(folder=folder, blueprint=blueprint, limit=job.limit), job.formats, job.out)
        report.write(folder / REPORT)
        stages.end("prove them")
        training = metrics(job.checkpoint)
        manifest = manifest_of(folder, checkpoint, parts, job.formats, report)
        variants = priced(folder, checkpoint, job.smaller, held_out).variants if job.smaller and held_out else ()
        told = {"metrics": training.get("held_out", {}), "variants": variants, "stages": stages.seconds}
        manifest = manifest.model_copy(update=told)
        text = card(manifest, report, training, checkpoint.catalogue.items.table.num_rows)
        (folder / CARD).write_text(text, encoding="utf-8")
        manifest = manifest.model_copy(update={"files": listed(folder)})
        write_manifest(folder, manifest)
    withdraw(job.out)
    return manifest


def priced(folder: Path, checkpoint: Checkpoint, wanted: Wanted, held_out: HeldOut | str) -> Prices:
    """Make and measure smaller copies of the ONNX towers in `folder`, and write down what they cost."""
    why = held_out if isinstance(held_out, str) else None
    judge = None if isinstance(held_out, str) else Judge.of(checkpoint, held_out, folder)
    found = prices(bench_of(folder, checkpoint.blueprint, checkpoint.catalogue, judge), wanted, why)
    found.write(folder / PRICES)
    return found


def bench_of(folder: Path, blueprint: Blueprint, catalogue: Catalogue, judge: Judge | None = None) -> Bench:
    """What copies in `folder` are measured with."""
    history = blueprint.data.history
    trials = parity.trials_below(folder, blueprint, catalogue)
    listed = listed_of(trials, catalogue, read_trend(folder), history)
    return Bench(folder, listed, judge, catalogue, history, parity.labels(blueprint))


@usual_torch()
def verified(bundle: Path, device: str = "cpu", limit: float = LIMIT) -> tuple[Manifest, list[str], Report]:
    """Check the hashes of a bundle, then its parity on a device of this machine, and its smaller copies on the CPU.

    Raises DeviceError where the device is not there, ModelError or ParityError.
    """
    device_of(device)
    with in_parts("checking the files", 2):
        check_bundle(bundle)
        passed()
        _, manifest, catalogue = Bundle.read(bundle)
    exported = Opened(folder=bundle, blueprint=manifest.blueprint, limit=limit)
    report = proved(exported, those_for(device, manifest.formats, bundle), bundle, device)
    habits = manifest.blueprint.habit is not None
    told = signatures(parity.trained_parts(bundle, manifest.blueprint), catalogue, report, habits)
    other = [name for name, signature in told.items() if manifest.signatures.get(name) != signature]
    if other:
        raise ModelError(f"the manifest of {bundle} tells of {other[0]} what is not true of the file; export it again")
    bench = bench_of(bundle, manifest.blueprint, catalogue) if manifest.variants else None
    return manifest, again(bench, manifest.variants) if bench else [], report


def those_for(device: str, formats: Iterable[str], bundle: Path) -> list[Runtime]:
    """The formats of a bundle that run on a device; says which do not. Raises DeviceError where none does."""
    there = [form for form in FORMATS if form in formats]
    able = [form for form in there if device == "cpu" or form != "aoti"]
    if not able:
        raise DeviceError(f"{bundle} holds AOTInductor packages alone, which run on the CPU; use --device cpu")
    if able != there:
        log.warning("aoti was compiled for the CPU and is not tried on %s; verify it with --device cpu", device)
    return able


def proved(exported: Opened, formats: Iterable[Runtime], out: Path, device: str = "cpu") -> Report:
    """Compare exported files with the trained model. Raises ParityError, and leaves the evidence beside `out`."""
    try:
        return parity.check(exported.folder, exported.blueprint, exported.catalogue, formats, device, exported.limit)
    except RefusalError as error:
        raise kept(error, exported, out) from error


def write_parts(
    parts: tuple[Part, ...], folder: Path, formats: tuple[Runtime, ...], labels: dict[str, str], opset: int = OPSET
) -> None:
    """Write every part in every format."""
    pairs = [(form, part) for form in formats for part in parts]
    for form, part in track(pairs, len(pairs), "exporting"):
        path = folder / FILES[form].format(part.name)
        path.parent.mkdir(exist_ok=True)
        other = form == "onnx" and opset != OPSET
        write = partial(write_onnx, opset=opset) if other else FORMATS[form].write
        write(part, path, labels)


def manifest_of(
    folder: Path,
    checkpoint: Checkpoint,
    parts: tuple[Part, ...],
    formats: tuple[Runtime, ...],
    report: Report,
) -> Manifest:
    """The manifest of what lies in `folder`, without the files."""
    blueprint = checkpoint.blueprint
    return Manifest(
        made_by=f"rec-export {__version__}",
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        checkpoint=blueprint.weights,
        blueprint=blueprint,
        signatures=signatures(parts, checkpoint.catalogue, report, blueprint.habit is not None),
        unknown=unknown(blueprint, checkpoint.catalogue),
        formats=formats,
        versions=versions(folder, formats),
        parity=report.summaries(),
        files=(),
    )


def signatures(parts: tuple[Part, ...], catalogue: Catalogue, report: Report, habits: bool) -> dict[str, Signature]:
    """How to call each file."""
    towers = {part.name: Signature(inputs=part.inputs, outputs=(part.output,)) for part in parts}
    if report.recommender is None:
        return towers
    inputs, outputs = signature(parts[0], report.recommender.items, habits)
    features = {
        NAMES[part.name]: Signature(inputs=found[0], outputs=found[1])
        for part, side in zip(parts, catalogue, strict=False)
        if (found := feature_signature(part, side)) is not None
    }
    return towers | features | {RECOMMENDER: Signature(inputs=inputs, outputs=outputs)}


def versions(folder: Path, formats: tuple[Runtime, ...]) -> dict[str, str]:
    """What made the bundle and proved it, and what is needed to run it."""
    made_with = {"numpy": np.__version__, "torch": str(torch.__version__)}
    if "aoti" in formats:
        tied = machine()
        made_with["aoti runs on"] = f"torch {tied[TORCH]}, {tied[SYSTEM]}, processors with all flags of this one"
    if "onnx" not in formats:
        return made_with
    head = onnx.load(folder / FILES["onnx"].format("pair_head"))
    opset = next(one.version for one in head.opset_import if not one.domain)
    tools = {"onnx": onnx.__version__, "onnxscript": onnxscript.__version__, "onnxruntime": onnxruntime.__version__}
    return made_with | tools | {"onnx_opset": str(opset), "onnx_ir": str(head.ir_version),
                                "least onnxruntime": LEAST_RUNTIME}  # fmt: skip
