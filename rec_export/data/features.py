"""What was learned of the attributes from the training part, and its use on any table since: state without pickle."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from safetensors.numpy import load_file, save_file

from rec_export.data.columns import Float32, Int64, bags, floats, spelled, words
from rec_export.data.config import Attributes
from rec_export.data.vocab import UNKNOWN
from rec_export.errors import DataError
from rec_export.record import Record
from rec_export.towers import Dense, TableSizes

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

RARE = 2  # a category, tag or word that fewer training rows hold says nothing that can be learned
MOST_TAGS = 32  # of one row; a longer bag keeps its first
MOST_WORDS = 20_000


class Features(NamedTuple):
    """The attributes of n rows as the towers read them."""

    dense: Float32  # [n, P], NaN where missing
    category: Int64  # [n, C], UNKNOWN where missing or rare
    tags: Int64  # [n, T], UNKNOWN in the unused places
    text: Float32  # [n, E]

    @property
    def described(self) -> bool:
        """Whether there are any attributes at all."""
        return any(column.shape[1] for column in self)

    def take(self, rows: Int64) -> "Features":
        """The features of some rows."""
        return Features(self.dense[rows], self.category[rows], self.tags[rows], self.text[rows])


class State(Record):
    """The part of the feature state that people can read."""

    dense: dict[str, Dense]
    category: dict[str, tuple[str, ...]]
    tag_columns: tuple[str, ...]
    separator: str
    tags: tuple[str, ...]
    tag_places: int
    text_columns: tuple[str, ...]
    words: tuple[str, ...]
    spelled: bool = False  # whether categories and tags are looked up as `columns.spelled` writes them


@final
class FeatureState:
    """Medians, vocabularies, TF-IDF weights and SVD directions of one table."""

    def __init__(self, state: State, idf: Float32, directions: Float32) -> None:
        self.state = state
        self.idf = idf  # [V]
        self.directions = directions  # [E, V]

    @classmethod
    def fit(cls, table: pa.Table, source: Attributes | None) -> Self:
        """Learn from the rows of the training part."""
        columns = source or Attributes(path=Path(), id="")
        bag = bag_of(table, columns.tags, columns.separator, plain=True)
        nameless = {f"{c}=" for c in columns.tags}  # an empty cell is no tag
        state = State(
            dense={c: measured(floats(table[c], f"column {c!r}"), c) for c in columns.dense},
            category={c: frequent(kinds_of(table, c, plain=True)) for c in columns.category},
            tag_columns=columns.tags,
            separator=columns.separator,
            tags=tuple(tag for tag in frequent(bag.flatten()) if tag not in nameless),
            tag_places=min(MOST_TAGS, pc.max(pc.list_value_length(bag)).as_py() or 0) if columns.tags else 0,
            text_columns=columns.text,
            words=(),
            spelled=True,
        )
        vocabulary, idf, directions = text_space(text_of(table, columns.text), columns.text_dim)
        return cls(state.model_copy(update={"words": vocabulary}), idf, directions)

    def encode(self, table: pa.Table) -> Features:
        """The features of any table that has the columns."""
        return Features(self.numbers(table), self.category_rows(table), self.tag_rows(table), self.text_vectors(table))

    def numbers(self, table: pa.Table) -> Float32:
        """The numbers as they are, float32 [n, P]; NaN where missing."""
        dense = [floats(table[c], f"column {c!r}") for c in self.state.dense]
        return np.stack(dense, axis=1) if dense else np.zeros((table.num_rows, 0), np.float32)

    def category_rows(self, table: pa.Table) -> Int64:
        """The rows of the categories, int64 [n, C]."""
        plain = self.state.spelled
        category = [positions(kinds_of(table, c, plain), known) for c, known in self.state.category.items()]
        return np.stack(category, axis=1) if category else np.zeros((table.num_rows, 0), np.int64)

    def tag_rows(self, table: pa.Table) -> Int64:
        """The rows of each bag's known tags, int64 [n, T]."""
        state = self.state
        rows = np.full((table.num_rows, state.tag_places), UNKNOWN)
        if state.tag_places == 0:
            return rows
        bag = bag_of(table, state.tag_columns, state.separator, state.spelled)
        owner = pc.list_parent_indices(bag).to_numpy()
        tag = positions(bag.flatten(), state.tags)
        owner, tag = owner[tag != UNKNOWN], tag[tag != UNKNOWN]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        fits = place < state.tag_places
        rows[owner[fits], place[fits]] = tag[fits]
        return rows

    def text_vectors(self, table: pa.Table) -> Float32:
        """The direction of each text in the space of the training part, float32 [n, E], of length 1 (0 if empty)."""
        if len(self.state.words) == 0 or table.num_rows == 0:
            return np.zeros((table.num_rows, len(self.directions)), np.float32)
        vectorizer = tfidf(vocabulary=self.state.words)
        vectorizer.idf_ = self.idf.astype(np.float64)
        weights = vectorizer.transform(text_of(table, self.state.text_columns))
        vectors = np.asarray(weights @ self.directions.T.astype(np.float64))
        return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)

    def sizes(self, rows: int) -> TableSizes:
        """What the towers must know."""
        return TableSizes(
            rows=rows,
            dense=tuple(self.state.dense.values()),
            category=tuple(len(values) for values in self.state.category.values()),
            tags=len(self.state.tags),
            text=len(self.directions),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of what `write` writes, more or less."""
        return int(self.idf.nbytes + self.directions.nbytes) + len(self.state.model_dump_json())

    def write(self, folder: Path, name: str) -> None:
        """Write {name}.json and {name}.safetensors."""
        self.state.write(folder / f"{name}.json")
        save_file(
            {"idf": self.idf, "directions": np.ascontiguousarray(self.directions)}, folder / f"{name}.safetensors"
        )

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """Read what `write` wrote."""
        arrays, state = load_file(folder / f"{name}.safetensors"), State.read(folder / f"{name}.json")
        known = {column: tuple(map(without_exponent, values)) for column, values in state.category.items()}
        return cls(state.model_copy(update={"category": known}), arrays["idf"], arrays["directions"])


def measured(values: Float32, column: str) -> Dense:
    """The median, and the mean and standard deviation of the signed logarithm, of the values that are there."""
    there = values[~np.isnan(values)].astype(np.float64)
    if len(there) == 0:
        raise DataError(
            f"column {column!r} has no value in the training part; leave it out of 'dense',"
            " or check that the table's ids"
            " are those of the log"
        )
    logs = np.sign(there) * np.log1p(np.abs(there))
    return Dense(median=float(np.median(there)), mean=float(logs.mean()), std=float(logs.std()) or 1.0)


def frequent(values: pa.Array) -> tuple[str, ...]:
    """The values that occur at least RARE times, sorted; an empty one is none."""
    counts = pc.value_counts(values.filter(pc.not_equal(values, "")))
    return tuple(sorted(counts.filter(pc.greater_equal(counts.field("counts"), RARE)).field("values").to_pylist()))


def without_exponent(word: str) -> str:
    """A whole number as `words` writes it now; earlier versions have left 1.2345678901e+10 behind."""
    return str(int(float(word))) if re.fullmatch(r"-?\d(\.\d+)?e\+\d+", word) else word


def positions(values: pa.Array, known: tuple[str, ...]) -> Int64:
    """The place of each value among the known ones, int64; UNKNOWN where it is missing or not known."""
    place = pc.index_in(values, pa.array(known, pa.large_string()))
    return pc.fill_null(place, UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int64)


def kinds_of(table: pa.Table, column: str, plain: bool) -> pa.Array:
    """The category of each row, strings [n]; `plain`: in one spelling."""
    kinds = words(table[column], f"column {column!r}")
    return spelled(kinds) if plain else kinds


def bag_of(table: pa.Table, columns: tuple[str, ...], separator: str, plain: bool) -> pa.Array:
    """All tags of each row, each as "column=tag", as one list of strings [n]; `plain`: in one spelling."""
    empty = pa.array([[]] * table.num_rows, pa.large_list(pa.large_string()))
    parts = [marked(bags(table[c], separator, f"column {c!r}"), f"{c}=", plain) for c in columns]
    return joined(parts) if parts else empty


def marked(bag: pa.Array, prefix: str, plain: bool) -> pa.Array:
    """Lists of strings with a prefix before each string; a missing list is empty."""
    lengths = pc.fill_null(pc.list_value_length(bag), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    tags = pc.fill_null(bag.flatten(), "")
    strings = pc.binary_join_element_wise(large(prefix), spelled(tags) if plain else tags, large(""))
    return pa.LargeListArray.from_arrays(offsets, strings)


def joined(parts: list[pa.Array]) -> pa.Array:
    """The lists of several columns, row by row, as one list each."""
    owner = np.concatenate([pc.list_parent_indices(part).to_numpy() for part in parts])
    strings = pa.concat_arrays([part.flatten() for part in parts]).take(pa.array(np.argsort(owner, kind="stable")))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(parts[0])))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), strings)


def text_of(table: pa.Table, columns: tuple[str, ...]) -> list[str]:
    """The text columns of each row, joined by a space."""
    parts = [pc.fill_null(words(table[c], f"column {c!r}"), "") for c in columns]
    return pc.binary_join_element_wise(*parts, large(" ")).to_pylist() if parts else [""] * table.num_rows


def large(text: str) -> pa.Scalar:
    """A string in the type of the columns it is joined with."""
    return pa.scalar(text, pa.large_string())


def tfidf(vocabulary: tuple[str, ...] | None = None) -> "TfidfVectorizer":
    """Words and pairs of words, with damped counts, as system 000 has them."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # here, as it holds 150 MB, and few have texts

    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=1 if vocabulary else RARE,
        max_features=MOST_WORDS,
        vocabulary=vocabulary,
    )


def text_space(texts: list[str], dim: int) -> tuple[tuple[str, ...], Float32, npt.NDArray[np.float32]]:
    """The words, their idf [V] and the main directions [E, V] of the training texts; nothing if there are too few."""
    nothing = (), np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    if not any(texts):
        return nothing
    from sklearn.decomposition import TruncatedSVD

    vectorizer = tfidf()
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:  # scikit-learn's word for texts that share no word
        return nothing
    dim = min(dim, min(weights.shape) - 1)
    if dim < 1:
        return nothing
    with np.errstate(invalid="ignore"):  # an unused share of variance is 0 / 0 where all texts are alike
        svd = TruncatedSVD(dim, random_state=0).fit(weights)
    vocabulary = tuple(str(word) for word in vectorizer.get_feature_names_out())
    return vocabulary, vectorizer.idf_.astype(np.float32), svd.components_.astype(np.float32)
