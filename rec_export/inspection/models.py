"""A checkpoint or a bundle: the model and its numbers, the data, the files and their hashes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from rec_export.errors import MissingInputError, ModelError
from rec_export.files import files_below, sha256
from rec_export.inspection.documents import Facts, of_format, read_json
from rec_export.inspection.shown import Inspection, Row, Section, size, table, typed
from rec_export.sealed import MANIFEST, File, check_files, check_manifest
from rec_export.words import second_model, several, told_by_tables

FORMAT = 1  # of spec.json and of manifest.json
FILE_HEAD = "file", "size", "sha256"
VARIANT_HEAD = "runtime", "size", "of the exact", "same of the best 10", "first changed", "on held-out rows"
LISTS = "others", "the same, up to ties"
NO_LISTS = "_features"  # of what is read, not ranked
PORT_HEAD = "file", "", "name", "type", "padded with", "what is not known"


def checkpoint(folder: Path) -> Inspection:
    """A checkpoint whose weights, tables and trends are those that were written. Raises ModelError if not."""
    spec = of_format(read_json(folder / "spec.json"), folder, FORMAT, "train again")
    known = {"weights.safetensors": spec["weights"], **spec["tables"]}
    wrong = [name for name, digest in known.items() if not is_file_of(folder / name, digest)]
    if wrong:
        raise ModelError(
            f"{len(wrong)} files of the checkpoint {folder} are missing or not what was written, the first being"
            f" {wrong[0]}; restore them or train again"
        )
    others = [path for path in files_below(folder) if path.relative_to(folder).as_posix() not in known]
    training = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    facts = {"spec": spec, "training": training, "weights": weights(folder / "weights.safetensors")}
    sizes = [(name, size((folder / name).stat().st_size), digest[:12]) for name, digest in known.items()]
    sizes += [(path.name, size(path.stat().st_size), "not recorded") for path in others]
    sections = (
        *table("Model", [*model(spec), *course(training), stored(facts["weights"])]),
        *table("Data", learned(spec)),
        *metrics("Metrics on the validation rows", training.get("held_out", {})),
        *metrics("With what users had met, to which habits were fitted", training.get("returning", {})),
        *table("Files", sizes, FILE_HEAD),
    )
    return Inspection("checkpoint", folder, f"{len(known)} files by the sha256 in spec.json", facts, sections)


def bundle(folder: Path) -> Inspection:
    """A bundle whose files are all as they were exported. Raises ModelError if one is not."""
    manifest = sealed(folder)
    spec = manifest["blueprint"]
    files = [(file["path"], size(file["bytes"]), file["sha256"][:12]) for file in manifest["files"]]
    made = [("made by", manifest["made_by"]), ("made at", manifest["made_at"]), ("format", manifest["format"])]
    parity = [
        (one["artefact"], one["cases"], f"{one['worst_difference']:.1e}", lists(one)) for one in manifest["parity"]
    ]
    sections = (
        *table("Bundle", [*made, ("formats", ", ".join(manifest["formats"])), *manifest["versions"].items()]),
        *table("Model", [*model(spec), ("sha256 of the weights", manifest["checkpoint"])]),
        *table("Data", learned(spec)),
        *table("Inputs and outputs", ports(manifest), PORT_HEAD),
        *table("Parity with the trained model", parity, ("file", "cases", "worst difference", "lists")),
        *metrics("Metrics on the validation rows", manifest.get("metrics", {})),
        *table("Smaller ONNX towers (lossy)", variants(manifest), VARIANT_HEAD),
        *table("Files", files, FILE_HEAD),
    )
    told = f"{len(files)} files by the sha256 in {MANIFEST}, which manifest.sha256 seals"
    return Inspection("bundle", folder, told, {"manifest": manifest}, sections)


def sealed(folder: Path) -> Facts:
    """The manifest of a bundle, once every file is as it says."""
    check_manifest(folder)
    manifest = of_format(read_json(folder / MANIFEST), folder, FORMAT, "export it again")
    check_files(folder, tuple(File.of(file, str(folder / MANIFEST)) for file in manifest["files"]))
    return manifest


def is_file_of(path: Path, digest: str) -> bool:
    """Whether a file is there, and is the one of a hash."""
    return path.is_file() and sha256(path) == digest


def weights(path: Path) -> dict[str, Any]:
    """Tensors and numbers, from the header alone."""
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a safetensors file; train again or restore it") from error
    return {"tensors": len(shapes), "numbers": sum(count(shape) for shape in shapes.values())}


def count(shape: tuple[int, ...]) -> int:
    """The numbers of a tensor."""
    product = 1
    for axis in shape:
        product *= axis
    return product


def model(spec: Facts) -> Iterator[Row]:
    """The model's name and its numbers, as far as they were chosen."""
    numbers = dict(spec["model"])
    yield "name", numbers.pop("name")
    yield from ((name, str(value)) for name, value in numbers.items() if value is not None)
    if spec["members"] > 1:
        yield "members", f"{spec['members']}, whose scores are averaged"
    if spec.get("timeless"):
        yield "beside it", second_model(spec["timeless"], spec.get("away"))
    yield from told_by_tables(several(spec.get("shallow")))
    if spec.get("habit"):
        yield "habits", ", ".join(f"{name} {value:.3g}" for name, value in spec["habit"].items())
    yield "loss", spec["loss"]
    yield "trained users and items", f"{spec['sizes']['users']['rows']:,} and {spec['sizes']['items']['rows']:,}"


