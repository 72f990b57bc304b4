"""The command `bench`."""

from pathlib import Path

import click

CASES = (
    "dot_k10_gauss",
    "dot_k100_gauss",
    "dot_k10_skew",
    "dot_k10_trained",
    "dot_k100_small",
    "mlp_k10",
    "mlp_k100",
    "mlp3_k10",
    "gated_k10",
)


@click.command()
@click.option("--case", "names", type=click.Choice(CASES), multiple=True, help="Only this one; may be repeated.")
@click.option("--users", type=click.IntRange(min=1), default=512, show_default=True)
@click.option("--items", type=click.IntRange(min=1000), default=160_000, show_default=True, help="Of the catalogue.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="The median counts.")
@click.option("--threads", type=click.IntRange(min=1), help="Of every way.  [default: all cores]")
@click.option("--device", "place", default="cpu", show_default=True, help="cpu or cuda; there beside torch alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw the report, as PNG.")
def bench(
    names: tuple[str, ...],
    users: int,
    items: int,
    rounds: int,
    threads: int | None,
    place: str,
    as_json: bool,
    picture: Path | None,
) -> None:
    """Measure how fast this machine finds the best items, beside the usual ways to do it. Takes about two minutes."""
    import torch

    from rec_export.bench import measure, table
    from rec_export.bench.cases import cases
    from rec_export.device import device_of
    from rec_export.files import absent

    device = device_of(place)
    if picture and not picture.absolute().parent.is_dir():
        raise absent(picture.parent, "make that folder first")
    if threads:
        torch.set_num_threads(threads)
    if not as_json:
        click.echo(f"{table.heading(measure.machine({}, device))}\n\n{table.TITLE}")
    known = cases(users, items)
    todo = [known[name] for name in names or CASES]
    report = measure.report(todo, rounds, lambda result: None if as_json else click.echo(table.row(result)), device)
    click.echo(report.as_json() if as_json else f"\n{table.footing(report.machine)}", nl=not as_json)
    if picture:
        table.plot(report, picture)
