"""A smaller copy of the ONNX towers, and its price: what it saves, and how its lists differ from the exact ones."""

from typing import final

from rec_export.choices import Lossy
from rec_export.record import Record

K = 10  # of the lists that are compared, and of the metrics


@final
class Agreement(Record):
    """Beside the trained model, for users of the bundle with made-up histories and its items; `verify` repeats it."""

    users: int
    items: int
    overlap: float  # share of the best K that are among the best K of the trained model
    first_changed: float  # share of the users whose first item is another one
    cosine: float  # the least of any user's or item's vectors
    worst_difference: float  # of a vector, in any case; where a row holds numbers above 1, of the largest of them


@final
class Change(Record):
    """A metric on held-out rows. The change is (variant - exact) / exact, with its 95% interval over users."""

    exact: float
    variant: float
    change: float
    low: float
    high: float


@final
class Quality(Record):
    """Beside the exact ONNX towers, for users with held-out rows, in the world before these."""

    users: int
    overlap: float
    first_changed: float
    metrics: dict[str, Change]  # ndcg@10, hr@10, recall@10 and mrr@10


@final
class Latency(Record):
    """Seconds of a call, the least of several that took turns with the exact tower."""

    part: str
    batch: int
    exact: float
    variant: float


@final
class Variant(Record):
    """One smaller copy, as it was made and measured."""

    name: Lossy
    bytes: int  # of both towers
    exact_bytes: int
    agreement: Agreement
    quality: Quality | None  # None where nothing was held out
    latency: tuple[Latency, ...]
