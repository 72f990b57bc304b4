"""What a command takes for a path: one on this machine."""

from pathlib import Path
from typing import Any

import click

from rec_export.errors import UsageError


class LocalPath(click.Path):
    """A path on this machine; what cannot be read there is refused by name, not by click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises UsageError for what is elsewhere, which would be taken for a folder named s3: here."""
        if "://" in str(value):
            raise UsageError(
                f"{value} is not on this machine; copy here what is to be read, and name a folder here for what is made"
                " (docs/howto/s3.md)"
            )
        return super().convert(value, param, ctx)


PATH = LocalPath(path_type=Path, readable=False)
