"""How far a smaller copy of the towers is from the trained model: on every case of the parity, and in its lists.

`export` measures it and `verify` repeats it, from the bundle alone.
"""

from typing import NamedTuple, final

import numpy as np
import torch

from exporters.cases import Arrays, Case, Source
from exporters.compare import LOSSY_TOLERANCES, difference
from exporters.parts import Part
from rec_export.catalogue import Catalogue
from rec_export.choices import Lossy
from rec_export.data.columns import Float32, Int64
from rec_export.topk import Ranker, Seen
from rec_export.towers import Head
from rec_export.variant import Agreement, K

USERS, ITEMS = 1000, 20_000  # at most
EVERYBODY = "users and items whose lists are compared"
SLACK = 0.005  # of a share that is promised: another machine rounds float32 in another way


@final
class TriedTowers(NamedTuple):
    """The trained towers, what is tried on each, and what they give."""

    towers: tuple[Part, Part]
    head: Head
    cases: dict[str, list[Case]]
    outputs: dict[str, dict[str, Float32]]

    @classmethod
    def of(cls, towers: tuple[Part, Part], head: Head, cases: dict[str, list[Case]], catalogue: Catalogue,
           trend: Float32, history: int) -> "TriedTowers":  # fmt: skip
        """With the cases of the parity, and one of many users and items."""
        whole = {}
        for part, side, most in zip(towers, catalogue, (USERS, ITEMS), strict=True):
            source = Source(part.inputs, side, catalogue.items.trained, history, most)
            inputs = source.batch(len(source.rows))
            if "trend" in inputs:
                inputs["trend"] = trend[source.rows]
            whole[part.name] = [*cases[part.name], Case(EVERYBODY, inputs)]
        outputs = {part.name: {case.name: given(part, case) for case in whole[part.name]} for part in towers}
        return cls(towers, head, whole, outputs)


def given(part: Part, case: Case) -> Float32:
    """The trained part's output."""
    output: Float32 = part.run({name: torch.from_numpy(array) for name, array in case.inputs.items()}).numpy()
    return output


def agreement(listed: TriedTowers, kind: Lossy, outputs: Arrays) -> tuple[Agreement, str | None]:
    """How the smaller copy agrees with the trained model, and what is wrong with it beyond that, if anything is."""
    worst, fault = 0.0, None
    for part, cases in listed.outputs.items():
        for name, wanted in cases.items():
            found = difference(wanted, outputs[f"{part}|{name}"], LOSSY_TOLERANCES[kind])
            worst = max(worst, found.worst)
            if found.fault and fault is None:
                fault = f"{part} in the case {name!r}: {found.fault}"
    exact = [cases[EVERYBODY] for cases in listed.outputs.values()]
    smaller = [outputs[f"{part}|{EVERYBODY}"] for part in listed.outputs]
    if fault is not None:
        return nothing(exact, worst), fault
    lists, wanted_lists = (best(listed.head, *vectors) for vectors in (smaller, exact))
    told = Agreement(
        users=len(exact[0]),
        items=len(exact[1]),
        overlap=overlap(wanted_lists, lists),
        first_changed=float((wanted_lists[:, 0] != lists[:, 0]).mean()),
        cosine=min(cosine(*pair) for pair in zip(exact, smaller, strict=True)),
        worst_difference=worst,
    )
    return told, None


def nothing(exact: list[Float32], worst: float) -> Agreement:
    """What is told of a copy that is wrong."""
    return Agreement(
        users=len(exact[0]), items=len(exact[1]), overlap=0, first_changed=1, cosine=-1, worst_difference=worst
    )


def best(head: Head, user_vec: Float32, item_vec: Float32) -> Int64:
    """The best K of all items, float32 [B, Du], float32 [N, Di] -> int64 [B, K]."""
    ranker = Ranker(head, torch.from_numpy(item_vec))
    return ranker.top_k(torch.from_numpy(user_vec), min(K, len(item_vec)), Seen.none(len(user_vec))).item_row


def overlap(wanted: Int64, found: Int64) -> float:
    """The share of the items of lists, int64 [B, K] with -1 for none, that are in the others."""
    shared = (wanted[:, :, None] == found[:, None, :]).any(2) & (wanted >= 0)
    return float(shared.sum() / max(int((wanted >= 0).sum()), 1))


def cosine(exact: Float32, smaller: Float32) -> float:
    """The least cosine of two vectors of a row, of those that are not zero."""
    one, other = exact.astype(np.float64), smaller.astype(np.float64)
    product = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    live = product > 0
    return float(((one * other).sum(1)[live] / product[live]).min(initial=1.0))


def broken_promise(promised: Agreement, found: Agreement) -> str | None:
    """How a copy agrees less than its report promised, or None."""
    if found.overlap < promised.overlap - SLACK:
        return f"its lists share {found.overlap:.4f} of their items, where {promised.overlap:.4f} was promised"
    if found.first_changed > promised.first_changed + SLACK:
        most = promised.first_changed
        return f"{found.first_changed:.4f} of the first items are others, where {most:.4f} was promised"
    return None
