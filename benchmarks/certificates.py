"""Train, export and prove models on a real log, and print what their certificates say, as a table for docs/exports.md.

    python -m benchmarks.certificates CONFIG [MODEL ...] [--epochs 1]

Without models: all. A model is trained for few epochs, as what is tried is the export, not the model.
"""

import argparse
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from exporters.job import REPORT, ExportJob, run
from exporters.report import Report
from rec_export.models import names
from trainers.commands import train

FORMATS = "torchscript", "onnx", "pt2"


def certificate(config: Path, model: str, epochs: int, folder: Path) -> list[str]:
    """The cells of a model's line."""
    words = [str(config), "--out", str(folder / "checkpoint"), "--set", f"model={json.dumps({'name': model})}"]
    words += ["--set", f"training.epochs={epochs}", "--set", "training.refit=false", "--set", "training.seeds=1"]
    with redirect_stdout(sys.stderr):
        train.main(words, standalone_mode=False)
    run(ExportJob(checkpoint=folder / "checkpoint", out=folder / "bundle", formats=FORMATS))
    report = Report.read(folder / "bundle" / REPORT)
    cells = [model, str(sum(part.cases for part in report.parts))]
    for form in FORMATS:
        worst = max(part.worst_difference for part in report.parts if part.format == form)
        same = min(one.identical for one in report.lists if one.format == form)
        cells.append(f"{worst:.1e}, {same:.0%}")
    lists = report.recommender
    assert lists is not None
    return [*cells, f"{lists.lists:,} x {lists.items:,}", f"{lists.worst_difference:.1e}, {lists.identical:.2%}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("models", nargs="*", default=names())
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    head = ["model", "calls", *FORMATS, "recommender.onnx: lists x items", "score, same lists"]
    sys.stdout.write(f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            cells = certificate(options.config, model, options.epochs, Path(folder))
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
