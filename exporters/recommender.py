"""recommender.onnx: from what a user tower reads to the best items, in one graph that needs nothing but ONNX Runtime.

    user tower      onnx/user_tower.onnx as it was proved
    for each tile of items, a Loop:
        pair head   onnx/pair_head.onnx as it was proved, on the tile's vectors, which are inside
        TopK        of the best so far and the tile, without what is seen or not allowed

The best so far stand before the tile, and TopK puts the lower place first where values are equal. So ties go to the
lower item row, also across tiles; and as the list begins as K places of -inf, no hidden item can enter it.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, TensorProto, compose, helper, numpy_helper, parser

from exporters.candidate import RECOMMENDER as NAME
from exporters.compare import TOLERANCES, difference
from exporters.onnx import file_fault, save
from exporters.parts import Part
from rec_export.catalogue import Catalogue
from rec_export.data.columns import Float32, Int64
from rec_export.inputs import item_inputs
from rec_export.runtime import FILES
from rec_export.towers import Input

NUMBERS = 1 << 14  # of float32 that a user's tile may hold in the widest layer of the head
Constants = dict[str, np.ndarray[Any, Any]]
AT_ONCE = 16384  # items whose vectors are computed together
LEAST_ITEMS = 128  # of a tile, however wide the head
PREFIX = {"user_tower": "user_", "pair_head": "head_"}  # before the names of their values inside

SEEN = Input(name="seen", dtype="int64", shape=("B", "S"), pad=-1)
K = Input(name="k", dtype="int64", shape=())
HABITS = (
    Input(name="added", dtype="int64", shape=("B", "A"), pad=-1),
    Input(name="term", dtype="float32", shape=("B", "A"), pad=0),
)
"""Of a model with habits: items of a user, each once, and what is added to their scores."""
OUTPUTS = (
    Input(name="item_row", dtype="int64", shape=("B", "K"), pad=-1),
    Input(name="score", dtype="float32", shape=("B", "K")),
    Input(name="count", dtype="int64", shape=("B",)),
)

LISTS = """
lists (int64[B, S] seen, int64 k, {habits}bool[{items}] allow)
    => (int64[B, K] item_row, float[B, K] score, int64[B] count)
    <int64 none = {{0}}, int64[1] at_0 = {{0}}, int64[1] at_1 = {{1}}, int64 tiles = {{{tiles}}},
     int64[1] tile_items = {{{tile}}}, int64[1] nobody = {{-1}}, float[1] lowest = {{-inf}}, float[1] missing = {{nan}}>
{{
    some = Max(k, none)
    places = Reshape(some, at_1)
    head_user_vec = Identity(user_vec)
    users = Shape<end = 1>(user_vec)
    list_shape = Concat<axis = 0>(users, places)
    no_score = Expand(lowest, list_shape)
    no_row = Expand(nobody, list_shape)
    column_shape = Concat<axis = 0>(users, at_1)
    spare_score = Expand(lowest, column_shape)
    spare_row = Expand(nobody, column_shape)
    seen_width = Shape<start = 1>(seen)
    seen_shape = Concat<axis = 0>(users, seen_width)
    seen_row = Reshape<allowzero = 1>(seen, seen_shape)
    met = Concat<axis = 1>(seen_row, spare_row)
    met_shape = Shape(met)
    hidden = Expand(lowest, met_shape)
    {terms}
    best, best_row = Loop<body = tile (int64 tile, bool more, float[B, K] held, int64[B, K] held_row)
        => (bool again, float[B, K] kept, int64[B, K] kept_row)
    {{
        again = Identity(more)
        first = Mul(tile, tile_items)
        last = Add(first, tile_items)
        head_item_vec = Slice(item_vectors, first, last, at_0)
        allowed = Slice(allow, first, last, at_0)
        number = Greater(head_score, lowest)
        eligible = And(number, allowed)
        open = Where(eligible, head_score, lowest)
        scores = Concat<axis = 1>(held, open, spare_score)
        size = Shape<end = 1>(head_item_vec)
        spare = Add(places, size)
        place = Sub(met, first)
        after = GreaterOrEqual(place, at_0)
        before = Less(place, size)
        inside = And(after, before)
        shifted = Add(place, places)
        where = Where(inside, shifted, spare)
        {added}
        unseen = ScatterElements<axis = 1>({whole}, where, hidden)
        kept, from = TopK(unseen, places)
        held_rows = Concat<axis = 1>(held_row, spare_row)
        held_place = Min(from, places)
        old = GatherElements<axis = 1>(held_rows, held_place)
        offset = Sub(first, places)
        new = Add(from, offset)
        was_held = Less(from, places)
        kept_row = Where(was_held, old, new)
    }}>(tiles, , no_score, no_row)
    found = Greater(best, lowest)
    item_row = Where(found, best_row, nobody)
    score = Where(found, best, missing)
    ones = Cast<to = 7>(found)
    count = ReduceSum<keepdims = 0>(ones, at_1)
}}
"""


TERMS = """
    added_width = Shape<start = 1>(added)
    added_shape = Concat<axis = 0>(users, added_width)
    added_row = Reshape<allowzero = 1>(added, added_shape)
    as_wide = Cast<to = 1>(added_row)
    both = Concat<axis = 0>(as_wide, term)
    after_all = Shape<end = 1>(both)
    its = Slice(both, users, after_all, at_0)
    its_term = Reshape<allowzero = 1>(its, added_shape)
    own = Concat<axis = 1>(added_row, spare_row)
    own_term = Concat<axis = 1>(its_term, spare_score)
