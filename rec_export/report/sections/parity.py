"""The proof that exported files compute what was trained."""

from rec_export.errors import RecExportError
from rec_export.report.found import Found
from rec_export.report.page import Cell, Note, Section, Table, count, number, text
from rec_export.report.views import BundleManifest, Parity
from rec_export.sealed import check_files, check_manifest


def section(found: Found) -> Section | None:
    """A table of parts, and one of files."""
    reports, damaged = {}, []
    for label, path in found.each("bundle"):
        if not (path / "parity" / "report.json").is_file():
            continue
        manifest = BundleManifest.read(path / "manifest.json")
        try:
            check_manifest(path)
            check_files(path, manifest.files)
        except RecExportError as error:
            damaged.append(
                Note(f"{label}: {error}. What was proved holds for the files as they were, not as they are.")
            )
            continue
        reports[label] = manifest, Parity.read(path / "parity" / "report.json")
    if not reports:
        return Section("parity", "Parity", "The files are not those that were proved.", damaged) if damaged else None
    proofs = [proof for _, one in reports.values() for proof in one.proofs()]
    worst, cases = max(proof.worst_difference for proof in proofs), sum(proof.cases for proof in proofs)
    formats = ", ".join(dict.fromkeys(form for manifest, _ in reports.values() for form in manifest.formats))
    line = (
        f"{formats} gave the trained model's numbers in {cases:,} cases, off by {worst:.1e} at most"
        f"{alike([share for _, one in reports.values() for share in one.identical()])}."
    )
    return Section("parity", "Parity", line, [*damaged, parts(reports), lists(reports), files(reports)])


Reports = dict[str, tuple[BundleManifest, Parity]]


def alike(identical: list[float]) -> str:
    """How far lists were the same, from the share of each table of lists; nothing where no list was made."""
    if not identical:
        return ""
    least = min(identical)
    if least == 1:
        return ", and the same lists"
    return f"; of each format at least {least:.2%} of the lists are the same, the others but for ties"


def parts(reports: Reports) -> Table:
    """Each part in each format."""
    rows = [
        (
            text(label),
            text(f"{p.format}/{p.part}"),
            count(p.cases),
            number(p.worst_difference, ".1e"),
            Cell(f"{p.worst_share:.1%}", p.worst_share),
            text(p.worst_case),
        )
        for label, (_, one) in reports.items()
        for p in one.parts
    ]
    head = ("model", "file", "cases", "worst difference", "of what is allowed", "worst case")
    return Table("Differences are absolute, or of the largest number of a row where that exceeds 1", head, rows)


def lists(reports: Reports) -> Table:
    """The lists of each format."""
    rows = [
        (
            text(label),
            text(one.format),
            count(one.k),
            count(one.users),
            count(one.items),
            Cell(f"{one.identical:.2%}", one.identical),
        )
        for label, (_, report) in reports.items()
        for one in report.lists
    ]
    rows += [
        (
            text(label),
            text("onnx/recommender"),
            Cell(""),
            count(report.recommender.lists),
            Cell(""),
            Cell(f"{report.recommender.identical:.2%}", report.recommender.identical),
        )
        for label, (_, report) in reports.items()
        if report.recommender
    ]
    head = ("model", "format", "k", "lists", "items", "identical")
    return Table("Lists of real users from the exported files; what is not identical differs by ties alone", head, rows)


def files(reports: Reports) -> Table:
    """What the bundles weigh."""
    sizes: dict[tuple[str, str], int] = {}
    for label, (manifest, _) in reports.items():
        for file in manifest.files:
            key = label, file.path.split("/")[0]
            sizes[key] = sizes.get(key, 0) + file.bytes
    rows = [(text(label), text(name), Cell(f"{size / 1e3:,.1f}", size)) for (label, name), size in sizes.items()]
    return Table("What the bundle weighs", ("model", "file or folder", "kB"), rows)
