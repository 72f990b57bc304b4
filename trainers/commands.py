"""The commands that train and judge models."""

from pathlib import Path
from typing import Any, get_args

import click

from rec_export.choices import MOST_K, SeenRule
from rec_export.local import PATH, Finite
from rec_export.words import counted

TRACK = click.option("--track", metavar="STORE", help="Tell MLflow: a file such as mlflow.db, or the URL of a server.")


@click.command()
@click.argument("config", type=PATH)
@click.option("--out", type=PATH, required=True, help="The checkpoint, a new directory.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, as in --set model.dim=128.")
@click.option("--device", help="auto, cpu or cuda; instead of training.device.")
@click.option("--resume", is_flag=True, help="Go on with a training that was killed or interrupted, if there is one.")
@TRACK
@click.option("--dry-run", is_flag=True, help="Say what would happen and what it needs; write nothing.")
def train(
    config: Path,
    out: Path,
    changes: tuple[str, ...],
    device: str | None,
    resume: bool,
    track: str | None,
    dry_run: bool,
) -> None:
    """Train the model that the YAML file CONFIG describes."""
    from rec_export.progress import starting

    with starting(1700):
        from rec_export.config import Config
        from rec_export.tracking import track_change
        from trainers.job import TrainJob, run
        from trainers.parallel import joined

    if device:
        changes = (*changes, f"training.device={device}")
    job = TrainJob(config=Config.load(config, (*changes, *track_change(track))), out=out, resume=resume)
    if dry_run:
        from trainers.dry_run import dry_run as foretell

        click.echo("\n".join(foretell(job).lines()))
        return
    with joined() as group:
        outcome = run(job, group=group)
    if not group.first:
        return
    kinds = {"validation": outcome.held_out}
    if outcome.returning:
        kinds = {"validation, what is new": outcome.held_out, "validation, everything": outcome.returning}
    for kind, held_out in kinds.items():
        for name, metrics in held_out.items():
            figures = ", ".join(f"{metric} {value:.4f}" for metric, value in metrics.items())
            click.echo(f"{kind}, {name:>7}: {figures}")
    for remark in outcome.remarks(job.config.model["name"]):
        click.echo(f"WARNING   {remark}")
    click.echo(
        f"{counted(outcome.rows, 'row')}, {counted(outcome.users, 'user')}, {counted(outcome.items, 'item')},"
        f" {counted(outcome.parameters, 'parameter')}; {counted(outcome.best_epoch, 'epoch')},"
        f" {outcome.seconds:.0f} s: {out}"
    )


