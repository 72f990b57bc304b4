"""The proof: exported files, run in a process of their own, compute what the trained model computes.

The reference is the eager model, built from the weights on disk. Each layer is looked at only if the one before it
holds: structure, whether it runs at all, shapes, what is finite, values, scores of real users and items, lists.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch

from exporters.candidate import HEAD, LISTS, OUTPUT, RECOMMENDER
from exporters.cases import Arrays, Case, Source, head_cases, vectors
from exporters.compare import Tolerance, difference, tolerance_of
from exporters.corpus import corpus
from exporters.featured import check_features, feature_report, feature_trials
from exporters.formats import FORMATS
from exporters.fresh import LIMIT, CallError, Files, RefusalError, outputs_of
from exporters.lists import compared
from exporters.parts import Part, parts_of, spelled
from exporters.recommended import KS, Truth, recommender_report
from exporters.recommender import item_vectors, recommender_fault, signature
from exporters.report import ListReport, PartReport, Report
from exporters.tables import every_row
from rec_export.catalogue import Catalogue, Side
from rec_export.checkpoint import Blueprint, read_trend, read_weights
from rec_export.choices import Runtime
from rec_export.data.columns import Float32
from rec_export.errors import ParityError
from rec_export.progress import track
from rec_export.runtime import FILES


@final
class Trial(NamedTuple):
    """A part, what is tried on it, and what the trained model says."""

    part: Part
    cases: list[Case]
    outputs: dict[str, Float32]


def check(
    folder: Path,
    blueprint: Blueprint,
    catalogue: Catalogue,
    formats: Iterable[Runtime],
    device: str = "cpu",
    limit: float = LIMIT,
) -> Report:
    """Compare every exported part below `folder`, run on a device, with the model of folder/weights.safetensors.

    `limit`: the seconds that one call may take. Raises ParityError at the first thing that is not the same, and
    ModelError when these are not the trained weights.
    """
    trained = trained_parts(folder, blueprint)
    trials = trials_of(trained, blueprint, catalogue, folder)
    features = feature_trials(trained, catalogue, blueprint.clock, read_trend(folder))
    parts: list[PartReport] = []
    lists: list[ListReport] = []
    recommender = None
    formats = tuple(formats)
    for form in track(formats, len(formats), "proving"):
        check_structure(folder, form, [trial.part for trial in trials], labels(blueprint))
        cases = {trial.part.name: trial.cases for trial in trials}
        truth = truth_of(folder, trials, catalogue, blueprint) if form == "onnx" else None
        if truth is not None:
            check_features(folder, features, labels(blueprint))
            features = [one.as_written(folder) for one in features]
            cases |= {RECOMMENDER: truth.cases} | {one.name: one.cases for one in features}
        outputs = outputs_of(folder, form, cases, device, limit)
        tolerance = tolerance_of(form, device)
        parts += [part_report(trial, form, outputs, tolerance) for trial in trials]
        lists += list_reports(trials[-1].outputs[LISTS], outputs[f"{HEAD}|{LISTS}"], form, tolerance)
        if truth is not None:
            parts += [feature_report(one, outputs) for one in features]
            recommender = recommender_report(truth, outputs)
    signatures = {trial.part.name: trial.part.signature for trial in trials}
    if recommender is not None:
        signatures |= {one.name: spelled(one.inputs, one.outputs) for one in features}
        signatures[RECOMMENDER] = spelled(*signature(trials[0].part, recommender.items, blueprint.habit is not None))
    return Report(signatures=signatures, parts=tuple(parts), lists=tuple(lists), recommender=recommender)


def trials_below(folder: Path, blueprint: Blueprint, catalogue: Catalogue) -> tuple[Trial, Trial, Trial]:
    """What is tried on the parts of the model of folder/weights.safetensors."""
    return trials_of(trained_parts(folder, blueprint), blueprint, catalogue, folder)


def trained_parts(folder: Path, blueprint: Blueprint) -> tuple[Part, Part, Part]:
    """The eager float32 model from the weights in `folder`. Raises ModelError when these are not the trained ones."""
    towers = blueprint.build()
    read_weights(towers, folder / "weights.safetensors", blueprint.weights)
    return parts_of(towers, blueprint)


def labels(blueprint: Blueprint) -> dict[str, str]:
    """What every exported file carries, so that it can be told where it came from."""
    return {"rec_export.model": str(blueprint.model["name"]), "rec_export.weights_sha256": blueprint.weights}


def trials_of(
    parts: tuple[Part, Part, Part], blueprint: Blueprint, catalogue: Catalogue, folder: Path
) -> tuple[Trial, Trial, Trial]:
    """What is tried on each part, with the cases that lie in `folder`.

    The head is tried on the trained towers' vectors, so that its faults are its own.
    """
    user, item, head = parts
    users, items = (
        trial(part, [*corpus(folder, part, side, blueprint, catalogue), *tables_of(part, side, blueprint, catalogue)])
        for part, side in zip((user, item), catalogue, strict=True)
    )
    user_vec, item_vec = users.outputs[LISTS], items.outputs[LISTS]
    tried = [*head_cases(user_vec, item_vec), Case(LISTS, vectors(user_vec, item_vec))]
    return users, items, trial(head, tried)


def tables_of(part: Part, side: Side, blueprint: Blueprint, catalogue: Catalogue) -> Iterator[Case]:
    """Calls of a tower for every row of its tables. They lie nowhere, as they would take the room of the tables."""
    return every_row(Source(part.inputs, side, catalogue.items.trained, blueprint.data.history))


def truth_of(folder: Path, trials: tuple[Trial, Trial, Trial], catalogue: Catalogue, blueprint: Blueprint) -> Truth:
    """What recommender.onnx should recommend. Raises ParityError when the file takes or gives something else."""
    users, items, head = trials
    item_vec, habits = item_vectors(items.part, catalogue, read_trend(folder)), blueprint.habit is not None
    fault = recommender_fault(users.part, item_vec, folder, labels(blueprint), habits)
    if fault:
        raise RefusalError(f"onnx/{RECOMMENDER}", fault)
    return Truth.of(users.part, head.part, item_vec, users.cases, habits)


def trial(part: Part, cases: list[Case]) -> Trial:
    """The trained part's output for every case."""
    return Trial(part, cases, {case.name: evaluated(part, case) for case in cases})


