"""Print the table of docs/parity.md, planted faults and what finds them: python -m tests.faults.parity_table"""

import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from exporters.evidence import read_case
from tests.conftest import command
from tests.faults.checkers import dummy, optimum, verdict, verify
from tests.faults.exports import FAULTS, Planted, fallible

HEAD = "| fault | planted | ours | smallest call | optimum's rule | torch's verify |\n|---|---|---|---|---|---|\n"


def rows(folder: Path) -> Iterator[str]:
    """A row for each fault."""
    found = [0, 0, 0]
    with fallible(folder) as checkpoint:
        right = folder / "right"
        assert command("-q", "onnx", checkpoint, "--out", right).code == 0
        for number, fault in enumerate(FAULTS):
            planted = Planted.by(fault, checkpoint, right, folder / str(number))
            inputs = dummy(planted.part, checkpoint)
            said = ours(planted), *(verdict(checker, planted, inputs) for checker in (optimum, verify))
            found = [count + (one is not None) for count, one in zip(found, said, strict=True)]
            others = " | ".join(one or "**passes**" for one in said[1:])
            when = "after" if fault.file or fault.stale else "in" if fault.frozen else "before"
            yield f"| {fault.name} | {when} the export | {said[0] or '**passes**'} | {smallest(planted)} | {others} |"
    totals = [f"{count} of {len(FAULTS)}" for count in found]
    yield f"| found | | {totals[0]} | | {totals[1]} | {totals[2]} |"


def ours(planted: Planted) -> str | None:
    """What our own check says."""
    if planted.answer.code == 0:
        return None
    fault = planted.answer.err.partition("is not the trained model: ")[2].partition("; use another")[0]
    case, runs, said = fault.strip().partition(" it fails: ")
    return f"refused: {case}{runs}{said.rpartition('Status Message: ')[2].split('/')[-1][:70]}"


def smallest(planted: Planted) -> str:
    """The shapes of the call that was kept."""
    if "--case" not in planted.answer.err:
        return ""
    _, case = read_case(Path(shlex.split(planted.answer.err)[-1]))
    return ", ".join(f"{name} {list(array.shape)}" for name, array in case.inputs.items())


def main() -> None:
    """Print as the rows come."""
    sys.stdout.write(HEAD)
    with tempfile.TemporaryDirectory() as place:
        for row in rows(Path(place)):
            sys.stdout.write(row + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
