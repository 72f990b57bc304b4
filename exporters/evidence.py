"""What stays of an export that is not the trained model: OUT.refused/, with the smallest call that shows it.

    refusal.json      what was wrong, with which file; the blueprint; sha256 of the refused files
    export/           the refused files as they would have become OUT, without a manifest: nothing scores from them
    parity/cases/     the smallest call, as safetensors

`rec-export verify` of a bundle leaves the same without export/, for the bundle is where it was.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import starmap
from pathlib import Path
from shlex import join
from typing import NamedTuple, final

from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from exporters.candidate import RECOMMENDER, unpacked
from exporters.cases import Arrays, Case
from exporters.corpus import CASES
from exporters.featured import FeatureTrial, feature_fault, feature_trials
from exporters.formats import FORMATS
from exporters.fresh import LIMIT, CallError, Files, RefusalError, fresh, packed
from exporters.minimal import minimal
from exporters.parity import labels, part_fault, trained_parts
from exporters.recommended import Truth, list_fault
from exporters.recommender import item_vectors, recommender_fault, signature
from rec_export import __version__
from rec_export.bundle import Bundle
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Blueprint, read_trend
from rec_export.choices import Runtime
from rec_export.errors import MissingInputError, ModelError, OutputExistsError, ParityError, StorageError, UsageError
from rec_export.files import new_directory, refuse_existing
from rec_export.record import Record
from rec_export.runtime import FILES
from rec_export.sealed import File, check_files, listed
from rec_export.towers import Input

REFUSAL = "refusal.json"
EXPORT = "export"


@final
class Refusal(Record):
    """refusal.json."""

    made_by: str
    made_at: str  # UTC, ISO 8601
    artefact: str  # such as onnx/user_tower
    fault: str
    case: str | None  # the file below parity/cases, where a call shows the fault
    blueprint: Blueprint
    files: tuple[File, ...]  # of export/


@final
class Opened(Record):
    """A folder with exported files, whole by its hashes: a bundle, or a refused export."""

    folder: Path
    blueprint: Blueprint
    limit: float = LIMIT  # seconds that one call of a file may take

    @property
    def catalogue(self) -> Catalogue:
        """Both tables."""
        sizes = self.blueprint.sizes
        return Catalogue.read(self.folder, sizes.users.rows, sizes.items.rows)


def opened(folder: Path, limit: float = LIMIT) -> Opened:
    """Check the hashes of a bundle or of a refused export. Raises MissingInputError or ModelError."""
    if not (folder / REFUSAL).is_file():
        return Opened(folder=folder, blueprint=Bundle.read(folder).manifest.blueprint, limit=limit)
    refusal = Refusal.read(folder / REFUSAL)
    if not refusal.files:
        raise UsageError(f"{folder} holds a case alone, found by verify; name the bundle that it was found in")
    check_files(folder / EXPORT, refusal.files)
    return Opened(folder=folder / EXPORT, blueprint=refusal.blueprint, limit=limit)


def check_bundle(folder: Path) -> None:
    """Raise UsageError where a folder is evidence and no bundle."""
    if (folder / REFUSAL).is_file():
        name = Refusal.read(folder / REFUSAL).case
        how = f"see its fault with --case {join([str(folder / CASES / name)])}" if name else f"{REFUSAL} says why"
        raise UsageError(f"{folder} is a refused export; {how}")


def place_of(out: Path) -> Path:
    """Where the evidence against an export to `out` goes."""
    whole = out.absolute()
    if not whole.name:
        raise UsageError(f"{out} cannot be the name of a bundle; name a directory of its own")
    return whole.with_name(f"{whole.name}.refused") if out.name in ("", "..") else out.with_name(f"{out.name}.refused")


def check_place(out: Path) -> None:
    """Raise OutputExistsError where something stands in the evidence's place that is no evidence."""
    if not (place_of(out) / REFUSAL).is_file():
        refuse_existing(place_of(out))


def withdraw(out: Path) -> None:
    """Remove the evidence against an earlier export to `out`, as a good one stands there now."""
    if (place_of(out) / REFUSAL).is_file():
        shutil.rmtree(place_of(out), ignore_errors=True)


def kept(error: RefusalError, exported: Opened, out: Path) -> ParityError:
    """Write the evidence against an export to `out`, in place of older evidence; the error that tells of it."""
    wrong = f"{error.artefact} is not the trained model: {error.fault}; use another format, and report what"
    try:
        return ParityError(f"{wrong} {write_evidence(error, exported, out)}")
    except (OutputExistsError, StorageError, OSError) as failure:  # the verdict stands all the same
        return ParityError(f"{wrong} you see here (nothing more could be kept: {failure})")


