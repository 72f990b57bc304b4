"""What lies at the paths that a report is asked for, and what of it belongs together, by hashes."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rec_export.errors import UsageError
from rec_export.files import absent, sha256
from rec_export.recs import CONTROL, FOLDER, Recs, Refused, run_in
from rec_export.report import views
from rec_export.run_manifest import RunManifest, is_run
from rec_export.words import model_called

EVALUATION, ABLATION, RANGE, SEARCH = "evaluation.json", "ablation.json", "range.json", "search.json"


class Night(NamedTuple):
    """A date of a read root, or a run that the gates refused for it."""

    recs: Recs
    date: str
    refused: Refused | None = None

    @property
    def folder(self) -> Path:
        """Where its parts are."""
        return self.recs.live(self.date) if self.refused is None else self.refused.parts

    @property
    def kind(self) -> str:
        """What readers find of it."""
        return "live" if self.refused is None else "refused"

    def manifest(self) -> RunManifest | None:
        """What its manifest says, if it is there."""
        if self.refused is not None:
            return self.refused.manifest
        path = self.recs.manifest(self.date, str(run_in(self.folder)))
        return RunManifest.read(path) if path.is_file() else None

    def before(self) -> "Night | None":
        """The newest date before."""
        earlier = [date for date in self.recs.dates() if date < self.date]
        return Night(self.recs, earlier[-1]) if earlier else None


class Subject(NamedTuple):
    """What there is of one model; a report shows one or sets several side by side."""

    label: str
    checkpoint: Path | None = None
    bundle: Path | None = None
    evaluation: Path | None = None
    night: Night | None = None


class Found(NamedTuple):
    """All that a report is about."""

    subjects: list[Subject]
    ablations: dict[str, Path]  # by label
    ranges: dict[str, Path]
    searches: dict[str, Path]

    def each(self, kind: str) -> list[tuple[str, Path]]:
        """The subjects that have a directory of a kind, such as "bundle", with the label that tells them apart."""
        return [(one.label, path) for one in self.subjects if (path := getattr(one, kind)) is not None]

    def nights(self) -> list[tuple[str, Night]]:
        """The dates of published lists."""
        return [(one.label, one.night) for one in self.subjects if one.night is not None]


class Piece(NamedTuple):
    """A directory of a kind, and the sha256 of the weights that it is of, as far as it says."""

    kind: str
    path: Path
    weights: str | None


Group = dict[str, Piece]
"""What belongs to one model, by kind."""


def found(paths: tuple[Path, ...]) -> Found:
    """Look at each path and what lies right below it. Raises MissingInputError or UsageError where there is nothing."""
    pieces: list[Piece] = []
    for path in paths:
        if not path.exists():
            raise absent(path, "name a directory that rec-export wrote")
        here = [piece for folder in folders(path) for piece in pieces_of(folder)]
        if not here:
            raise UsageError(
                f"{path} holds nothing to report on; name a checkpoint, a bundle, a read root, what `evaluate --out`,"
                " `ablate`, `tune` or `find-lr` wrote, or a directory of such"
            )
        there = {(piece.kind, piece.path.resolve()) for piece in pieces}
        pieces += [piece for piece in here if (piece.kind, piece.path.resolve()) not in there]
    seals = {sha256(p.path / "manifest.json"): p for p in pieces if p.kind == "bundle"}
    near: dict[tuple[str, Path], Group] = {}
    for piece in sorted(pieces, key=lambda piece: piece.kind == "night"):  # a night looks for its bundle
        bundle = seals.get(piece.weights or "") if piece.kind == "night" else None
        weights = (piece.weights if piece.kind != "night" else bundle and bundle.weights) or str(piece.path)
        group = next((group for group in near.values() if bundle in group.values()), None)
        group = near.setdefault((weights, home(piece)), {}) if group is None else group
        if piece.kind in group:  # a second bundle of one checkpoint stands for itself
            group = near.setdefault((weights, piece.path), {})
        group[piece.kind] = piece
    groups: list[tuple[str, Group]] = []
    for (weights, _), group in near.items():
        one = next((one for same, one in groups if same == weights and not set(one) & set(group)), None)
        if one is None:
            groups.append((weights, group))
        else:
            one |= group
    models = [group for _, group in groups if not {"ablation", "range", "search"} & set(group)]
    return Found(
        named([subject(group) for group in models]),
        {str(p.path): p.path for p in pieces if p.kind == "ablation"},
        {str(p.path): p.path for p in pieces if p.kind == "range"},
        {str(p.path): p.path for p in pieces if p.kind == "search"},
    )


def home(piece: Piece) -> Path:
    """The directory in which a checkpoint, a bundle or a read root lies: `popular` models may share their weights."""
    return piece.path.resolve().parents[1 if piece.kind == "night" else 0]


def folders(path: Path) -> list[Path]:
    """A directory, and where it is nothing by itself those right below it."""
    if not path.is_dir() or path.name.endswith(CONTROL):
        return []
    if any(pieces_of(path)):
        return [path]
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def pieces_of(folder: Path) -> Iterator[Piece]:
    """What a directory is."""
    if (folder / ABLATION).is_file():
        yield Piece("ablation", folder, None)
    if (folder / RANGE).is_file():
        yield Piece("range", folder, None)
    if (folder / SEARCH).is_file():
        yield Piece("search", folder, None)
    if (folder / EVALUATION).is_file():
        yield Piece("evaluation", folder, views.Evaluation.read(folder / EVALUATION).weights)
    if (folder / "spec.json").is_file():
        yield Piece("checkpoint", folder, views.Spec.read(folder / "spec.json").weights)
    elif (folder / "manifest.json").is_file() and not is_run(folder / "manifest.json"):
        yield Piece("bundle", folder, views.BundleManifest.read(folder / "manifest.json").checkpoint)
    elif (night := night_at(folder)) is not None:
        manifest = night.manifest()
        yield Piece("night", night.folder, manifest and manifest.bundle)


def night_at(folder: Path) -> Night | None:
    """The newest date of a read root, the date whose folder this is, or the run that was refused."""
    refused = Refused.found(folder)
    if refused is not None:
        return Night(refused.recs, refused.manifest.run_date, refused)
    whole = folder.resolve()  # "." has no name of its own
    match = FOLDER.fullmatch(whole.name)
    if match:
        return Night(Recs.at(whole.parent), match[1])
    if folder.name.endswith(CONTROL):
        return None
    if any(FOLDER.fullmatch(child.name) for child in folder.iterdir()):
        recs = Recs.at(folder)
        return Night(recs, recs.date(None))
    return None


def subject(group: Group) -> Subject:
    """What belongs together, under the path that the user knows best."""
    path = next(group[kind].path for kind in ("checkpoint", "bundle", "evaluation", "night") if kind in group)
    night = night_at(group["night"].path) if "night" in group else None
    refused = night.refused if night is not None and path == night.folder else None
    return Subject(
        label=str(path) if refused is None else f"the refused run {refused.manifest.run_id}",
        night=night,
        **{k: group[k].path for k in ("checkpoint", "bundle", "evaluation") if k in group},
    )


def named(subjects: list[Subject]) -> list[Subject]:
    """With labels that tell models apart: the model's name where that is enough, and the path where it is not."""
    models = [model_of(one) for one in subjects]
    labels = [
        one.label if model is None else model if models.count(model) == 1 else f"{model}, {one.label}"
        for one, model in zip(subjects, models, strict=True)
    ]
    return [one._replace(label=label) for one, label in zip(subjects, labels, strict=True)]


def model_of(one: Subject) -> str | None:
    """What the model is called, from the first directory that says it."""
    if one.checkpoint is not None:
        return model_called(str(views.Spec.read(one.checkpoint / "spec.json").model.get("name")))
    if one.bundle is not None:
        return model_called(str(views.BundleManifest.read(one.bundle / "manifest.json").blueprint.model.get("name")))
    if one.evaluation is not None:
        return model_called(views.Evaluation.read(one.evaluation / EVALUATION).model)
    return None
