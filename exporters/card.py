"""MODEL_CARD.md: what a stranger must know of a bundle, written from what is known and from nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exporters.candidate import RECOMMENDER
from exporters.features import NAMES
from exporters.parts import typed
from exporters.report import Report, alike
from rec_export.bundle import Manifest
from rec_export.catalogue import Catalogue
from rec_export.checkpoint import Blueprint
from rec_export.variant import Latency, Variant
from rec_export.words import counted, second_model, told_by_tables

LOADING = {
    "torchscript": 'torch.jit.load("torchscript/user_tower.pt")(inputs)',
    "onnx": 'onnxruntime.InferenceSession("onnx/user_tower.onnx").run(None, inputs)',
    "pt2": 'torch.export.load("pt2/user_tower.pt2").module()(**inputs)',
    "aoti": 'torch._inductor.aoti_load_package("aoti/user_tower.pt2")(**inputs)',
}
PRICE_HEAD = "copy", "size", "best 10 the same", "first item another", "NDCG@10", "HR@10", "time of 1 row", "of 4,096"
WHOLE_LISTS = "", "`onnx/recommender.onnx` gives whole lists, as of the last row that was learned from."


def unknown(blueprint: Blueprint, catalogue: Catalogue) -> dict[str, str]:
    """What becomes of a value that is not known, by the name of the input, or by what stands before its column."""
    titles = {f"text.{column}": "empty: no text; words that were not trained: count for nothing"
              for side in catalogue for column in side.state.state.text_columns}  # fmt: skip
    strings = {f"{kind}.{column}": f"missing: U+FFFF, which is in no vocabulary; {what}"
               for side in catalogue
               for kind, columns, what in (
                   ("category", side.state.state.category, "another value that was not trained: unknown as well"),
                   ("tags", side.state.state.tag_columns, "other tags that were not trained count for nothing as well"),
               )
               for column in columns}  # fmt: skip
    finite = "must be finite: of NaN comes NaN, for which nothing is recommended"
    most = blueprint.data.history
    return (
        titles
        | strings
        | {
            "row": "outside the rows that were trained: the one row for all that is out of vocabulary",
            "dense": "NaN: the median of the training rows, and flagged as missing",
            "category": "outside the vocabulary of its column: unknown, which has an embedding of its own",
            "tags": "outside the vocabulary: counts for nothing",
            "text": "zeros: no text",
            "history": f"outside the {blueprint.sizes.items.rows:,} items that were trained: its place counts for"
            f" nothing, and the others keep theirs; of more than {most} items give the newest {most}, as in training",
            "history_length": "places from it on count for nothing; it is at most the number of places",
            "context": finite,
            "trend": finite,
            "seen": "no item row: hides nothing",
            "added": "no item row: changes nothing. Each item once: what is told twice is added twice",
            "term": "must be finite; 0 adds nothing",
            "k": "more than are eligible: shorter lists, as `count` says; memory is taken for so many all the same",
            "allow": "left out: all items are allowed, those too that were in the log and not in the table of items,"
            " which `score` never lists",
        }
    )


def metrics(checkpoint: Path) -> dict[str, Any]:
    """What training said of itself in metrics.json; nothing where a checkpoint has none."""
    path = checkpoint / "metrics.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def card(manifest: Manifest, report: Report, training: dict[str, Any], items: int) -> str:
    """The whole file. `items` are those of the catalogue, `training` is what `metrics` found."""
    blueprint = manifest.blueprint
    lines = [
        f"# Model card: {blueprint.model['name']}",
        "",
        f"Written by {manifest.made_by} at {manifest.made_at} from manifest.json, parity/report.json and",
        "the metrics.json of the training.",
        *section("Model", model_rows(blueprint, training)),
        *section("Data", data_rows(manifest, training, items)),
        *measured(training),
        *section("Inputs", input_rows(manifest), ("file", "input", "type", "padded with", "what is not known")),
        *section("Parity with the trained model", parity_rows(report), ("file", "cases", "worst difference", "lists")),
        "",
        "Each file was loaded from disk in a process of its own. Differences are absolute, or of the largest number of",
        "a row where that exceeds 1. `rec-export verify` repeats the comparison.",
        *smaller(manifest.variants),
        *section(
            "Files", [(form, f"`{LOADING[form]}`") for form in manifest.formats], ("format", "how to call a tower")
        ),
        *(WHOLE_LISTS if RECOMMENDER in manifest.signatures else ()),
        *section("Made with", manifest.versions.items()),
    ]
    return "\n".join(lines) + "\n"


def section(title: str, rows: Any, head: tuple[str, ...] = ("", "")) -> Iterator[str]:
    """A heading and a table."""
    yield from ("", f"## {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|")
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def model_rows(blueprint: Blueprint, training: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The model and its numbers."""
    yield "model", str(blueprint.model["name"])
    given = {key: value for key, value in blueprint.model.items() if key != "name" and value is not None}
    yield "settings", ", ".join(f"{key} {value}" for key, value in given.items()) or "none"
    if blueprint.members > 1:
        yield "members", f"{blueprint.members}, whose scores are averaged"
    if blueprint.timeless:
        yield "beside it", second_model(blueprint.timeless, blueprint.away and blueprint.away.model_dump())
    yield from told_by_tables([one.model_dump() for one in blueprint.shallow])
    if blueprint.habit is not None:
        yield (
            "added to the score of what a user liked before, in lists that may hold it",
            f"{blueprint.habit.formula}, natural logarithms; all digits in `blueprint.habit` of manifest.json",
        )
        if blueprint.habit.lately:
            yield "`days`", "from the user's last liking of the item to the newest liking of anybody"
    if training:
        yield "parameters", f"{training['parameters']:,}"
        yield "epochs", str(training["best_epoch"])
    yield "sha256 of the weights", f"`{blueprint.weights}`"


