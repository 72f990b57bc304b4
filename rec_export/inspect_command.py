"""The command `inspect`."""

import json
from pathlib import Path

import click

from rec_export.local import PATH


@click.command("inspect")
@click.argument("path", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print all that is known as JSON.")
def inspect(path: Path, as_json: bool) -> None:
    """Tell what PATH is: a checkpoint, a bundle, a read root, a run, or an .onnx, .pt2 or TorchScript file.

    Hashes are checked first; what is not as it was written is refused with exit code 65.
    """
    from rich.console import Console

    from rec_export.inspection.look import look

    found = look(path)
    console = Console()
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    elif console.is_terminal:
        found.show(console)
    else:
        click.echo("\n".join(found.lines()))
