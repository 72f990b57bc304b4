"""A bundle as a sealed directory: a manifest with the sha256 of every other file, and a seal with its own."""

from pathlib import Path
from typing import final

from rec_export.errors import DeviceError, MissingInputError, ModelError, UsageError
from rec_export.files import absent, files_below, sha256
from rec_export.machine import free_memory
from rec_export.record import Record
from rec_export.run_manifest import is_run
from rec_export.words import are, counted

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"  # as `sha256sum` writes it


@final
class File(Record):
    """A file of the bundle as it was written."""

    path: str
    bytes: int
    sha256: str


def write_manifest(folder: Path, manifest: Record) -> None:
    """Write the manifest and its seal, the last files of a bundle."""
    manifest.write(folder / MANIFEST)
    (folder / SEAL).write_text(f"{sha256(folder / MANIFEST)}  {MANIFEST}\n", encoding="ascii")


def check_manifest(folder: Path) -> None:
    """Raise ModelError unless the manifest is the one that was written, UsageError where it is that of a run."""
    if not folder.is_dir():
        raise absent(folder, f"make the bundle with `rec-export export CHECKPOINT --out {folder}`")
    if not (folder / MANIFEST).is_file():
        raise no_bundle(folder)
    if not (folder / SEAL).is_file() and not is_run(folder / MANIFEST):
        raise ModelError(f"{folder / SEAL} is missing, so nothing tells who changed what; restore it or export again")
    seal = (folder / SEAL).read_bytes() if (folder / SEAL).is_file() else b""
    if seal != f"{sha256(folder / MANIFEST)}  {MANIFEST}\n".encode():
        if is_run(folder / MANIFEST):
            raise UsageError(f"{folder} is a run that the gates refused, and no bundle; `rec-export inspect` shows it")
        raise ModelError(f"{folder / MANIFEST} is not what was exported; restore it or export again")


def no_bundle(folder: Path) -> UsageError | MissingInputError:
    """What a folder without a manifest is instead, and where a bundle lies near it."""
    if (folder / "spec.json").is_file():
        return UsageError(f"{folder} is a checkpoint; export it first: rec-export export {folder} --out BUNDLE")
    inside, beside = (sorted(place.glob(f"*/{SEAL}")) for place in (folder, folder.parent))
    near = [seal.parent for seal in (*inside, *beside) if (seal.parent / MANIFEST).is_file()]
    hint = f"did you mean {near[0]}?" if near else "name what `rec-export export` made"
    return MissingInputError(f"{folder} is no bundle, as it holds no {MANIFEST}; {hint}")


def listed(folder: Path) -> tuple[File, ...]:
    """Every file below `folder` but the manifest."""
    return tuple(
        File(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=sha256(path))
        for path in files_below(folder)
        if path.name not in (MANIFEST, SEAL) or path.parent != folder
    )


def unchanged(path: Path, file: File) -> bool:
    """Whether a file is what it was. Its size is looked at first, as reading a hostile one would take for ever."""
    return not path.is_symlink() and path.stat().st_size == file.bytes and sha256(path) == file.sha256


def refuse_too_large(folder: Path, files: tuple[File, ...]) -> None:
    """Raise DeviceError where one file of the bundle alone is larger than what is left of the memory."""
    largest, free = max(files, key=lambda file: file.bytes), free_memory()
    if largest.bytes > free:
        raise DeviceError(
            f"{largest.path} in the bundle {folder} holds {largest.bytes:,} bytes, but only {free:,} bytes of memory"
            " are free; free some, or use a larger machine"
        )


def check_files(folder: Path, files: tuple[File, ...]) -> None:
    """Raise ModelError unless the files below `folder` are exactly those that were written."""
    found = {path.relative_to(folder).as_posix() for path in files_below(folder)} - {MANIFEST, SEAL}
    missing = sorted({file.path for file in files} - found)
    if missing:
        raise ModelError(f"{some_of(missing, 'of', folder)} missing, the first being {missing[0]}; export it again")
    strange = sorted(found - {file.path for file in files})
    if strange:
        raise ModelError(
            f"{some_of(strange, 'in', folder)} not in its manifest, the first being {strange[0]}; remove"
            f" {'it' if len(strange) == 1 else 'them'}"
        )
    changed = [file.path for file in files if not unchanged(folder / file.path, file)]
    if changed:
        raise ModelError(
            f"{some_of(changed, 'of', folder)} not what was exported, the first being {changed[0]}; restore"
            f" {'it' if len(changed) == 1 else 'them'} or export again"
        )


def some_of(files: list[str], where: str, folder: Path) -> str:
    """`1 file of the bundle x is`, `2 files of the bundle x are`."""
    return f"{counted(len(files), 'file')} {where} the bundle {folder} {are(files)}"
