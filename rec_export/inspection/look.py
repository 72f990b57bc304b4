"""Which kind of thing a path is."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from rec_export.errors import ModelError, UsageError
from rec_export.files import absent
from rec_export.inspection import models, published
from rec_export.inspection.shown import Inspection, Section, table
from rec_export.inspection.single import single
from rec_export.recs import FOLDER, Refused
from rec_export.sealed import MANIFEST

STEPS = "checkpoint", "bundle", "recs"
MARK = "job.json"  # in the directory of `rec-export run`
DETAILS = "Files", "Inputs and outputs"  # tables that only their own step shows


def look(path: Path) -> Inspection:
    """What a path holds. Hashes are checked before anything else is read.

    Raises MissingInputError, UsageError where rec-export wrote no such thing, ModelError or DataError where it is
    damaged.
    """
    try:
        return looked(path)
    except (KeyError, TypeError, AttributeError) as error:  # of JSON that is not of our making
        said = f"it lacks {error}" if isinstance(error, KeyError) else f"{error}"
        raise ModelError(f"{path} holds a manifest that rec-export did not write ({said}); make it again") from error


def looked(path: Path) -> Inspection:
    """The same, for a manifest that holds what it should."""
    if not path.exists():
        raise absent(path, "name a checkpoint, a bundle, a read root or an exported file")
    if path.is_file():
        return single(path)
    if (path / "spec.json").is_file():
        return models.checkpoint(path)
    kept = Refused.found(path)
    if kept is not None:
        return published.refused(path, kept)
    if (path / MANIFEST).is_file():
        return models.bundle(path)
    if FOLDER.fullmatch(path.resolve().name):
        return published.run(path.resolve())
    if any(FOLDER.fullmatch(inner.name) for inner in path.iterdir()):
        return published.root(path)
    inside = [path / step for step in STEPS if (path / step).is_dir()]
    if inside and (path / MARK).is_file():
        return together(path, [looked(step) for step in inside])
    if inside:
        raise UsageError(f"{path} holds several steps; inspect one of them: {', '.join(map(str, inside))}")
    raise UsageError(f"{path} is neither a checkpoint nor a bundle, nor a read root with dates")


def together(path: Path, steps: list[Inspection]) -> Inspection:
    """What `rec-export run` has left so far, step by step: for people the tables in brief, for machines everything."""
    tables = {
        f"{step.path.name}: {one.title}": one for step in steps for one in step.sections if one.title not in DETAILS
    }
    sections = tuple(one._replace(title=title) for title, one in unlike(tables))
    whole = [
        (shlex.join(("rec-export", "inspect", str(step.path))), ", ".join(one.title for one in step.sections))
        for step in steps
    ]
    told = "; ".join(f"{step.path.name}: {step.verified}" for step in steps)
    facts = {step.path.name: step.as_json() for step in steps}
    return Inspection("main job", path, told, facts, (*sections, *table("Everything", whole)))


def unlike(tables: dict[str, Section]) -> Iterator[tuple[str, Section]]:
    """The tables by title, without those that say again what one before them has said."""
    said: set[Section] = set()
    for title, one in tables.items():
        if one not in said:
            yield title, one
        said.add(one)
