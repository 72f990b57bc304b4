"""A guess at what the columns of a log and its tables are, by names and types, for a first run without a config."""

from pathlib import Path
from typing import final

import pyarrow as pa
import pyarrow.compute as pc

from rec_export.data.columns import Float32, floats, times
from rec_export.data.config import Attributes, DataConfig, Interactions, TimeUnit
from rec_export.data.read import left_out, names_in, parts_of, read_table
from rec_export.errors import DataError, UsageError, shorten
from rec_export.record import Record

USER = (
    *("user_id", "user", "userid", "uid", "customer_id", "customer", "customerid", "member_id", "visitor_id"),
    *("visitorid", "account_id", "reviewer_id", "reviewerid", "client_id", "profile_id", "person_id", "listener_id"),
    *("user_name", "username"),
)
ITEM = (
    *("item_id", "item", "itemid", "iid", "product_id", "product", "productid", "asin", "parent_asin", "sku"),
    *("stock_code", "stockcode", "article_id", "movie_id", "movieid", "track_id", "artist_id", "artistid", "song_id"),
    *(
        "book_id",
        "isbn",
        "business_id",
        "video_id",
        "content_id",
        "game_id",
        "anime_id",
        "news_id",
        "recipe_id",
        "recording_msid",
    ),
)
TIME = (
    *("timestamp", "time", "ts", "datetime", "date", "event_time", "created_at", "unix_review_time"),
    *("unixreviewtime", "invoice_date", "invoicedate", "purchase_date", "timestamp_ms", "unix_timestamp", "t_dat"),
    *("occurred_at", "when", "event_timestamp", "eventtime", "event_date", "time_stamp", "order_date", "visit_time"),
    *("viewed_at", "purchased_at", "clicked_at", "played_at", "listened_at", "updated_at"),
)
RATING = ("rating", "stars", "overall", "score", "ratings", "star_rating")
WEIGHT = (
    "weight",
    "plays",
    "play_count",
    "playcount",
    "quantity",
    "qty",
    "count",
    "value",
    "listens",
    "views",
    "strength",
)
SEPARATOR = "|"  # between tags in one cell
LONG_TEXT = 3.0  # words in the middle value of a column that is text


@final
class Given(Record):
    """What the user said of the files; what is None is guessed."""

    log: Path
    items: Path | None = None
    users: Path | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None
    time_unit: TimeUnit = "auto"
    value: str | None = None
    positive: float | None = None

    def columns(self) -> dict[str, str | None]:
        """The log's columns that were named."""
        return {"user": self.user, "item": self.item, "time": self.time, "value": self.value}


def guess_data(given: Given) -> DataConfig:
    """The section `data` that the user could have written, with paths from the working directory."""
    log = guess_log(given.log, given.columns(), given.positive, given.time_unit)
    items = given.items and guess_attributes(given.items, log.item, ITEM)
    users = given.users and guess_attributes(given.users, log.user, USER)
    return DataConfig(interactions=log, items=items or None, users=users or None).relative_to(Path.cwd())


def guess_log(
    path: Path, given: dict[str, str | None], positive: float | None, unit: TimeUnit = "auto"
) -> Interactions:
    """The log's columns; `given` holds what the user said of user, item, time and value."""
    table = read_table(path, None)
    inside = [name for name in dict.fromkeys(given.values()) if name and name not in table.column_names]
    if inside:  # objects; or a slip, which is refused
        table = pa.table([*table.columns, *read_table(path, inside).columns], [*table.column_names, *inside])
    names = table.column_names
    user = column_like("user", given["user"], USER, names, path)
    item = column_like("item", given["item"], ITEM, names, path)
    if table[user].null_count or table[item].null_count:  # as they are where a part has no such column
        refuse_other_tables(path, (user, item))
    time = given["time"] or match(TIME, names) or only_moments(table)
    value = given["value"] or match(RATING, names) or match(WEIGHT, names)
    fields = {"path": path, "user": user, "item": item, "time": time, "value": value, "time_unit": unit}
    rest = Interactions.of(fields, f"the columns of {path}")
    if time is not None:
        times(table[time], unit, f"column {time!r} of {path}")  # refuses what would land in 1970
    if value is not None and positive is None:
        positive = threshold(value, floats(table[value], f"column {value!r} of {path}"))
    return rest.model_copy(update={"positive": positive})


