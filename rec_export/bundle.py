"""bundle/: the exported towers with what is needed to use them, and the proof. A reader checks every hash first."""

from pathlib import Path
from typing import NamedTuple, Self, final

from pydantic import Field
from safetensors.torch import load_file

from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Blueprint
from rec_export.record import Record
from rec_export.sealed import MANIFEST, File, check_files, check_manifest, refuse_too_large
from rec_export.towers import Head, Input
from rec_export.variant import Variant

FORMAT = 1


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
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict)  # on validation rows, beside what must be beaten
    variants: tuple[Variant, ...] = ()  # smaller copies of the ONNX towers, with their price
    stages: dict[str, float] = Field(default_factory=dict)  # seconds of the export
    files: tuple[File, ...]

    @property
    def runtimes(self) -> tuple[str, ...]:
        """What can run the towers; the exact ones first."""
        return (*self.formats, *(variant.name for variant in self.variants))

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
        """Check sizes and hashes, then read; nothing is loaded before. Raises MissingInputError, ModelError or
        DeviceError.
        """
        manifest = manifest_of(folder)
        refuse_too_large(folder, manifest.files)
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


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a bundle, once its seal was checked. Raises MissingInputError, UsageError or ModelError."""
    check_manifest(folder)
    return Manifest.read_format(folder / MANIFEST, FORMAT, "export it again")