def write_evidence(error: RefusalError, exported: Opened, out: Path) -> str:
    """Write it beside `out`; the words that say where it is, or what shows the fault again."""
    place, own = place_of(out), exported.folder != out
    case = smallest(error, exported)
    name = None if case is None else f"{error.artefact.replace('/', '-')}.safetensors"
    if (place / REFUSAL).is_file():
        shutil.rmtree(place)
    with new_directory(place) as work:
        if own:
            shutil.copytree(exported.folder, work / EXPORT)
        if case is not None and name is not None:
            write_case(case, error.artefact, work / CASES / name)
        Refusal(
            made_by=f"rec-export {__version__}",
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            artefact=error.artefact,
            fault=error.fault,
            case=name,
            blueprint=exported.blueprint,
            files=listed(work / EXPORT) if own else (),
        ).write(work / REFUSAL)
    if name is None:
        return f"lies in {place}" if own else "you see here"
    return (
        f"this shows: {join(['rec-export', 'verify', str(place if own else out), '--case', str(place / CASES / name)])}"
    )


def smallest(error: RefusalError, exported: Opened) -> Case | None:
    """The refused case cut down; None where no single call shows the fault."""
    if error.case is None or not error.cut:
        return error.case
    with asked(error.artefact, exported) as (ports, fault):
        if fault(error.case.inputs) is None:
            return None
        inputs = minimal(error.case.inputs, ports, lambda tried: fault(tried) is not None)
    return Case(error.case.name, inputs)


class Question(NamedTuple):
    """What an exported file takes, what is wrong with its structure, and how one call of it is judged."""

    ports: tuple[Input, ...]
    fault: str | None
    answer: Callable[[Arrays], str | None]


@contextmanager
def asked(artefact: str, exported: Opened) -> Iterator[tuple[tuple[Input, ...], Callable[[Arrays], str | None]]]:
    """The inputs of an exported file, and a question: how does it differ from the trained model when called so?

    Only files whose structure is right are loaded, as in the proof. Raises ModelError where there is no such file.
    """
    form, _, name = artefact.partition("/")
    if form not in FORMATS or not (exported.folder / FILES[form].format(name)).is_file():
        raise ModelError(f"{exported.folder} holds no {artefact}; name a case that was stored for it")
    with fresh(exported.folder, form, limit=exported.limit) as files:
        question = question_of(form, name, exported, files)
        fault = question.fault
        yield question.ports, question.answer if fault is None else lambda _: fault


def question_of(form: Runtime, name: str, exported: Opened, files: Files) -> Question:
    """The question to a part, to a feature graph, or to the recommender."""
    folder, blueprint = exported.folder, exported.blueprint
    parts, wanted = trained_parts(folder, blueprint), labels(blueprint)
    for part in parts:
        if part.name == name:
            fault = FORMATS[form].fault(part, folder / FILES[form].format(name), wanted)
            return Question(part.inputs, fault, partial(part_fault, part, form, files))
    for trial in feature_trials(parts, exported.catalogue, blueprint.clock, read_trend(folder)):
        if trial.name == name:
            fault = feature_fault(folder, trial, wanted)
            tried = trial if fault is not None else trial.as_written(folder)
            return Question(trial.inputs, fault, partial(features_answer, tried, files))
    item_vec = item_vectors(parts[1], exported.catalogue, read_trend(folder))
    habits = blueprint.habit is not None
    truth = Truth.of(parts[0], parts[2], item_vec, [], habits)
    fault = recommender_fault(parts[0], item_vec, folder, wanted, habits)
    ports, _ = signature(parts[0], len(item_vec), habits)
    return Question(ports, fault, partial(recommender_answer, truth, files))


def recommender_answer(truth: Truth, files: Files, inputs: Arrays) -> str | None:
    """How the lists of one call differ from the trained model's, or None."""
    try:
        return list_fault(truth, Case("", inputs), files(RECOMMENDER, inputs)).fault
    except CallError as error:
        return f"it {error}"


def features_answer(trial: FeatureTrial, files: Files, inputs: Arrays) -> str | None:
    """How the features of one call differ from FeatureState's, or None."""
    try:
        return trial.compared(inputs, files(trial.name, inputs)).fault
    except CallError as error:
        return f"it {error}"


def reproduced(folder: Path, path: Path, limit: float = LIMIT) -> str:
    """Call the file that a stored case is about once more. What was the same, or ParityError."""
    artefact, case = read_case(path)
    with asked(artefact, opened(folder, limit)) as (_, fault):
        found = fault(case.inputs)
    if found is not None:
        raise ParityError(f"{artefact} is not the trained model: in {path} ({case.name}) {found}")
    return f"{artefact} gives what the trained model gives in {path} ({case.name})"


def write_case(case: Case, artefact: str, path: Path) -> None:
    """One call as safetensors; what it is about stands in the file's metadata."""
    path.parent.mkdir(parents=True)
    arrays = dict(packed(artefact, name, array) for name, array in case.inputs.items())
    save_file(arrays, path, {"artefact": artefact, "case": case.name})


def read_case(path: Path) -> tuple[str, Case]:
    """The artefact that a stored case is about, and the case."""
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist; name a case that a refusal has left in {CASES}")
    try:
        with safe_open(path, "numpy") as file:
            told = file.metadata()
        return told["artefact"], Case(told["case"], dict(starmap(unpacked, load_file(path).items())))
    except (SafetensorError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is no case that rec-export has stored; name another") from error
