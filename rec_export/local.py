"""What a command takes for a path, which is one on this machine, for a number, which is finite, and for a word."""

import math
from pathlib import Path
from typing import Any

import click

from rec_export.errors import UsageError
from rec_export.paths import local_path


class LocalPath(click.Path):
    """A path on this machine; what cannot be read there is refused by name, not by click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises UsageError for what is elsewhere, which would be taken for a folder named s3: here."""
        if "://" in str(value):
            raise UsageError(
                f"{value} is not on this machine; copy here what is to be read, and name a folder here for what is made"
                " (docs/howto/s3.md)"
            )
        path = super().convert(value, param, ctx)
        return local_path(path) if isinstance(path, Path) else path


class Word(click.Choice[str]):
    """Words of the configuration, which an option writes with dashes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word as the configuration has it."""
        return super().convert(value, param, ctx).replace("-", "_")


class Finite(click.FloatRange):
    """A number that is neither nan, which no range of click keeps out, nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A usage error for anything else."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number

    def _describe_range(self) -> str:
        """What --help says of the bounds; click says `x<=None` where there are none."""
        return "" if self.min is None and self.max is None else super()._describe_range()


BAD_ROWS = Word(["refuse", "leave-out"])
PATH = LocalPath(path_type=Path, readable=False)
