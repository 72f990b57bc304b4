"""An evaluation as a table that fits a terminal."""

from collections.abc import Iterator

from rec_export.metrics import NAMES
from trainers.evaluate import Evaluation, Segment


def evaluation_lines(result: Evaluation) -> Iterator[str]:
    """One block for each segment, one row for each lister and k."""
    yield f"{result.test_rows:,} held-out rows, full ranking of {result.items:,} items; 95% intervals over users"
    first = next(iter(result.results.values()))
    for segment, members in first.items():
        yield ""
        if members.users == 0:
            yield f"{segment}: no users"
            continue
        yield f"{segment}: {members.users:,} users"
        yield "".join([f"{'':>8}{'k':>4}", *(f"{name:>23}" for name in NAMES), f"{'coverage':>9}"])
        for k in result.k:
            for lister, segments in result.results.items():
                yield row(result.model if lister == "model" else lister, k, segments[segment])


def row(lister: str, k: int, segment: Segment) -> str:
    """The metrics of one lister at one k."""
    cells = []
    for name in NAMES:
        value = segment.metrics[f"{name}@{k}"]
        cells.append(f"{short(value.mean)} [{short(value.low)}-{short(value.high)}]".rjust(23))
    return "".join([f"{lister:>8}{k:>4}", *cells, f"{short(segment.coverage[f'coverage@{k}']):>9}"])


def short(share: float) -> str:
    """Four places, without the leading zero: the table must fit a terminal."""
    return f"{share:.4f}".removeprefix("0")
