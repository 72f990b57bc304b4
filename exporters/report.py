"""parity/report.json: what was tried on each exported part, and how far it was from the trained one."""

import re
from textwrap import wrap
from typing import final

from exporters.candidate import RECOMMENDER
from exporters.features import NAMES
from rec_export.bundle import ParitySummary
from rec_export.choices import Runtime
from rec_export.record import Record

ONNX_ALONE = {RECOMMENDER, *NAMES.values()}


@final
class PartReport(Record):
    """One part in one format, over all its cases."""

    part: str
    format: Runtime
    cases: int
    rows: tuple[int, int]  # the fewest and the most of a case
    worst_difference: float  # absolute; where a row holds numbers above 1, of the largest of them
    worst_case: str
    worst_share: float  # of what is allowed; 1 would be at the limit

    @property
    def artefact(self) -> str:
        """Such as onnx/user_tower."""
        return f"{self.format}/{self.part}"


@final
class ListReport(Record):
    """The lists of one k that the exported head makes from the exported vectors of real users and items."""

    format: Runtime
    k: int
    users: int
    items: int
    identical: float  # share of the lists that have the same items in the same order; the rest differ by ties alone
    overlap: float


@final
class RecommenderReport(Record):
    """The lists of recommender.onnx over all its cases, beside the exact ones of the trained model."""

    cases: int
    lists: int
    items: int
    ks: tuple[int, ...]  # of real users
    identical: float  # share of the lists that have the same items in the same order; the rest differ by ties alone
    worst_difference: float  # of a score; where a list holds scores above 1, of the largest of them

    def summary(self) -> ParitySummary:
        """What the manifest tells of it."""
        name = f"onnx/{RECOMMENDER}"
        return ParitySummary(artefact=name, cases=self.cases, worst_difference=self.worst_difference, same_lists=True)


@final
class Report(Record):
    """All parts, all lists; what is written has passed."""

    signatures: dict[str, str]  # how to call each part
    parts: tuple[PartReport, ...]
    lists: tuple[ListReport, ...]
    recommender: RecommenderReport | None

    def summaries(self) -> tuple[ParitySummary, ...]:
        """What the manifest tells of it."""
        same = {lists.format: True for lists in self.lists}
        parts = [
            ParitySummary(
                artefact=p.artefact, cases=p.cases, worst_difference=p.worst_difference, same_lists=same[p.format]
            )
            for p in self.parts
        ]
        return (*parts, *([] if self.recommender is None else [self.recommender.summary()]))

    def formats(self) -> list[Runtime]:
        """What was proved, in its order."""
        return list(dict.fromkeys(part.format for part in self.parts))

    def lines(self) -> list[str]:
        """What a person wants to see of it."""
        forms = self.formats()
        calls = [
            line
            for name, call in self.signatures.items()
            for line in call_lines(name, "onnx" if name in ONNX_ALONE else ", ".join(forms), call)
        ]
        return [
            *calls,
            *(part_line(part) for part in self.parts),
            *(lists_line(form, [one for one in self.lists if one.format == form]) for form in forms),
            *([] if self.recommender is None else [recommender_line(self.recommender)]),
        ]


def call_lines(name: str, forms: str, call: str) -> list[str]:
    """How to call one part, in lines of a terminal's width."""
    start = f"{name:<11}  {forms}   "
    together = re.sub(" (int64|float32|bool|string)", "\xa0\\1", start + call)  # wrap does not break a line at \xa0
    lines = wrap(together, 110, subsequent_indent=" " * len(start), break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def part_line(part: PartReport) -> str:
    """One line for one part in one format."""
    tried = f"{part.cases:>3} cases, {part.rows[0]}..{part.rows[1]:,} rows"
    return f"[ok] {part.artefact:<22} {tried}, worst difference {part.worst_difference:.1e}"


def lists_line(form: Runtime, lists: list[ListReport]) -> str:
    """One line for the lists of one format."""
    ks = ", ".join(str(one.k) for one in lists)
    same = alike(min(one.identical for one in lists))
    return f"[ok] {form + ' lists':<22} {lists[0].users} users x {lists[0].items:,} items, K {ks}: {same}"


def recommender_line(report: RecommenderReport) -> str:
    """One line for recommender.onnx."""
    tried = f"{report.cases:>3} cases, {report.lists:,} lists from {report.items:,} items"
    same = f"worst difference {report.worst_difference:.1e}, {alike(report.identical)}"
    return f"[ok] {'onnx/' + RECOMMENDER:<22} {tried}, {same}"


def alike(identical: float) -> str:
    """What a share of identical lists means, given that the others passed too."""
    return "the same items in the same order" + ("" if identical == 1 else ", but for ties")
