"""item_features.onnx and user_features.onnx: from raw attributes, as JSON has them, to what a tower reads.

The inputs are named by the kind and the column: dense.price (float32 [N], NaN where missing), category.brand and
text.title (string [N]), tags.genres (string [N, T]). The outputs are the tower's own inputs, for users and items that
are new: their row is -1, and an item's trends are those of one that never occurred. So the two files in turn go from
attributes to a vector. The numbers pass as they are: the tower itself imputes and scales.

A text becomes what FeatureState.text_vectors makes of it, all of it by operators of ONNX Runtime on the CPU:

    lower case     letter by letter, by Python's table; a StringNormalizer would need a locale of the machine
    words          com.microsoft:Tokenizer with the letters, digits and underscores of RE2, two or more of them
    TF-IDF, SVD    a look-up of words and pairs of words, 1 + log of their count, their idf, their directions; float64
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from exporters.graph import Graph
from exporters.one_batch import hold_together
from exporters.onnx import save
from exporters.parts import Part
from rec_export.catalogue import Side
from rec_export.checkpoint import Blueprint
from rec_export.data.columns import Float32
from rec_export.data.features import FeatureState, State
from rec_export.runtime import FILES
from rec_export.towers import Input
from rec_export.world import newcomer

WORD = r"[\p{L}\p{N}_]{2,}"  # scikit-learn's \w\w+ in the words of RE2
NAMES = {"user_tower": "user_features", "item_tower": "item_features"}
KINDS = "dense", "category", "tags", "text"
NEVER = 1e-9  # FeatureState's floor of a length


def raw_inputs(part: Part, state: State, axis: str) -> tuple[Input, ...]:
    """The raw columns that a tower's inputs are made of; none where it reads no attributes."""
    columns = {
        "dense": [*state.dense],
        "category": [*state.category],
        "tags": state.tag_columns,
        "text": state.text_columns,
    }
    read = {port.name for port in part.inputs}
    return tuple(
        Input(
            name=f"{kind}.{column}",
            dtype="float32" if kind == "dense" else "string",
            shape=(axis, f"T{place}") if kind == "tags" else (axis,),
        )
        for kind in KINDS
        if kind in read
        for place, column in enumerate(columns[kind])
    )


def made_outputs(part: Part, axis: str, state: State) -> tuple[Input, ...]:
    """What the graph gives: those of the tower's inputs that raw attributes and being new determine."""
    sizes = {"tags": (axis, state.tag_places)}
    return tuple(
        port.model_copy(update={"shape": sizes.get(port.name, (axis, *port.shape[1:]))})
        for port in part.inputs
        if port.name in (*KINDS, "row", "trend")
    )


def feature_signature(part: Part, side: Side) -> tuple[tuple[Input, ...], tuple[Input, ...]] | None:
    """The inputs and outputs of a tower's features; None where it reads no attributes."""
    axis = str(part.output.shape[0])
    inputs = raw_inputs(part, side.state.state, axis)
    return (inputs, made_outputs(part, axis, side.state.state)) if inputs else None


def write_features(folder: Path, part: Part, side: Side, blueprint: Blueprint, labels: dict[str, str]) -> None:
    """Write onnx/{user,item}_features.onnx, where the tower reads attributes."""
    found = feature_signature(part, side)
    if found is None:
        return
    inputs, outputs = found
    graph, state = Graph(), side.state.state
    rows = graph.op("Shape", inputs[0].name, start=0, end=1)
    for port in outputs:
        names = [column.name for column in inputs if column.name.startswith(f"{port.name}.")]
        match port.name:
            case "row":
                graph.op("Expand", graph.constant([-1], np.int64), rows, out="row")
            case "trend":
                add_trend(graph, rows, newcomer(blueprint.clock))
            case "dense":
                graph.op("Concat", *(column(graph, name) for name in names), axis=1, out="dense")
            case "category":
                places = [looked_up(graph, *pair) for pair in zip(names, state.category.values(), strict=True)]
                graph.op("Concat", *(column(graph, place) for place in places), axis=1, out="category")
            case "tags":
                add_tags(graph, rows, names, state)
            case "text":
                add_text(graph, names, side.state)
    model = graph.model(NAMES[part.name], inputs, outputs)
    hold_together(model)
    helper.set_model_props(model, labels)
    save(model, folder / FILES["onnx"].format(NAMES[part.name]))


def column(graph: Graph, name: str) -> str:
    """[N] as [N, 1]."""
    return graph.op("Unsqueeze", name, graph.constant([1], np.int64))


def looked_up(graph: Graph, texts: str, known: tuple[str, ...]) -> str:
    """The place of each text among the known ones, int64; -1 where it is not known."""
    if not known:  # of which LabelEncoder makes nothing
        return graph.op("Expand", graph.constant(-1, np.int64), graph.op("Shape", texts))
    return graph.op(
        "ai.onnx.ml:LabelEncoder", texts, keys_strings=known, values_int64s=list(range(len(known))), default_int64=-1
    )


def add_trend(graph: Graph, rows: str, trend: Float32) -> None:
    """The same trends for each row."""
    width = graph.constant([len(trend)], np.int64)
    graph.op("Expand", graph.constant(trend[None]), graph.op("Concat", rows, width, axis=0), out="trend")