def evaluated(part: Part, case: Case) -> Float32:
    """The trained part's output. Raises ParityError when it does not take the case."""
    try:
        output: Float32 = part.run({name: torch.from_numpy(array) for name, array in case.inputs.items()}).numpy()
    except (RuntimeError, IndexError, ValueError) as error:
        raise ParityError(
            f"the trained {part.name} itself cannot run the case {case.name!r}: {str(error).splitlines()[0]};"
            " a model must take every input that callers may send, mend it and train again"
        ) from error
    return output


def check_structure(folder: Path, form: Runtime, parts: list[Part], wanted: dict[str, str]) -> None:
    """Raise ParityError unless every file takes and gives what its part does."""
    for part in parts:
        fault = FORMATS[form].fault(part, folder / FILES[form].format(part.name), wanted)
        if fault:
            raise RefusalError(f"{form}/{part.name}", fault)


def part_report(trial: Trial, form: Runtime, outputs: Arrays, tolerance: Tolerance) -> PartReport:
    """Compare one exported part over all its cases. Raises ParityError at the first that is not the same."""
    worst_difference, worst_share, worst_case = 0.0, -1.0, ""
    for case in trial.cases:
        name = trial.part.name
        found = difference(trial.outputs[case.name], outputs[f"{name}|{case.name}"], tolerance)
        if found.fault:
            raise RefusalError(f"{form}/{name}", f"in the case {case.name!r} {found.fault}", case)
        worst_difference = max(worst_difference, found.worst)
        if found.share > worst_share:
            worst_share, worst_case = found.share, case.name
    rows = [len(output) for output in trial.outputs.values()]
    return PartReport(
        part=trial.part.name,
        format=form,
        cases=len(trial.cases),
        rows=(min(rows), max(rows)),
        worst_difference=worst_difference,
        worst_case=worst_case,
        worst_share=worst_share,
    )


def part_fault(part: Part, form: Runtime, files: Files, inputs: Arrays) -> str | None:
    """How one call of an exported part differs from the trained one's, or None."""
    reference = evaluated(part, Case("", inputs))
    try:
        return difference(reference, files(part.name, inputs)[OUTPUT], tolerance_of(form)).fault
    except CallError as error:
        return f"it {error}"


def list_reports(reference: Float32, candidate: Float32, form: Runtime, tolerance: Tolerance) -> list[ListReport]:
    """Compare the lists from two float32 [B, N]. Raises ParityError when more than ties differs."""
    users, items = reference.shape
    if not (np.isfinite(reference).all() and np.isfinite(candidate).all()):
        raise RefusalError(form, "scores of real users and items are not finite")
    eps = tolerance.allowed(reference).max(axis=1, keepdims=True, initial=0.0)
    reports = []
    for k in sorted({min(k, items) for k in KS}):
        found = compared(reference, candidate, eps, k)
        if found.wrong or found.inversions:
            fault = (
                f"in the lists of {users} users, {found.wrong} items are wrong and {found.inversions} are out of order"
            )
            raise RefusalError(form, f"{fault} at k = {k}")
        reports.append(
            ListReport(format=form, k=k, users=users, items=items, identical=found.identical, overlap=found.overlap)
        )
    return reports