"""
ADDED = """
        own_place = Sub(own, first)
        own_after = GreaterOrEqual(own_place, at_0)
        own_before = Less(own_place, size)
        own_inside = And(own_after, own_before)
        own_shifted = Add(own_place, places)
        own_where = Where(own_inside, own_shifted, spare)
        raised = ScatterElements<axis = 1, reduction = "add">(scores, own_where, own_term)
"""


def item_vectors(item: Part, catalogue: Catalogue, trend: Float32) -> Float32:
    """The trained vectors of all items of the catalogue, float32 [N, Di], with their trends float32 [N, W]."""
    return np.concatenate([vectors_of(item, catalogue, trend, rows) for rows in portions(len(trend))])


def portions(items: int) -> list[Int64]:
    """The rows of so many items, int64 [n] each, as they are given to the item tower."""
    return np.array_split(np.arange(items), items // AT_ONCE + 1)


def vectors_of(item: Part, catalogue: Catalogue, trend: Float32, rows: Int64) -> Float32:
    """The trained vectors of some items, int64 [n] -> float32 [n, Di]."""
    inputs = item_inputs(item.inputs, catalogue.items.features(rows), torch.from_numpy(trend[rows]), rows)
    vectors: Float32 = item.run(inputs).numpy()
    return vectors


def signature(user: Part, items: int, habits: bool = False) -> tuple[tuple[Input, ...], tuple[Input, ...]]:
    """The inputs and the outputs for a user tower and so many items; `allow` may be left out.

    `habits`: whether something may be added to a user's scores.
    """
    allow = Input(name="allow", dtype="bool", shape=(items,))
    return (*user.inputs, SEEN, K, *(HABITS if habits else ()), allow), OUTPUTS


def write_recommender(folder: Path, item_vec: Float32, labels: dict[str, str], habits: bool = False) -> None:
    """Write onnx/recommender.onnx from the parts beside it and the vectors of all items, float32 [N, Di]."""
    parts = {name: onnx.load(folder / FILES["onnx"].format(name)) for name in PREFIX}
    user, head = (renamed(parts[name].graph, prefix) for name, prefix in PREFIX.items())
    lists = lists_of(head, len(item_vec), habits)
    graph = helper.make_graph(
        [*user.node, *lists.node],
        NAME,
        [*user.input, *lists.input],
        lists.output,
        [*user.initializer, *head.initializer, *constants(lists, item_vec), constant("item_vectors", item_vec)],
    )
    model = helper.make_model(
        graph, opset_imports=parts["user_tower"].opset_import, ir_version=parts["user_tower"].ir_version
    )
    helper.set_model_props(model, labels)
    save(model, folder / FILES["onnx"].format(NAME))


def recommender_fault(
    user: Part, item_vec: Float32, folder: Path, labels: dict[str, str], habits: bool = False
) -> str | None:
    """How the file differs from what `signature` says, or in its weights from the parts beside it, or None.

    The trained vectors of all items are float32 [N, Di].
    """
    inputs, outputs = signature(user, len(item_vec), habits)
    wrong = file_fault(folder / FILES["onnx"].format(NAME), (*inputs, *outputs), labels)
    return wrong or weights_fault(folder, item_vec, habits)


def weights_fault(folder: Path, item_vec: Float32, habits: bool) -> str | None:
    """How a weight inside is not the one that was proved beside it, or that the lists are made with: no list would show
    one wrong row of many.
    """
    own = weights(folder, NAME)
    inside, tiles = own.get("item_vectors", item_vec[:0]), len(item_vec) // AT_ONCE + 1
    for pair in zip(np.array_split(item_vec, tiles), np.array_split(inside, tiles), strict=True):
        fault = difference(*pair, TOLERANCES["onnx"]).fault
        if fault:
            return f"of the items' vectors inside {fault}"
    proved = {prefix + name: array for part, prefix in PREFIX.items() for name, array in weights(folder, part).items()}
    others = unlike(own, proved)
    if others:
        return f"{len(others)} weights inside are not those of the parts, the first being {others[0]}"
    head = onnx.load(folder / FILES["onnx"].format("pair_head")).graph
    lists = lists_of(renamed(head, PREFIX["pair_head"]), len(item_vec), habits)
    others = unlike(own, arrays(constants(lists, item_vec)))
    return f"{len(others)} constants of the lists are not those of any, the first being {others[0]}" if others else None


def unlike(own: Constants, wanted: Constants) -> list[str]:
    """The names of those that are missing or not the same to the last bit."""
    return [name for name, array in wanted.items() if name not in own or own[name].tobytes() != array.tobytes()]


def weights(folder: Path, part: str) -> Constants:
    """The constants of an ONNX file by name."""
    return arrays(onnx.load(folder / FILES["onnx"].format(part)).graph.initializer)


def arrays(tensors: Iterable[TensorProto]) -> Constants:
    """Tensors by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}