@click.command()
@click.argument("checkpoint", type=PATH)
@click.option(
    "--test",
    type=PATH,
    help="Held-out rows; the split's own test part where not given.",
)
@click.option(
    "--k",
    type=click.IntRange(1, MOST_K),
    multiple=True,
    default=(5, 10, 20, 50),
    show_default=True,
    help="Lengths of lists.",
)
@click.option(
    "--bootstrap", type=click.IntRange(min=100), default=1000, show_default=True, help="Draws for the 95% intervals."
)
@click.option(
    "--against",
    type=PATH,
    help="Another checkpoint, or lists of another system (user_id, item_id, rank), for paired differences.",
)
@click.option(
    "--seen",
    type=click.Choice(get_args(SeenRule)),
    help="Whether what users had met counts, and may be listed, as well.  [default: score.seen]",
)
@click.option(
    "--negatives",
    type=click.IntRange(min=1),
    help="Rank each held-out item among so many drawn ones as well (99 in many papers).",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--out", type=PATH, help="A new directory that keeps what was found, for `report`.")
@TRACK
@click.option("--verbose", is_flag=True, help="Print every length of lists, of warm and of cold users too.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def evaluate(checkpoint: Path, verbose: bool, as_json: bool, track: str | None, **options: Any) -> None:
    """Judge CHECKPOINT by full ranking, beside popular lists (of all time and recent) and random ones."""
    from rec_export.progress import starting

    with starting(1800):
        from rec_export.tracking import Tracking
        from trainers.evaluate import EvaluateJob, run
        from trainers.tables import evaluation_lines

    tracking = None if track is None else Tracking.of({"store": track}, "--track")
    result = run(EvaluateJob(checkpoint=checkpoint, tracking=tracking, **options))
    click.echo(result.model_dump_json(indent=2) if as_json else "\n".join(evaluation_lines(result, verbose)))


@click.command()
@click.argument("config", type=PATH)
@click.option("--out", type=PATH, required=True, help="A directory for all checkpoints.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME:KEY=VALUE",
    help="What to compare with the configuration as it is, as in no-gate:model.gate=false; more :KEY=VALUE may follow.",
)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key of all variants.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Trainings of each variant.")
@click.option("--test", type=PATH, help="Held-out rows, where the split has no test part.")
@click.option("--against", type=PATH, help="Lists of another system, for paired differences.")
@click.option("--k", type=click.IntRange(1, MOST_K), default=10, show_default=True, help="Length of lists.")
@click.option(
    "--bootstrap", type=click.IntRange(min=100), default=1000, show_default=True, help="Draws for the 95% intervals."
)
@click.option("--device", help="auto, cpu or cuda; instead of training.device.")
@TRACK
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def ablate(
    variants: tuple[str, ...], changes: tuple[str, ...], track: str | None, as_json: bool, **options: Any
) -> None:
    """Train CONFIG, and variants of it alike, over several seeds; judge them, with paired intervals."""
    from rec_export.progress import starting

    with starting(1800):
        from rec_export.tracking import track_change
        from trainers.ablate import AblateJob, Variant, run
        from trainers.tables import ablation_lines

    changes = (*changes, *track_change(track))
    result = run(AblateJob(variants=tuple(map(Variant.parsed, variants)), changes=changes, **options))
    click.echo(result.model_dump_json(indent=2) if as_json else "\n".join(ablation_lines(result)))


@click.command("find-lr")
@click.argument("config", type=PATH)
@click.option(
    "--out",
    type=PATH,
    required=True,
    help="A new directory for figures and plot.",
)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key of the configuration.")
@click.option("--low", type=Finite(0, min_open=True), default=1e-5, show_default=True, help="The first rate.")
@click.option("--high", type=Finite(0, min_open=True), default=1.0, show_default=True, help="The last rate.")
@click.option("--steps", type=click.IntRange(min=20), default=200, show_default=True, help="Batches of each test.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Tests, which are averaged.")
def find_lr(config: Path, out: Path, changes: tuple[str, ...], **options: Any) -> None:
    """Find a learning rate for CONFIG: let it grow batch by batch, and look where the loss falls fastest."""
    from rec_export.progress import starting

    with starting(1700):
        from rec_export.config import Config
        from trainers.find_lr import FindLrJob, run

    result = run(FindLrJob(config=Config.load(config, changes), out=out, **options))
    click.echo(f"{result.line()}: {out}/range.png")


@click.command()
@click.argument("config", type=PATH)
@click.option(
    "--out",
    type=PATH,
    required=True,
    help="A directory for the study and best.yaml.",
)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key of all trials.")
@click.option(
    "--search",
    multiple=True,
    metavar="KEY=LOW..HIGH",
    help="A key to search, or KEY=A,B,C.  [default: learning rate, decay of embeddings, dropout]",
)
@click.option("--trials", type=click.IntRange(min=1), default=30, show_default=True, help="Earlier ones count.")
@click.option("--device", help="auto, cpu or cuda; instead of training.device.")
@TRACK
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def tune(
    search: tuple[str, ...], changes: tuple[str, ...], track: str | None, as_json: bool, out: Path, **options: Any
) -> None:
    """Search for settings that do better on the validation rows of CONFIG; the same command goes on."""
    from rec_export.progress import starting

    with starting(1800):
        from rec_export.tracking import track_change
        from trainers.space import Choice
        from trainers.tune import TuneJob, run

    changes = (*changes, *track_change(track))
    result = run(TuneJob(choices=tuple(map(Choice.parsed, search)), changes=changes, out=out, **options))
    if as_json:
        click.echo(result.model_dump_json(indent=2))
        return
    said = " ".join(f"--set {change}" for change in result.changes) or "the configuration as it is"
    click.echo(
        f"{result.metric} {result.first:.4f} -> {result.best:.4f} on validation rows, {counted(result.trials, 'trial')}"
        f" ({result.pruned} ended early): {said}"
    )
    click.echo(f"{out / 'best.yaml'}")