def stored(weights: dict[str, Any]) -> Row:
    """What the file of weights holds: parameters, and what follows from the data or from other weights."""
    return "numbers in the file", f"{weights['numbers']:,} in {weights['tensors']:,} tensors, fixed ones among them"


def course(training: Facts) -> Iterator[Row]:
    """How the training went."""
    if training:
        yield "parameters", f"{training['parameters']:,}"
        yield "epochs", str(training["best_epoch"])
        yield "rows learned from", f"{training['rows']:,}"


def learned(spec: Facts) -> Iterator[Row]:
    """What was read, and how."""
    log, split = spec["data"]["interactions"], spec["data"]["split"]
    yield "log", log["path"]
    yield "columns", ", ".join(f"{key}={log[key]}" for key in ("user", "item", "time", "value") if log.get(key))
    for side in ("items", "users"):
        declared = spec["data"].get(side) or {}
        kinds = [f"{kind}={','.join(declared[kind])}" for kind in ("dense", "category", "tags", "text")
                 if declared.get(kind)]  # fmt: skip
        if declared:
            yield side, f"id={declared['id']}, {', '.join(kinds) or 'without attributes'}"
    yield "split", split["by"] if split["by"] == "none" else f"{split['by']}, {split['valid']} and {split['test']}"
    half_lives = ", ".join(f"{days:.3g}" for days in spec["clock"]["half_lives"])
    yield "half-lives of trends, days", half_lives or "none: time told nothing"
    yield from ((f"sha256 of {name}", digest) for name, digest in spec["inputs"].items())


def ports(manifest: Facts) -> Iterator[Row]:
    """Every input and output of every file."""
    for part, signature in manifest["signatures"].items():
        for way, found in (("in", signature["inputs"]), ("out", signature["outputs"])):
            for port in found:
                pad = "" if port["pad"] is None else str(port["pad"])
                kind, rules = port["name"].partition(".")[0], manifest["unknown"] if way == "in" else {}
                rule = rules.get(port["name"], rules.get(kind, ""))
                yield part, way, port["name"], typed(port), pad, rule


def variants(manifest: Facts) -> Iterator[Row]:
    """What each smaller copy saves, and how its lists differ."""
    for one in manifest.get("variants", ()):
        found = one["quality"] or one["agreement"]
        changes = [f"{name} {metric['change']:+.2%} [{metric['low']:+.2%}, {metric['high']:+.2%}]"
                   for name, metric in (one["quality"] or {"metrics": {}})["metrics"].items()]  # fmt: skip
        same = f"{found['overlap']:.2%}", f"{found['first_changed']:.2%}"
        yield one["name"], size(one["bytes"]), f"{one['bytes'] / one['exact_bytes']:.0%}", *same, ", ".join(changes)


def metrics(title: str, held_out: dict[str, dict[str, float]]) -> tuple[Section, ...]:
    """The metrics on the validation rows, beside those of what the model must beat."""
    names = list(held_out.get("model", {}))
    rows = [(name, *(f"{found[name]:.4f}" for found in held_out.values())) for name in names]
    return table(title, rows, ("metric", *held_out))


def recorded(path: Path) -> tuple[Facts, str] | None:
    """The manifest of the bundle that a file lies in, and the file's part; None outside of one. Raises ModelError."""
    folder = path.absolute().parent.parent
    if not (folder / MANIFEST).is_file() or not (folder / "weights.safetensors").exists():
        return None
    check_manifest(folder)
    manifest = read_json(folder / MANIFEST)
    name = path.absolute().relative_to(folder).as_posix()
    digests = {file["path"]: file["sha256"] for file in manifest["files"]}
    if name not in digests:
        raise MissingInputError(f"{path} is not in the manifest of the bundle {folder}; remove it")
    if path.is_symlink() or sha256(path) != digests[name]:
        raise ModelError(f"{path} is not what was exported; restore it or export again")
    return manifest, path.name.split(".")[0]


def lists(parity: dict[str, Any]) -> str:
    """What was proved of the lists that a file makes; graphs of features make none."""
    return "" if parity["artefact"].endswith(NO_LISTS) else LISTS[parity["same_lists"]]
