"""The proof: exported files, run in a process of their own, compute what the trained model computes.

The reference is the eager model, built from the weights on disk. Each layer is looked at only if the one before it
holds: structure, whether it runs at all, shapes, what is finite, values, lists.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from exporters import candidate
from exporters.candidate import HEAD, LISTS
from exporters.cases import Arrays, Case, head_cases, tower_cases
from exporters.compare import TOLERANCES, difference
from exporters.formats import FORMATS
from exporters.lists import compared
from exporters.parts import Part, parts_of
from exporters.report import ListReport, PartReport, Report
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Blueprint, read_weights
from rec_export.data.columns import Float32
from rec_export.errors import ParityError
from rec_export.runtime import FILES, Runtime

KS = 1, 10, 100


@final
class Trial(NamedTuple):
    """A part, what is tried on it, and what the trained model says."""

    part: Part
    cases: list[Case]
    outputs: dict[str, Float32]


def check(folder: Path, blueprint: Blueprint, catalogue: Catalogue, formats: Iterable[Runtime]) -> Report:
    """Compare every exported part below `folder` with the model of folder/weights.safetensors.

    Raises ParityError at the first thing that is not the same, and ModelError when these are not the trained weights.
    """
    towers = blueprint.build()
    read_weights(towers, folder / "weights.safetensors", blueprint.weights)
    trials = trials_of(parts_of(towers, blueprint), blueprint, catalogue)
    parts: list[PartReport] = []
    lists: list[ListReport] = []
    for form in formats:
        check_structure(folder, form, [trial.part for trial in trials], labels(blueprint))
        outputs = outputs_of(folder, form, trials)
        parts += [part_report(trial, form, outputs) for trial in trials]
        lists += list_reports(trials[-1].outputs[LISTS], outputs[f"{HEAD}|{LISTS}"], form)
    return Report(signatures={t.part.name: t.part.signature for t in trials}, parts=tuple(parts), lists=tuple(lists))


def labels(blueprint: Blueprint) -> dict[str, str]:
    """What every exported file carries, so that it can be told where it came from."""
    return {"rec_export.model": str(blueprint.model["name"]), "rec_export.weights_sha256": blueprint.weights}


def trials_of(parts: tuple[Part, Part, Part], blueprint: Blueprint, catalogue: Catalogue) -> tuple[Trial, Trial, Trial]:
    """What is tried on each part. The head is tried on the trained towers' vectors, so that its faults are its own."""
    user, item, head = parts
    history = blueprint.data.history
    users = trial(user, tower_cases(user.inputs, catalogue.users, catalogue, history))
    items = trial(item, tower_cases(item.inputs, catalogue.items, catalogue, history))
    user_vec, item_vec = users.outputs[LISTS], items.outputs[LISTS]
    scores = trial(head, head_cases(user_vec, item_vec))
    scores.outputs[LISTS] = evaluated(head, Case(LISTS, {"user_vec": user_vec, "item_vec": item_vec}))
    return users, items, scores


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
            raise refused(f"{form}/{part.name}", fault)


def outputs_of(folder: Path, form: Runtime, trials: Iterable[Trial]) -> Arrays:
    """What the exported files give for every case, by part|case, from a process and a directory of their own."""
    inputs = {
        f"{trial.part.name}|{case.name}|{name}": np.ascontiguousarray(array)
        for trial in trials
        for case in trial.cases
        for name, array in case.inputs.items()
    }
    with tempfile.TemporaryDirectory() as place:
        cases, out = Path(place, "cases.safetensors"), Path(place, "out.safetensors")
        save_file(inputs, cases)
        # -P keeps exporters/ off the path: its onnx.py is not the onnx that libraries import
        command = [sys.executable, "-P", candidate.__file__, str(folder.resolve()), form, str(cases), str(out)]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            last = (done.stdout or done.stderr).splitlines()[-1:]
            raise refused(form, f"{' '.join(last)} (its process ended with exit code {done.returncode})")
        return load_file(out)


def part_report(trial: Trial, form: Runtime, outputs: Arrays) -> PartReport:
    """Compare one exported part over all its cases. Raises ParityError at the first that is not the same."""
    worst_difference, worst_share, worst_case = 0.0, -1.0, ""
    for case in trial.cases:
        name = trial.part.name
        found = difference(trial.outputs[case.name], outputs[f"{name}|{case.name}"], TOLERANCES[form])
        if found.fault:
            raise refused(f"{form}/{name}", f"in the case {case.name!r} {found.fault}")
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


def list_reports(reference: Float32, candidate: Float32, form: Runtime) -> list[ListReport]:
    """Compare the lists from two float32 [B, N]. Raises ParityError when more than ties differs."""
    users, items = reference.shape
    if not (np.isfinite(reference).all() and np.isfinite(candidate).all()):
        raise refused(form, "scores of real users and items are not finite")
    eps = TOLERANCES[form].allowed(reference).max(axis=1, keepdims=True, initial=0.0)
    reports = []
    for k in sorted({min(k, items) for k in KS}):
        found = compared(reference, candidate, eps, k)
        if found.wrong or found.inversions:
            fault = (
                f"in the lists of {users} users, {found.wrong} items are wrong and {found.inversions} are out of order"
            )
            raise refused(form, f"{fault} at k = {k}")
        reports.append(
            ListReport(format=form, k=k, users=users, items=items, identical=found.identical, overlap=found.overlap)
        )
    return reports


def refused(artefact: str, fault: str) -> ParityError:
    """The sentence for an export that is not the trained model."""
    return ParityError(
        f"{artefact} is not the trained model: {fault}; use another format, and report what you see here"
    )