def add_tags(graph: Graph, rows: str, names: list[str], state: State) -> None:
    """The known tags of all columns, in order and as many as the training had at most; -1 in the places left."""
    marked = [
        graph.op("StringConcat", graph.constant([f"{column}="]), name)
        for column, name in zip(state.tag_columns, names, strict=True)
    ]
    tag = looked_up(graph, graph.op("Concat", *marked, axis=1), state.tags)
    known = graph.op("GreaterOrEqual", tag, graph.constant(0, np.int64))
    ranks = graph.op("CumSum", graph.op("Cast", known, to=7), graph.constant(1, np.int64))
    rank = graph.op("Sub", ranks, graph.constant(1, np.int64))
    last = graph.constant(state.tag_places, np.int64)
    fits = graph.op("And", known, graph.op("Less", rank, last))
    place = graph.op("Where", fits, rank, last)  # the last place is cut off
    width = graph.constant([state.tag_places + 1], np.int64)
    empty = graph.op("Expand", graph.constant([[-1]], np.int64), graph.op("Concat", rows, width, axis=0))
    bags = graph.op("ScatterElements", empty, place, tag, axis=1)
    sliced(graph, bags, 0, state.tag_places, axis=1, out="tags")


def sliced(graph: Graph, value: str, start: int, stop: int, axis: int, out: str = "") -> str:
    """A part of an axis."""
    ends = [graph.constant([end], np.int64) for end in (start, stop, axis)]
    return graph.op("Slice", value, *ends, out=out)


def add_text(graph: Graph, names: list[str], learned: FeatureState) -> None:
    """The direction of each text; a row more keeps every shape from being empty, until it is cut off."""
    text = names[0]
    for name in names[1:]:
        text = graph.op("StringConcat", graph.op("StringConcat", text, graph.constant([" "])), name)
    text = graph.op("Concat", text, graph.constant(["aa aa"]), axis=0)
    words = tokenised(graph, lowered(graph, text), tokenexp=WORD)
    both = graph.op(
        "StringConcat",
        graph.op("StringConcat", sliced(graph, words, 0, -1, axis=1), graph.constant([" "])),
        sliced(graph, words, 1, sys.maxsize, axis=1),
    )
    found = [looked_up(graph, texts, learned.state.words) for texts in (words, both)]
    vectors = embedded(graph, graph.op("Concat", *found, axis=1), learned)
    sliced(graph, vectors, 0, -1, axis=0, out="text")


def tokenised(graph: Graph, text: str, **how: Any) -> str:
    """The tokens of each text, string [M, W], filled up with empty ones."""
    return graph.op("com.microsoft:Tokenizer", text, mark=0, mincharnum=1, pad_value="", **how)


def lowered(graph: Graph, text: str) -> str:
    """Each text in lower case. Python writes a sigma at the end of a word in another way; this does not."""
    letters = tokenised(graph, text, separators=[""])
    capitals = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).lower() != chr(code)]
    small = [letter.lower() for letter in capitals]
    changed = graph.op(
        "ai.onnx.ml:LabelEncoder", letters, keys_strings=capitals, values_strings=small, default_string=""
    )
    none = graph.constant([""])
    folded = graph.op("Where", graph.op("Equal", changed, none), letters, changed)
    body = Graph("letter")
    letter = body.op("Gather", folded, "at", axis=1)
    body.op("StringConcat", "held", letter, out="kept")
    length = graph.op("Squeeze", graph.op("Shape", folded, start=1, end=2), graph.constant([0], np.int64))
    return graph.loop(length, graph.op("Expand", none, graph.op("Shape", text)), body)


def embedded(graph: Graph, found: str, learned: FeatureState) -> str:
    """Places among the known words, int64 [M, G], -1 for none -> float32 [M, E], the direction of TF-IDF and SVD."""
    zero, one = graph.constant(0.0, np.float64), graph.constant(1.0, np.float64)
    known = graph.op("Cast", graph.op("GreaterOrEqual", found, graph.constant(0, np.int64)), to=11)
    place = graph.op("Max", found, graph.constant(0, np.int64))
    pairs = [graph.op("Unsqueeze", found, graph.constant([axis], np.int64)) for axis in (1, 2)]
    alike = graph.op("Cast", graph.op("Equal", *pairs), to=11)
    count = graph.op("ReduceSum", alike, graph.constant([2], np.int64), keepdims=0)  # of the word at each place
    idf = graph.op("Mul", known, graph.op("Gather", graph.constant(learned.idf, np.float64), place))
    weight = graph.op("Mul", idf, graph.op("Add", one, graph.op("Log", count)))
    share = graph.op("Div", weight, count)  # each place adds its share of the word's weight
    squares = graph.op("ReduceSum", graph.op("Mul", weight, share), graph.constant([1], np.int64), keepdims=1)
    empty = graph.op("Cast", graph.op("Equal", squares, zero), to=11)
    unit = graph.op("Div", share, graph.op("Sqrt", graph.op("Add", squares, empty)))
    directions = graph.constant(np.ascontiguousarray(learned.directions.T), np.float32)
    there = graph.op("Cast", graph.op("Gather", directions, place), to=11)
    across = graph.op("MatMul", graph.op("Unsqueeze", unit, graph.constant([1], np.int64)), there)
    vectors = graph.op("Squeeze", across, graph.constant([1], np.int64))
    length = graph.op("ReduceL2", vectors, graph.constant([1], np.int64), keepdims=1)
    floor = graph.op("Max", length, graph.constant(NEVER, np.float64))
    return graph.op("Cast", graph.op("Div", vectors, floor), to=1)
