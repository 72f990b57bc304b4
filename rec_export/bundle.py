"""bundle/: the exported towers with what is needed to use them, and the proof. A reader checks every hash first."""

from pathlib import Path
from typing import NamedTuple, Self, final

from safetensors.torch import load_file

from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Blueprint
from rec_export.errors import MissingInputError, ModelError, UsageError
from rec_export.files import files_below, sha256
from rec_export.record import Record
from rec_export.towers import Head, Input

FORMAT = 1
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"  # as `sha256sum` writes it


@final
class File(Record):
    """A file of the bundle as it was written."""

    path: str
    bytes: int
    sha256: str


@final
class ParitySummary(Record):
    """How far one exported part is from the trained one, over all cases of parity/report.json."""

    artefact: str  # such as "onnx/user_tower"
    cases: int
    worst_difference: float  # absolute, or relative where the numbers of a row exceed 1
    same_lists: bool  # every top-K list equal, ties apart


@final
class Signature(Record):
    """How to call a file: by these names, in this order."""

    inputs: tuple[Input, ...]
    outputs: tuple[Input, ...]


@final
class Manifest(Record):
    """manifest.json: what the bundle is, how to call its towers, and the sha256 of every other file."""

    format: int = FORMAT
    made_by: str
    made_at: str  # UTC, ISO 8601
    checkpoint: str  # sha256 of the trained weights
    blueprint: Blueprint
    signatures: dict[str, Signature]  # of user_tower, item_tower, pair_head and, with ONNX, recommender
    unknown: dict[str, str]  # what becomes of a value that an input does not know, by the input's name
    formats: tuple[str, ...]
    versions: dict[str, str]
    parity: tuple[ParitySummary, ...]
    files: tuple[File, ...]

    @property
    def user_inputs(self) -> tuple[Input, ...]:
        """What the user tower reads, in order."""
        return self.signatures["user_tower"].inputs

    @property
    def item_inputs(self) -> tuple[Input, ...]:
        """What the item tower reads, in order."""
        return self.signatures["item_tower"].inputs


@final
class Bundle(NamedTuple):
    """A bundle whose files are all as they were written."""

    folder: Path
    manifest: Manifest
    catalogue: Catalogue

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Check the hashes, then read; nothing is loaded before. Raises MissingInputError or ModelError."""
        manifest = manifest_of(folder)
        check_files(folder, manifest.files)
        sizes = manifest.blueprint.sizes
        return cls(folder, manifest, Catalogue.read(folder, sizes.users.rows, sizes.items.rows))

    def pair_head(self) -> Head:
        """The pair head with its weights, for the top-K engine."""
        head = self.manifest.blueprint.head()
        weights = load_file(self.folder / "weights.safetensors")
        mine = {name.removeprefix("pair_head."): w for name, w in weights.items() if name.startswith("pair_head.")}
        head.load_state_dict(mine, assign=True)
        return head.eval()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and its seal, the last files of a bundle."""
    manifest.write(folder / MANIFEST)
    (folder / SEAL).write_text(f"{sha256(folder / MANIFEST)}  {MANIFEST}\n", encoding="ascii")


def check_manifest(folder: Path) -> None:
    """Raise ModelError unless the manifest is the one that was written."""
    if not folder.is_dir():
        raise MissingInputError(
            f"the bundle {folder} does not exist; make it with `rec-export export CHECKPOINT --out {folder}`"
        )
    if not (folder / MANIFEST).is_file():
        raise no_bundle(folder)
    seal = (folder / SEAL).read_bytes() if (folder / SEAL).is_file() else b""
    if seal != f"{sha256(folder / MANIFEST)}  {MANIFEST}\n".encode():
        raise ModelError(f"{folder / MANIFEST} is not what was exported; restore it or export again")


def no_bundle(folder: Path) -> UsageError | MissingInputError:
    """What a folder without a manifest is instead, and where a bundle lies near it."""
    if (folder / "spec.json").is_file():
        return UsageError(f"{folder} is a checkpoint; export it first: rec-export export {folder} --out BUNDLE")
    seals = [*folder.glob(f"*/{SEAL}"), *folder.parent.glob(f"*/{SEAL}")]
    near = sorted(seal.parent for seal in seals if (seal.parent / MANIFEST).is_file())
    hint = f"did you mean {near[0]}?" if near else "name what `rec-export export` made"
    return MissingInputError(f"{folder} is no bundle, as it holds no {MANIFEST}; {hint}")


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a bundle, once its seal was checked. Raises MissingInputError, UsageError or ModelError."""
    check_manifest(folder)
    manifest = Manifest.read(folder / MANIFEST)
    if manifest.format != FORMAT:
        raise ModelError(f"{folder} has format {manifest.format}, this version reads {FORMAT}; export it again")
    return manifest


def listed(folder: Path) -> tuple[File, ...]:
    """Every file below `folder` but the manifest."""
    return tuple(
        File(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=sha256(path))
        for path in files_below(folder)
        if path.name not in (MANIFEST, SEAL) or path.parent != folder
    )


def check_files(folder: Path, files: tuple[File, ...]) -> None:
    """Raise ModelError unless the files below `folder` are exactly those that were written."""
    found = {path.relative_to(folder).as_posix() for path in files_below(folder)} - {MANIFEST, SEAL}
    missing = sorted({file.path for file in files} - found)
    if missing:
        raise ModelError(
            f"{len(missing)} files of the bundle {folder} are missing, the first being {missing[0]}; export it again"
        )
    strange = sorted(found - {file.path for file in files})
    if strange:
        raise ModelError(
            f"{len(strange)} files in the bundle {folder} are not in its manifest, the first being {strange[0]};"
            " remove them"
        )
    changed = [f.path for f in files if (folder / f.path).is_symlink() or sha256(folder / f.path) != f.sha256]
    if changed:
        raise ModelError(
            f"{len(changed)} files of the bundle {folder} are not what was exported, the first being {changed[0]};"
            " restore them or export again"
        )