def refuse_other_tables(folder: Path, needed: tuple[str, str]) -> None:
    """Raise UsageError where a folder of parts holds a file that is no part of the log."""
    parts = parts_of(folder)
    for part in parts if len(parts) > 1 else []:  # of one part the names are known
        there = names_in(part, inside=True)
        missing = [name for name in needed if name not in there]
        if missing:
            raise UsageError(
                f"{part} has no column {missing[0]!r}, so the folder {folder} holds more than the parts of one log;"
                " name the log's own file, and the tables of items and users by --items and --users"
            )


def threshold(name: str, values: Float32) -> float | None:
    """The least value that is a liking: 4 of 5 stars or 7 of 10; elsewhere all above zero, if that tells rows apart."""
    high = float(values.max())
    if name.lower() in RATING and high in (5.0, 10.0):
        return 4.0 if high == 5 else 7.0
    if float(values.min()) <= 0 < high:
        return float(values[values > 0].min())
    return None


def column_like(what: str, given: str | None, known: tuple[str, ...], names: list[str], path: Path) -> str:
    """The column that the user named, or the one whose name is known. Raises UsageError when there is none."""
    found = given or match(known, names)
    if found is None:
        has = shorten(", ".join(names_in(path, inside=True)), 400)
        gone = ", ".join(left_out(path))
        unread = f". Not read, as the type changes from line to line: {shorten(gone, 200)}" if gone else ""
        raise UsageError(
            f"cannot tell which column of {path} is the {what}; name it with --{what}. It has: {has}{unread}"
        )
    return found


def match(known: tuple[str, ...], names: list[str]) -> str | None:
    """The first name that is known, whatever its case and dashes."""
    plain = {name.lower().replace("-", "_").replace(" ", "_"): name for name in reversed(names)}
    return next((plain[name] for name in known if name in plain), None)


def only_moments(table: pa.Table) -> str | None:
    """The one column whose type is that of times; None where there are several, as each may be another event's."""
    found = [field.name for field in table.schema if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)]
    return found[0] if len(found) == 1 else None


def guess_attributes(path: Path, key: str, known: tuple[str, ...]) -> Attributes:
    """The kinds of a table's columns: lists are tags, numbers dense, long strings text, few-valued ones categories."""
    table = read_table(path, None)
    names = table.column_names
    own = key if key in names else match((*known, "id"), names)
    if own is None:
        raise UsageError(
            f"cannot tell which column of {path} is the id; call it {key!r} as in the log. It has: {', '.join(names)}"
        )
    kinds: dict[str, list[str]] = {"dense": [], "category": [], "tags": [], "text": []}
    for name in names:
        if pa.types.is_binary(table[name].type) or pa.types.is_large_binary(table[name].type):
            raise DataError(f"column {name!r} of {path} is not UTF-8 text; write the file in UTF-8")
        kind = None if name == own else kind_of(table[name])
        if kind is not None:
            kinds[kind].append(name)
    return Attributes(path=path, id=own, **{kind: tuple(columns) for kind, columns in kinds.items()})


def kind_of(column: pa.ChunkedArray) -> str | None:
    """What a column is; None for what says nothing: empty or constant columns, dates, keys, links."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "tags" if pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type) else None
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return None
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    try:
        distinct, there = pc.count_distinct(column, mode="only_valid").as_py(), len(column) - column.null_count
    except pa.ArrowNotImplementedError:  # a type that nothing here can read
        return None
    if distinct < 2:
        return None
    if pa.types.is_boolean(kind):
        return "category"
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return number_kind(column, distinct == there and pa.types.is_integer(kind))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return string_kind(column, distinct, there)
    return None


def number_kind(column: pa.ChunkedArray, key_like: bool) -> str | None:
    """Numbers are dense, unless they are keys or have infinities."""
    try:
        floats(column, "")
    except DataError:
        return None
    return None if key_like else "dense"


def string_kind(column: pa.ChunkedArray, distinct: int, there: int) -> str | None:
    """Tags where cells are joined, text where they are long, a category where they repeat; not keys and links."""
    valid = pc.drop_null(column)
    if pc.mean(pc.starts_with(valid, "http").cast(pa.int8())).as_py() > 0.5:
        return None
    if pc.mean(pc.match_substring(valid, SEPARATOR).cast(pa.int8())).as_py() > 0.3:
        return "tags"
    blanks = pc.approximate_median(pc.count_substring(valid, " ")).as_py()
    if blanks + 1 >= LONG_TEXT and distinct > 0.2 * there:
        return "text"
    return "category" if distinct <= 0.5 * there else ("text" if blanks >= 1 else None)
