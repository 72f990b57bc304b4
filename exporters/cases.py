"""Inputs to try on a tower: real rows, sizes that the export never saw, and whatever else a caller may send."""

from collections.abc import Iterator
from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exporters.candidate import LISTS
from exporters.program import EXAMPLE
from rec_export.catalogue import Catalogue, Side
from rec_export.data.columns import Float32, Int64
from rec_export.data.features import Features
from rec_export.scorer import BLOCK
from rec_export.towers import Input, TableSizes

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
SEED = 20_000
MOST_ROWS = 1000  # of the real rows that are tried
LIST_USERS = 100
LONGEST = 200  # history that is tried: a case is a whole tensor, however few users have so much
SMALL = 7  # rows of a case that is about something else than the number of rows
INT64 = np.iinfo(np.int64)
FAR = {"-1": -1, "-2": -2, "0": 0, "2^31": 2**31, "int64 max": INT64.max, "int64 min": INT64.min}
DENORMAL = 1e-42
MISSING = "\uffff"  # no character: what no file has as a category or a tag
FLOATS: dict[str, dict[str, float]] = {  # the values that each input must bear; only dense comes unchecked from outside
    "dense": {"NaN": np.nan, "inf": np.inf, "-inf": -np.inf, "0": 0, "1e30": 1e30, "-1e30": -1e30, "1e-42": DENORMAL},
    "text": {"0": 0, "1e-42": DENORMAL},
    "context": {"0": 0, "1000": 1000, "-1000": -1000, "1e-42": DENORMAL},
    "trend": {"0": 0, "1000": 1000, "1e-42": DENORMAL},
}


@final
class Case(NamedTuple):
    """A call of a part, and the name under which a person finds it again."""

    name: str
    inputs: Arrays


@final
class Source:
    """Plausible inputs of one tower: features of real rows, histories of real items, made-up numbers for the rest."""

    def __init__(self, inputs: tuple[Input, ...], side: Side, items: int, history: int, most: int = MOST_ROWS) -> None:
        self.inputs = inputs
        self.sizes: TableSizes = side.sizes
        self.items = items
        self.history = min(history, LONGEST)
        self.random = np.random.default_rng(SEED)
        self.rows = self.random.permutation(side.table.num_rows)[:most]
        self.features: Features = side.state.encode(side.table.take(pa.array(self.rows)))

    def batch(self, size: int, length: int | None = None, places: int | None = None) -> Arrays:
        """`size` real rows, each once while there are enough; histories of `length` and bags of `places` places."""
        length = self.history if length is None else length
        place = np.arange(size) % len(self.rows)
        items, lengths = self.histories(size, length)
        features = self.features.take(place)._asdict()
        if places is not None:
            features["tags"] = self.random.integers(-1, max(self.sizes.tags, 1), (size, places))
        made = {"row": self.rows[place], **features, "history": items, "history_length": lengths}
        return {port.name: made[port.name] if port.name in made else self.numbers(port, size) for port in self.inputs}

    def histories(self, size: int, length: int) -> tuple[Int64, Int64]:
        """Item rows, newest last, right-padded: int64 [B, L], and how many there are: int64 [B]."""
        lengths = self.random.integers(0, length + 1, size)
        items = self.random.integers(0, self.items, (size, length))
        pad = next((port.pad for port in self.inputs if port.name == "history" and port.pad is not None), -1)
        return np.where(np.arange(length) < lengths[:, None], items, pad), lengths

    def numbers(self, port: Input, size: int) -> Float32:
        """Numbers such as context and trends have: float32 [B, width]."""
        if port.name not in FLOATS:
            raise ValueError(
                f"no case is known for an input named {port.name!r}; name the range of its values in cases.py"
            )
        return self.random.normal(size=(size, *map(int, port.shape[1:]))).astype(np.float32)

    def count(self, name: str) -> int | Int64:
        """How many values an integer input knows, of each column where there are several."""
        if name == "category":
            return np.array(self.sizes.category, dtype=np.int64)
        return {"row": self.sizes.rows, "tags": self.sizes.tags, "history": self.items, "history_length": self.history}[
            name
        ]


def tower_cases(inputs: tuple[Input, ...], side: Side, catalogue: Catalogue, history: int) -> list[Case]:
    """Every case of a tower, the same on each call. `history` is the length of the histories in training."""
    source = Source(inputs, side, catalogue.items.trained, history)
    listed = LIST_USERS if side is catalogue.users else MOST_ROWS
    real = Case(LISTS, source.batch(min(listed, len(source.rows))))
    return [real, *sized(source), *hostile(source), *special(source)]


