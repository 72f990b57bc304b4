"""The proof of recommender.onnx: its lists are those of the trained model, by the exact definition of a score.

The reference is the eager towers' float32 vectors and rec_export.topk, which settles every score in float64.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple, cast, final

import numpy as np
import numpy.typing as npt
import torch

from exporters.candidate import RECOMMENDER
from exporters.cases import INT64, LIST_USERS, SEED, Arrays, Case
from exporters.compare import TOLERANCES, scale
from exporters.fresh import RefusalError
from exporters.parts import Part
from exporters.report import RecommenderReport
from rec_export.data.columns import Bool, Float32, Int64
from rec_export.topk import Seen, TopK
from rec_export.topk.contract import Added
from rec_export.topk.ruled import RuledRanker
from rec_export.towers import Head

Float64 = npt.NDArray[np.float64]
KS = 1, 10, 100
FEW = 4  # users of a case about something else than real users; hostile values stand in rows 1 to 3
SEEN = 30
ADDED = 20
PAIRS = 10_000_000  # of real users and items that are tried at once
MOST_LISTED = 20_000  # items; a list of a whole larger catalogue would take the exact engine hours
SAMPLED = 2048  # items whose scores tell how large a user's scores are


@final
class Truth(NamedTuple):
    """What the trained model recommends."""

    user: Part
    head: Head
    item_vec: Float32  # [N, Di]
    ranker: RuledRanker
    cases: list[Case]

    @classmethod
    def of(cls, user: Part, head: Part, item_vec: Float32, user_cases: list[Case], habits: bool = False) -> "Truth":
        """From the trained parts, the vectors of all items, and the cases of the user tower, if any.

        `habits`: whether something may be added to a user's scores.
        """
        module = cast(Head, head.module)
        cases = list(list_cases(user_cases, len(item_vec))) if user_cases else []
        cases = list(with_habits(cases, len(item_vec))) if habits and cases else cases
        return cls(user, module, item_vec, RuledRanker(module, torch.from_numpy(item_vec)), cases)


def list_cases(user_cases: list[Case], items: int) -> Iterator[Case]:
    """Every user that is tried on the tower, then lists of every length, and items hidden in every way."""
    random = np.random.default_rng(SEED)

    def case(name: str, users: Arrays, k: int, seen: Int64, **allow: Bool) -> Case:
        return Case(name, users | {"seen": seen, "k": np.array(k)} | allow)

    for tried in user_cases:
        users = first(tried.inputs, FEW)
        yield case(f"users with {tried.name}", users, 10, random.integers(0, items, (size_of(users), SEEN)))
    real = first(user_cases[0].inputs, min(max(PAIRS // items, FEW), LIST_USERS))
    for k in KS:
        yield case(f"k {k}", real, k, random.integers(-1, items, (size_of(real), SEEN)))
    some = first(real, FEW)
    nothing, everything = np.full((size_of(some), 0), -1), np.tile(np.arange(items), (size_of(some), 1))
    whole = (("all items", items), ("more than all items", items + 5)) if items <= MOST_LISTED else ()
    for name, k in whole:
        yield case(f"k of {name}", some, k, nothing)
    far = np.tile([-1, items, 2**31, INT64.max, INT64.min, 0, 0, items - 1], (size_of(some), 1))
    for name, seen in (("nothing", nothing), ("what is not there, and twice the same", far), ("all", everything)):
        yield case(f"seen {name}", some, 10, seen)
    yield case("seen all but one", some, 10, everything[:, everything[0] != items // 2])
    for name, allow in (("nothing", -1), ("one item", items // 2)):
        yield case(f"allowed {name}", some, 10, nothing, allow=np.arange(items) == allow)
    yield case("allowed half, some of it seen", some, 10, far, allow=np.arange(items) % 2 == 0)


def with_habits(cases: list[Case], items: int) -> Iterator[Case]:
    """The same cases, something being added to the scores of some items of each user; and nothing, or elsewhere."""
    random = np.random.default_rng(SEED)
    for case in cases:
        users = size_of(case.inputs)
        drawn = [random.choice(items, min(ADDED, items), replace=False) for _ in range(users)]
        row = np.array(drawn, np.int64).reshape(users, -1 if users else 0)
        row[random.random(row.shape) < 0.2] = -1
        term = random.normal(0, 3, row.shape).astype(np.float32)
        yield Case(case.name, case.inputs | {"added": row, "term": term})
    users = size_of(cases[-1].inputs)
    nothing: list[int] = []
    for name, rows in (("nothing", nothing), ("what is not there", [-1, items, 2**31, INT64.max, INT64.min])):
        added = np.tile(np.array(rows, np.int64), (users, 1))
        yield Case(f"added to {name}", cases[-1].inputs | {"added": added, "term": np.ones(added.shape, np.float32)})


def first(users: Arrays, size: int) -> Arrays:
    """The first rows of each input."""
    return {name: array[:size] for name, array in users.items()}


def size_of(users: Arrays) -> int:
    """The number of rows."""
    return len(next(iter(users.values())))


def recommender_report(truth: Truth, outputs: Arrays) -> RecommenderReport:
    """Compare the lists of all cases. Raises ParityError at the first that is more than ties away from the truth."""
    worst, lists, identical = 0.0, 0, 0
    for case in truth.cases:
        found = {name: outputs[f"{RECOMMENDER}|{case.name}|{name}"] for name in ("item_row", "score", "count")}
        told = list_fault(truth, case, found)
        if told.fault is not None:
            raise RefusalError(f"onnx/{RECOMMENDER}", f"in the case {case.name!r} {told.fault}", case)
        worst = max(worst, told.worst)
        lists += len(told.same)
        identical += int(told.same.sum())
    return RecommenderReport(
        cases=len(truth.cases),
        lists=lists,
        items=len(truth.item_vec),
        ks=KS,
        identical=identical / max(lists, 1),
        worst_difference=worst,
    )


@final
class Comparison(NamedTuple):
    """The lists of one call beside the true ones."""

    fault: str | None
    worst: float  # difference of a score; where a list holds scores above 1, of the largest of them
    same: Bool  # [B] which lists have the same items in the same order


def list_fault(truth: Truth, case: Case, found: Arrays) -> Comparison:
    """Compare what recommender.onnx gave for a case with what the trained model recommends."""
    vec = truth.user.run({port.name: torch.from_numpy(case.inputs[port.name]) for port in truth.user.inputs}).numpy()
    hidden = hidden_items(case, len(vec), len(truth.item_vec))
    user, item = np.nonzero(hidden)
    seen = Seen(np.searchsorted(user, np.arange(len(vec) + 1)), item)
    terms = terms_of(case, len(vec), len(truth.item_vec))
    wanted = truth.ranker.top_k(torch.from_numpy(vec), int(case.inputs["k"]), seen, added=terms).top
    fault = unlike_lists(found, wanted, hidden)
    if fault is not None:
        return Comparison(fault, np.inf, np.zeros(len(vec), np.bool_))
    own, eps = scores_of(truth, vec, found["item_row"], terms), allowed(truth, vec)
    apart = np.abs(np.nan_to_num(found["score"] - own, nan=0.0))
    worst = float((apart / scale(found["score"])).max(initial=0.0))
    return Comparison(wrong_lists(found, wanted, own, eps), worst, (found["item_row"] == wanted.item_row).all(1))


def hidden_items(case: Case, users: int, items: int) -> Bool:
    """What must not be recommended: bool [B, N]."""
    seen = case.inputs["seen"]
    hidden = np.zeros((users, items), np.bool_)
    inside = (seen >= 0) & (seen < items)
    hidden[np.nonzero(inside)[0], seen[inside]] = True
    return hidden | ~case.inputs.get("allow", np.ones(items, np.bool_))


def terms_of(case: Case, users: int, items: int) -> Added | None:
    """What is added to scores; None where nothing can be."""
    if "added" not in case.inputs:
        return None
    row = case.inputs["added"]
    user, place = np.nonzero((row >= 0) & (row < items))
    return Added(Seen.of(user, row[user, place], users), case.inputs["term"][user, place])


def unlike_lists(found: Arrays, wanted: TopK, hidden: Bool) -> str | None:
    """How the lists break what every list keeps, whatever the scores are, or None."""
    for name, like in (("item_row", "int64"), ("score", "float32"), ("count", "int64")):
        shape = getattr(wanted, name).shape
        if found[name].shape != shape or found[name].dtype != like:
            return f"{name} is {found[name].dtype}{list(found[name].shape)} instead of {like}{list(shape)}"
    if (found["count"] != wanted.count).any():
        return f"{int((found['count'] != wanted.count).sum())} lists are of another length"
    row, live = found["item_row"], np.arange(wanted.item_row.shape[1]) < wanted.count[:, None]
    if (row[~live] != -1).any() or not np.isnan(found["score"][~live]).all():
        return "something stands after the end of a list"
    if not np.isfinite(found["score"][live]).all():
        return f"{int((~np.isfinite(found['score'][live])).sum())} scores are not finite"
    if ((row[live] < 0) | (row[live] >= hidden.shape[1])).any():
        return "a list holds what is no item"
    user = np.broadcast_to(np.arange(len(row))[:, None], row.shape)[live]
    if hidden[user, row[live]].any():
        return f"{int(hidden[user, row[live]].sum())} items are listed that are seen or not allowed"
    if len(np.unique(user * hidden.shape[1] + row[live])) != live.sum():
        return "a list holds an item twice"
    tied = (found["score"][:, 1:] == found["score"][:, :-1]) & (row[:, 1:] < row[:, :-1])
    return f"{int(tied.sum())} items stand after a higher row of the same score" if tied.any() else None


def wrong_lists(found: Arrays, wanted: TopK, own: Float64, eps: Float64) -> str | None:
    """How lists differ by more than ties, or None. `own` float64 [B, K] are the true scores of what was found.

    The rule is that of lists.compared: with t the last score of the true list, an item may be in the list from t - eps
    on, must be in it above t + eps, and two in turn are out of order if they are more than eps, float64 [B, 1], apart.
    """
    if (np.abs(found["score"] - own) > eps).any():
        return f"{int((np.abs(found['score'] - own) > eps).sum())} scores are off"
    last = np.take_along_axis(wanted.score, np.maximum(wanted.count - 1, 0)[:, None], 1)
    present = np.stack(
        [np.isin(*pair) for pair in zip(wanted.item_row, found["item_row"], strict=True)] or [wanted.score > 0]
    )
    wrong = int((own < last - eps).sum() + (~present & (wanted.score > last + eps)).sum())
    lowest = np.minimum.accumulate(own, 1)
    inverted = int((own[:, 1:] > lowest[:, :-1] + eps).sum())
    return f"{wrong} items are wrong and {inverted} are out of order" if wrong + inverted else None


def scores_of(truth: Truth, user_vec: Float32, item_row: Int64, terms: Added | None) -> Float64:
    """The true scores of listed items: float32 [B, Du], int64 [B, K] -> float64 [B, K], NaN where the row is -1."""
    head = deepcopy(truth.head).double()
    vectors = torch.from_numpy(user_vec).double()
    with torch.inference_mode():
        rows = [head(vectors[[user]], torch.from_numpy(truth.item_vec[row]).double())[0].numpy()
                for user, row in enumerate(item_row)]  # fmt: skip
    score = np.where(item_row >= 0, np.reshape(rows, item_row.shape), np.nan)
    if terms is not None:
        user = terms.items.user()
        pair, place = np.nonzero(terms.items.item_row[:, None] == item_row[user])
        score[user[pair], place] += terms.term[pair]
    return score


def allowed(truth: Truth, user_vec: Float32) -> Float64:
    """How far a score may be off, float64 [B, 1]: as for any list, by how large the user's scores are."""
    with torch.inference_mode():
        score = truth.head(torch.from_numpy(user_vec), torch.from_numpy(truth.item_vec[:SAMPLED])).numpy()
    return TOLERANCES["onnx"].allowed(score).max(axis=1, keepdims=True, initial=0.0)
