"""From a checkpoint to a bundle."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import numpy as np
import onnx
import onnxruntime
import onnxscript
import torch
from pydantic import Field

from exporters import parity
from exporters.candidate import RECOMMENDER
from exporters.card import card, metrics, unknown
from exporters.formats import FORMATS
from exporters.onnx import LEAST_RUNTIME, OPSET
from exporters.parts import Part, parts_of
from exporters.recommender import item_vectors, signature, write_recommender
from exporters.report import Report
from rec_export import __version__
from rec_export.bundle import Bundle, Manifest, Signature
from rec_export.checkpoint import Blueprint, Checkpoint, write_trend
from rec_export.device import device_of
from rec_export.files import new_directory
from rec_export.record import Record
from rec_export.runtime import FILES, Runtime
from rec_export.sealed import listed, write_manifest
from rec_export.stages import Stages

REPORT = "parity/report.json"
CARD = "MODEL_CARD.md"


@final
class ExportJob(Record):
    """What to export, where to, and as what."""

    checkpoint: Path
    out: Path
    formats: tuple[Runtime, ...] = Field(min_length=1)


def run(job: ExportJob) -> Manifest:
    """Write the bundle. Raises ParityError, and leaves nothing behind, when it is not the trained model."""
    with new_directory(job.out) as folder:
        stages = Stages()
        checkpoint = Checkpoint.read(job.checkpoint)
        stages.end("read the checkpoint")
        blueprint = checkpoint.blueprint
        parts = parts_of(checkpoint.towers, blueprint)
        write_parts(parts, folder, job.formats, parity.labels(blueprint))
        if "onnx" in job.formats:
            item_vec = item_vectors(parts[1], checkpoint.catalogue, checkpoint.trend)
            write_recommender(folder, item_vec, parity.labels(blueprint))
        shutil.copyfile(job.checkpoint / "weights.safetensors", folder / "weights.safetensors")
        checkpoint.catalogue.write(folder)
        write_trend(checkpoint.trend, folder)
        stages.end("write the formats")
        report = parity.check(folder, blueprint, checkpoint.catalogue, job.formats)
        told = {"stages": stages.until("prove them")}
        (folder / REPORT).parent.mkdir()
        report.write(folder / REPORT)
        training = metrics(job.checkpoint)
        manifest = manifest_of(folder, blueprint, parts, job.formats, report)
        manifest = manifest.model_copy(update={"metrics": training.get("held_out", {}), **told})
        text = card(manifest, report, training, checkpoint.catalogue.items.table.num_rows)
        (folder / CARD).write_text(text, encoding="utf-8")
        manifest = manifest.model_copy(update={"files": listed(folder)})
        write_manifest(folder, manifest)
    return manifest


def verified(bundle: Path, device: str = "cpu") -> tuple[Manifest, Report]:
    """Check the hashes of a bundle, then its parity on a device of this machine.

    Raises DeviceError where the device is not there, ModelError or ParityError.
    """
    device_of(device)
    _, manifest, catalogue = Bundle.read(bundle)
    formats = [form for form in FORMATS if form in manifest.formats]
    report = parity.check(bundle, manifest.blueprint, catalogue, formats, device)
    return manifest, report


def write_parts(parts: tuple[Part, ...], folder: Path, formats: tuple[Runtime, ...], labels: dict[str, str]) -> None:
    """Write every part in every format."""
    for form in formats:
        for part in parts:
            path = folder / FILES[form].format(part.name)
            path.parent.mkdir(exist_ok=True)
            FORMATS[form].write(part, path, labels)


def manifest_of(
    folder: Path, blueprint: Blueprint, parts: tuple[Part, ...], formats: tuple[Runtime, ...], report: Report
) -> Manifest:
    """The manifest of what lies in `folder`, without the files."""
    return Manifest(
        made_by=f"rec-export {__version__}",
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        checkpoint=blueprint.weights,
        blueprint=blueprint,
        signatures=signatures(parts, report),
        unknown=unknown(blueprint),
        formats=formats,
        versions=versions(folder, formats),
        parity=report.summaries(),
        files=(),
    )


def signatures(parts: tuple[Part, ...], report: Report) -> dict[str, Signature]:
    """How to call each file."""
    towers = {part.name: Signature(inputs=part.inputs, outputs=(part.output,)) for part in parts}
    if report.recommender is None:
        return towers
    inputs, outputs = signature(parts[0], report.recommender.items)
    return towers | {RECOMMENDER: Signature(inputs=inputs, outputs=outputs)}


def versions(folder: Path, formats: tuple[Runtime, ...]) -> dict[str, str]:
    """What made the bundle and proved it, and what is needed to run it."""
    made_with = {"numpy": np.__version__, "torch": str(torch.__version__)}
    if "onnx" not in formats:
        return made_with
    ir = onnx.load(folder / FILES["onnx"].format("pair_head")).ir_version
    tools = {"onnx": onnx.__version__, "onnxscript": onnxscript.__version__, "onnxruntime": onnxruntime.__version__}
    return made_with | tools | {"onnx_opset": str(OPSET), "onnx_ir": str(ir),
                                "least onnxruntime": LEAST_RUNTIME}  # fmt: skip
