"""Raw attributes to try on the feature graphs, and what FeatureState makes of the same."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporters.cases import FLOATS, MISSING, SEED, SMALL, Array, Arrays, Case, planted
from rec_export.catalogue import Side
from rec_export.data.columns import Float32, bags, floats, words
from rec_export.data.features import FeatureState, State, kinds_of, marked
from rec_export.towers import Input

BATCH = 512  # rows of a case with texts, which are all as long as the longest
REAL = 512  # real rows that are tried
MANY = 4096  # rows of a case without texts
WORDS = 20  # of a text
TAGS = 40  # of a long bag
STRANGE = (
    *("", " ", "\n\t", "x", "a b c", "_", "a_b-c", "9" * 300, "İSTANBUL Straße ẞ", "naïve CAFÉ'S", "Жук ЁЖ"),
    *("日本語 テスト USB", "😀 emoji 😀", "e\u0301 combining", "ﬁ ligature Ⅷ ² ½ ①", "مرحبا שלום"),
    *("\u202eright to left", "no\u200bwidth", "soft\u00adhyphen", "ΔΣ ΔΣ'Ω ΩΣ_ Σ ΣΩ Ω.Σ"),
)


MADE_BY: dict[str, Callable[[FeatureState, pa.Table], Array]] = {
    "dense": FeatureState.numbers,
    "category": FeatureState.category_rows,
    "tags": FeatureState.tag_rows,
    "text": FeatureState.text_vectors,
}


def raw_cases(ports: Sequence[Input], side: Side) -> Iterator[Case]:
    """Real rows, and what files hold besides."""
    random = np.random.default_rng(SEED)
    chosen = random.permutation(side.table.num_rows)[:REAL]
    for start in range(0, max(len(chosen), 1), BATCH):
        yield Case(f"raw rows from {start}", raw_of(ports, side, chosen[start : start + BATCH]))
    for size in (0, 1, 2, SMALL):
        yield Case(f"{size} raw rows", raw_of(ports, side, chosen[:size]))
    base = raw_of(ports, side, np.resize(chosen, len(STRANGE)))
    for port in ports:
        kind, _, column = port.name.partition(".")
        for name, array in strange(kind, column, base[port.name], side, random):
            yield Case(f"{port.name} {name}", base | {port.name: array})
    yield from whole(ports, side)


def whole(ports: Sequence[Input], side: Side) -> Iterator[Case]:
    """Every category, tag and word that is known, once: of many, a few that are wrong would show in no other case."""
    for port in ports:
        kind, _, column = port.name.partition(".")
        known = known_in(kind, column, side)
        step = WORDS if kind == "text" else 1
        rows = texts([" ".join(known[place : place + step]) for place in range(0, len(known), step)])
        size = BATCH if kind == "text" else MANY
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            nothing = {other.name: empty(other, len(some)) for other in ports}
            mine = some[:, None] if kind == "tags" else some
            yield Case(f"{port.name} all that is known, from {start}", nothing | {port.name: mine})


def known_in(kind: str, column: str, side: Side) -> list[str]:
    """What is told apart in a column."""
    state = side.state.state
    if kind == "tags":
        return [tag.removeprefix(f"{column}=") for tag in state.tags if tag.startswith(f"{column}=")]
    return list(state.words) if kind == "text" else list(state.category[column]) if kind == "category" else []


def empty(port: Input, rows: int) -> Array:
    """A column of which nothing is known."""
    kind = port.name.partition(".")[0]
    if kind == "dense":
        return np.full(rows, np.nan, np.float32)
    return np.full((rows, 0) if kind == "tags" else rows, MISSING if kind == "category" else "", object)


def strange(
    kind: str, column: str, normal: Array, side: Side, random: np.random.Generator
) -> Iterator[tuple[str, Array]]:
    """What else one column may hold, for as many rows as there are strange texts."""
    state, rows = side.state.state, len(normal)
    if kind == "dense":
        for name, value in FLOATS["dense"].items():
            if not np.isinf(value):  # which rec-export refuses to read
                yield name, planted(normal, value)
        return
    if kind == "tags":
        known = known_in(kind, column, side)
        for places in (0, 1, TAGS):
            yield f"in {places} places", random.choice(texts([MISSING, "", "unknown", *known]), (rows, places))
        return
    known = known_in(kind, column, side)[:: rows * 50] or ["unknown"]
    yield "missing", np.full_like(normal, MISSING if kind == "category" else "")
    yield "strange", texts(STRANGE)
    yield "in capitals", np.resize(texts([word.upper() for word in known]), rows)
    if kind == "text":
        some = list(state.words[:: max(len(state.words) // 60, 1)])
        yield "long", np.resize(texts([" ".join(some), " ".join(some * 4).title(), ";".join(reversed(some))]), rows)


def texts(values: Sequence[str]) -> Array:
    """Strings as ONNX Runtime takes them."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def raw_of(ports: Sequence[Input], side: Side, rows: Array) -> Arrays:
    """The raw columns of some rows of a table."""
    table = side.table.take(pa.array(rows, pa.int64()))
    return {port.name: raw_column(port.name, table, side.state.state) for port in ports}


def raw_column(name: str, table: pa.Table, state: State) -> Array:
    """One column as the graph takes it, its words spelled as those of the training were."""
    kind, _, column = name.partition(".")
    if kind == "dense":
        return floats(table[column], column)
    if kind == "tags":
        found = bags(table[column], state.separator, column)
        lists = [[tag or "" for tag in bag or []] for bag in marked(found, "", state.spelled).to_pylist()]
        longest = max(map(len, lists), default=0)
        flat = texts([tag for bag in lists for tag in [*bag, *[MISSING] * (longest - len(bag))]])
        return flat.reshape(len(lists), longest)
    if kind == "category":
        return texts(pc.fill_null(kinds_of(table, column, state.spelled), MISSING).to_pylist())
    return texts(pc.fill_null(words(table[column], column), "").to_pylist())


def made_of(outputs: Sequence[Input], inputs: Arrays, side: Side, trend: Float32, letters: bool = False) -> Arrays:
    """What a tower should read for raw attributes of new users or items: FeatureState's word, by output.

    `trend`, float32 [W], is that of a new item. The graph takes words that are spelled already, and so must
    FeatureState here. `letters`: the graph puts texts into
    lower case letter by letter, without the sigma that ends a word.
    """
    learned = FeatureState(
        side.state.state.model_copy(update={"spelled": False}), side.state.idf, side.state.directions
    )
    rows = len(next(iter(inputs.values())))
    found: dict[str, Array] = {"row": np.full(rows, -1), "trend": np.tile(trend, (rows, 1))}
    for kind in {name.partition(".")[0] for name in inputs}:
        columns = {
            name.partition(".")[2]: column_of(name, array, letters)
            for name, array in inputs.items()
            if name.startswith(f"{kind}.")
        }
        found[kind] = MADE_BY[kind](learned, pa.table(columns))
    return {port.name: found[port.name] for port in outputs}


def column_of(name: str, array: Array, letters: bool) -> pa.Array:
    """One column as a table has it; `letters`: each of a text's letters in lower case."""
    kind = name.partition(".")[0]
    if kind == "dense":
        return pa.array(array, pa.float32(), from_pandas=True)
    if kind == "tags":
        return pa.array([[tag for tag in bag if tag != MISSING] for bag in array], pa.list_(pa.string()))
    if kind == "text":
        lower = ["".join(letter.lower() for letter in text) for text in array] if letters else array
        return pa.array(lower, pa.string())
    return pa.array([None if text == MISSING else text for text in array], pa.string())