def data_rows(manifest: Manifest, training: dict[str, Any], items: int) -> Iterator[tuple[str, str]]:
    """What it was learned from."""
    blueprint = manifest.blueprint
    log, split = blueprint.data.interactions, blueprint.data.split
    for name, digest in blueprint.inputs.items():
        yield f"sha256 of {name}", f"`{digest}`"
    if training:
        yield "rows learned from", f"{training['rows']:,}"
    yield (
        "users and items with a row of their own",
        f"{blueprint.sizes.users.rows:,} and {blueprint.sizes.items.rows:,}",
    )
    yield "items of the catalogue", f"{items:,}"
    yield "liked", "every row" if log.positive is None else f"rows with {log.value} of {log.positive:g} or more"
    parts = "" if split.by == "none" else f", {split.valid:g} for validation, {split.test:g} for the test"
    yield "split by", f"{split.by}{parts}"
    half_lives = ", ".join(f"{days:g}" for days in blueprint.clock.half_lives)
    yield "trends", f"half-lives of {half_lives} days" if half_lives else "of all time, as time told nothing"
    read = {port.name for called in manifest.signatures.values() for port in called.inputs}
    if "context" in read:
        heeded = "the date of the lists, and the days since the last liking"
        yield f"{heeded}, in `context`", "count" if half_lives else "are 0, as time told nothing"
    newcomers = half_lives and "history" in read
    nobody = "is what newcomers like" if newcomers else "means nothing; `score` publishes what is popular"
    yield "the list of somebody of whom nothing is told", nobody


def measured(training: dict[str, Any]) -> Iterator[str]:
    """The metrics beside those of what the model must beat: popularity, or the mean and the biases of ratings."""
    held_out, again = training.get("held_out"), training.get("returning")
    if not (held_out or again):
        yield from ("", "## Metrics", "", "None: the checkpoint says nothing of rows that were held out.")
    new = " of what is new" if again else ""
    if held_out:
        yield from section(f"Metrics on the validation rows{new}", metric_rows(held_out), ("metric", *held_out))
        yield from ("", "These rows also chose the number of epochs; `rec-export evaluate` measures on the test rows.")
    if again:
        yield from section("Metrics on the validation rows of everything", metric_rows(again), ("metric", *again))
        yield from ("", "The term for habits was fitted to these rows, in which what users had met counts as well.")


def metric_rows(held_out: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Each metric of all that were judged."""
    return [(name, *(f"{found[name]:.4f}" for found in held_out.values())) for name in held_out["model"]]


def smaller(variants: tuple[Variant, ...]) -> Iterator[str]:
    """What each smaller copy of the ONNX towers saves and costs."""
    if not variants:
        return
    yield from section("Smaller ONNX towers, which are lossy", map(price, variants), PRICE_HEAD)
    tried = "; ".join(f"`{one.name}` for {on_whom(one)}" for one in variants)
    yield from ("", f"Beside the exact ONNX towers: {tried}.")
    yield "Nothing takes them by itself: `rec-export score --runtime NAME` does."


def price(variant: Variant) -> tuple[str, ...]:
    """One copy; metrics with the 95% interval of their change over users, seconds of both towers as a ratio."""
    found = variant.quality or variant.agreement
    metrics = variant.quality.metrics if variant.quality else {}
    told = [f"{one.variant:.4f} ({one.change:+.2%} [{one.low:+.2%}, {one.high:+.2%}])"
            for one in (metrics.get("ndcg@10"), metrics.get("hr@10")) if one] or ["not measured"] * 2  # fmt: skip
    ratios = [slower([one for one in variant.latency if one.batch == batch]) for batch in (1, 4096)]
    size = f"{variant.bytes / 1e6:.1f} MB ({variant.bytes / variant.exact_bytes:.0%})"
    return f"`{variant.name}`", size, f"{found.overlap:.2%}", f"{found.first_changed:.2%}", *told, *ratios


def on_whom(variant: Variant) -> str:
    """Whose lists are compared."""
    if variant.quality is not None:
        return f"{counted(variant.quality.users, 'user')} with held-out rows"
    return f"{counted(variant.agreement.users, 'user')} with made-up histories"


def slower(latency: list[Latency]) -> str:
    """How often as long as the exact towers both copies take together."""
    return f"{sum(one.variant for one in latency) / sum(one.exact for one in latency):.2f} x"


def rule_of(name: str, rules: dict[str, str]) -> str:
    """What is said of an input, or of all columns of its kind: text.title is a text."""
    return rules.get(name, rules.get(name.partition(".")[0], ""))


def input_rows(manifest: Manifest) -> Iterator[tuple[str, ...]]:
    """Every input of every file."""
    for part, signature in manifest.signatures.items():
        for port in signature.inputs:
            pad = "" if port.pad is None else str(port.pad)
            yield part, f"`{port.name}`", typed(port), pad, rule_of(port.name, manifest.unknown)


def parity_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """How far every file is from the trained model."""
    identical = {one.format: 1.0 for one in report.lists}
    for one in report.lists:
        identical[one.format] = min(identical[one.format], one.identical)
    for part in report.parts:
        lists = "" if part.part in NAMES.values() else alike(identical[part.format])  # features rank nothing
        yield part.artefact, f"{part.cases}", f"{part.worst_difference:.1e}", lists
    if report.recommender is not None:
        whole = report.recommender.summary()
        yield whole.artefact, str(whole.cases), f"{whole.worst_difference:.1e}", alike(report.recommender.identical)
