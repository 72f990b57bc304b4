"""parity/cases/ of a bundle: the calls of both towers that were tried, so that they can be tried again anywhere."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from exporters.cases import Arrays, Case, tower_cases
from exporters.parts import Part
from rec_export.catalogue import Catalogue, Side
from rec_export.checkpoint import Blueprint
from rec_export.errors import ModelError
from rec_export.progress import passed

CASES = "parity/cases"


def write_corpus(folder: Path, parts: tuple[Part, Part, Part], blueprint: Blueprint, catalogue: Catalogue) -> None:
    """Write {tower}.safetensors, its arrays named number|case|input."""
    (folder / CASES).mkdir(parents=True)
    for part, side in zip(parts, catalogue, strict=False):
        cases = made(part, side, blueprint, catalogue)
        arrays = {
            f"{number:03}|{case.name}|{name}": np.asarray(array, order="C")
            for number, case in enumerate(cases)
            for name, array in case.inputs.items()
        }
        save_file(arrays, path_of(folder, part))
        passed()


def corpus(folder: Path, part: Part, side: Side, blueprint: Blueprint, catalogue: Catalogue) -> list[Case]:
    """The cases of a tower that lie in `folder`; made anew for a bundle of a version that left none."""
    if not path_of(folder, part).exists():
        return made(part, side, blueprint, catalogue)
    inputs: dict[str, Arrays] = {}
    try:
        for key, array in sorted(load_file(path_of(folder, part)).items()):
            number, case, name = key.split("|")
            inputs.setdefault(f"{number}|{case}", {})[name] = array
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path_of(folder, part)} is damaged ({error}); export the model again") from error
    return [Case(key.split("|")[1], arrays) for key, arrays in inputs.items()]


def made(part: Part, side: Side, blueprint: Blueprint, catalogue: Catalogue) -> list[Case]:
    """The cases of a tower, the same on each call."""
    return tower_cases(part.inputs, side, catalogue, blueprint.data.history)


def path_of(folder: Path, part: Part) -> Path:
    """Where the cases of a tower lie."""
    return folder / CASES / f"{part.name}.safetensors"
