"""Paths as they stand in files and sentences of ours, and as Arrow takes them."""

from pathlib import Path

from rec_export.errors import UsageError


def utf_8(path: Path) -> Path:
    """The same path. Raises UsageError where it is no UTF-8, as it would have to stand in files that are."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the path {str(path)!a} is not UTF-8; rename it") from error
    return path


def local_path(given: Path | str) -> Path:
    """A path as it was given, but whole where Arrow would take it for a URL, as it does `runs:1/x`."""
    path = utf_8(Path(given))
    return path.absolute() if any(":" in part for part in path.parts[:1]) else path


def below(folder: Path, path: Path) -> Path:
    """A path as seen from a folder, which is resolved; without the `..` at its beginning, so that it reads plainly."""
    while path.parts[:1] == ("..",):
        folder, path = folder.parent, Path(*path.parts[1:])
    return folder / path
