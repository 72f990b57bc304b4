"""The proof of the feature graphs: they make of raw attributes what FeatureState makes of them."""

from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import onnx
from onnx.numpy_helper import to_array

from exporters.cases import Arrays, Case
from exporters.compare import FEATURES, Difference, count, difference
from exporters.features import NAMES, feature_signature
from exporters.fresh import RefusalError
from exporters.onnx import file_fault
from exporters.parts import Part
from exporters.raw import made_of, raw_cases
from exporters.report import PartReport
from rec_export.catalogue import Catalogue, Side
from rec_export.data.clock import Clock
from rec_export.data.columns import Float32
from rec_export.runtime import FILES
from rec_export.towers import Input
from rec_export.world import newcomer, untried


@final
class FeatureTrial(NamedTuple):
    """A feature graph, and what is tried on it."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Input, ...]
    side: Side
    clock: Clock
    trend: Float32  # [W] of a new item
    cases: list[Case]
    letters: bool = False  # whether texts are put into lower case letter by letter, as earlier versions did

    def as_written(self, folder: Path) -> "FeatureTrial":
        """The same for a file whose structure is right: whether it knows the small sigma that ends a word, and whether
        it flags a new item, as earlier versions did.
        """
        graph = onnx.load(folder / FILES["onnx"].format(self.name), load_external_data=False).graph
        final = any("ς".encode() in constant.string_data for constant in graph.initializer)
        flagged = newcomer(self.clock)
        before = any(np.array_equal(to_array(one).ravel(), flagged) for one in graph.initializer if one.dims)
        return self._replace(letters=not final, trend=flagged if before else self.trend)

    def compared(self, inputs: Arrays, found: Arrays) -> Difference:
        """How far what the graph made of one call is from what it should be."""
        worst = Difference(0.0, 0.0, None)
        for name, wanted in made_of(self.outputs, inputs, self.side, self.trend, self.letters).items():
            if wanted.dtype == np.float32 or found[name].shape != wanted.shape or found[name].dtype != wanted.dtype:
                told = difference(wanted, found[name], FEATURES)
            else:
                other = found[name] != wanted
                told = Difference(0.0, 0.0, f"{count(other)} values are others" if other.any() else None)
            if told.fault is not None:
                return told._replace(fault=f"{name}: {told.fault}")
            worst = max(worst, told, key=lambda one: one.share)
        return worst


def feature_trials(
    parts: tuple[Part, Part, Part], catalogue: Catalogue, clock: Clock, trend: Float32
) -> list[FeatureTrial]:
    """What is tried on the feature graphs of both sides, where a tower reads attributes; trends are float32 [N, W]."""
    new = untried(trend, clock)
    return [
        FeatureTrial(NAMES[part.name], *signature, side, clock, new, list(raw_cases(signature[0], side)))
        for part, side in zip(parts, catalogue, strict=False)
        if (signature := feature_signature(part, side)) is not None
    ]


def check_features(folder: Path, trials: list[FeatureTrial], labels: dict[str, str]) -> None:
    """Raise RefusalError unless every file takes and gives what it should."""
    for trial in trials:
        fault = feature_fault(folder, trial, labels)
        if fault:
            raise RefusalError(f"onnx/{trial.name}", fault)


def feature_fault(folder: Path, trial: FeatureTrial, labels: dict[str, str]) -> str | None:
    """How the file differs from what it should take and give, or None."""
    return file_fault(folder / FILES["onnx"].format(trial.name), (*trial.inputs, *trial.outputs), labels)


def feature_report(trial: FeatureTrial, outputs: Arrays) -> PartReport:
    """Compare one feature graph over all its cases. Raises RefusalError at the first that is not the same."""
    worst, where = Difference(0.0, -1.0, None), ""
    for case in trial.cases:
        found = {port.name: outputs[f"{trial.name}|{case.name}|{port.name}"] for port in trial.outputs}
        told = trial.compared(case.inputs, found)
        if told.fault is not None:
            raise RefusalError(f"onnx/{trial.name}", f"in the case {case.name!r} {told.fault}", case)
        if told.share > worst.share:
            worst, where = told, case.name
    rows = [len(next(iter(case.inputs.values()))) for case in trial.cases]
    return PartReport(
        part=trial.name,
        format="onnx",
        cases=len(trial.cases),
        rows=(min(rows), max(rows)),
        worst_difference=worst.worst,
        worst_case=where,
        worst_share=worst.share,
    )