def sized(source: Source) -> Iterator[Case]:
    """Axes of lengths that the export never saw, and of those it saw."""
    rows = EXAMPLE["B"], EXAMPLE["N"]
    sizes = {0, 1, 2, SMALL, 64, BLOCK, MOST_ROWS}  # BLOCK: what `score` gives a tower
    for size in sorted({*sizes, *(n + step for n in rows for step in (-1, 0, 1))}):
        yield Case(f"{size} rows", source.batch(size))
    letters = {axis for port in source.inputs for axis in port.shape}
    if "L" in letters:
        for length in sorted({0, 1, EXAMPLE["L"], source.history, source.history + 1, source.history + 13}):
            yield Case(f"histories of {length} places", source.batch(SMALL, length=length))
    if "T" in letters:
        for places in (0, 1, EXAMPLE["T"], 40):
            yield Case(f"bags of {places} places", source.batch(SMALL, places=places))


def hostile(source: Source) -> Iterator[Case]:
    """Every value that an input must bear, each in some rows of a normal batch."""
    for port in source.inputs:
        values: dict[str, Any] = FLOATS[port.name] if port.dtype == "float32" else FAR
        if port.dtype == "int64":
            count = source.count(port.name)
            values = values | {"n": count, "n - 1": count - 1, "n + 1": count + 1}
        for name, value in values.items():
            base = source.batch(SMALL)
            yield Case(f"{port.name} {name}", base | {port.name: planted(base[port.name], value)})


def planted(normal: Array, value: Any) -> Array:
    """The same with `value` all over row 1, at the start of row 2 and at the end of row 3; row 0 stays as it is."""
    array = normal.copy()
    values = np.broadcast_to(np.asarray(value, dtype=array.dtype), array.shape)
    array[1] = values[1]
    if array.ndim > 1:
        array[2, :1], array[3, -1:] = values[2, :1], values[3, -1:]
    return array


def special(source: Source) -> Iterator[Case]:
    """What a single value cannot show: rows of which nothing is known, rows all alike, lengths that are not true."""
    names = {port.name: port for port in source.inputs}
    base = source.batch(SMALL)
    unknown = {name: planted(base[name], nothing(port)) for name, port in names.items()}
    yield Case("a row of which nothing is known", unknown)
    yield Case(
        "the same row many times", {name: array[np.zeros(SMALL, dtype=np.int64)] for name, array in base.items()}
    )
    in_columns = {name: np.asarray(array, order="F") for name, array in source.batch(SMALL).items()}
    yield Case("arrays that lie in memory column by column", in_columns)
    if "history" in names:
        alike = base | {"history": np.full_like(base["history"], source.items // 2)}
        yield Case("histories of one item", alike)
        yield Case("histories of padding", base | {"history": np.full_like(base["history"], nothing(names["history"]))})
        yield Case("histories padded on the left", base | {"history": base["history"][:, ::-1]})
    if {"history", "history_length"} <= set(names):
        for name, length in (
            ("smaller than what is filled", source.history // 2),
            ("beyond the axis", source.history + 5),
        ):
            yield Case(f"history_length {name}", alike | {"history_length": np.full(SMALL, length)})


def nothing(port: Input) -> Any:
    """The value that says: there is nothing here."""
    kind = port.name.partition(".")[0]
    if port.dtype == "string":
        return "" if kind == "text" else MISSING
    if port.dtype == "float32":
        return float(np.nan) if kind == "dense" else 0.0
    if port.dtype == "bool":
        return True
    if port.name == "history_length":
        return 0
    return -1 if port.pad is None else port.pad


def head_cases(user_vec: Float32, item_vec: Float32) -> list[Case]:
    """Every case of the head, from the trained towers' vectors of real rows: float32 [B, Du], float32 [N, Di]."""
    sizes = [(0, SMALL), (SMALL, 0), (1, 1), (2, 3), (SMALL, 1), (SMALL, 64), (len(user_vec), len(item_vec))]
    cases = [Case(f"{b} users x {n} items", vectors(user_vec[:b], item_vec[:n])) for b, n in sizes]
    scales = {"all zero": 0, "a thousand times larger": 1000, "denormal": DENORMAL}
    some = user_vec[:SMALL], item_vec[:64]
    scaled = (
        Case(f"vectors {name}", vectors(*(np.float32(by) * side for side in some))) for name, by in scales.items()
    )
    return [*cases, *scaled]


def vectors(user_vec: Float32, item_vec: Float32) -> Arrays:
    """The head's two inputs."""
    return {"user_vec": user_vec, "item_vec": item_vec}