def constants(lists: GraphProto, item_vec: Float32) -> list[TensorProto]:
    """What the graph that ranks is made with, but for the items' vectors: who gives no `allow` allows all items."""
    return [*lists.initializer, constant("allow", np.ones(len(item_vec), np.bool_))]  # of an input's name


def renamed(graph: GraphProto, prefix: str) -> GraphProto:
    """With a prefix before all names but those of its inputs and outputs; the head's too, which stand inside a loop."""
    own = prefix == PREFIX["pair_head"]
    return compose.add_prefix_graph(graph, prefix, rename_inputs=own, rename_outputs=own)


def lists_of(head: GraphProto, items: int, habits: bool = False) -> GraphProto:
    """The graph that ranks, with the head's nodes in the body of its loop."""
    told = {"habits": "int64[B, A] added, float[B, A] term, ", "terms": TERMS, "added": ADDED, "whole": "raised"}
    told = told if habits else {"habits": "", "terms": "", "added": "", "whole": "scores"}
    tile = max(1, min(items, max(LEAST_ITEMS, NUMBERS // widest(head))))
    graph = parser.parse_graph(LISTS.format(items=items, tile=tile, tiles=math.ceil(items / tile), **told))
    (loop,) = (node for node in graph.node if node.op_type == "Loop")
    body = loop.attribute[0].g
    nodes = list(body.node)
    ready = next(place for place, node in enumerate(nodes) if "head_item_vec" in node.output) + 1
    del body.node[:]
    body.node.extend([*nodes[:ready], *head.node, *nodes[ready:]])
    return graph


def widest(head: GraphProto) -> int:
    """The most numbers that a value of the head holds for a pair of user and item."""
    axes = [[a.dim_value or a.dim_param for a in value.type.tensor_type.shape.dim] for value in head.value_info]
    pairs = [shape for shape in axes if {"B", "N"} <= set(shape)]
    return max((math.prod(axis for axis in shape if isinstance(axis, int)) for shape in pairs), default=1)


def constant(name: str, array: np.ndarray[Any, Any]) -> onnx.TensorProto:
    """An array inside the graph."""
    return numpy_helper.from_array(array, name)
