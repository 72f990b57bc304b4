"""item_features.onnx and user_features.onnx: from raw attributes, as JSON has them, to what a tower reads.

The inputs are named by the kind and the column: dense.price (float32 [N], NaN where missing), category.brand and
text.title (string [N]), tags.genres (string [N, T]). The outputs are the tower's own inputs, for users and items that
are new: their row is -1, and an item's trends are those of one that nobody liked. So the two files in turn go from
attributes to a vector. The numbers pass as they are: the tower itself imputes and scales.

A text becomes what FeatureState.text_vectors makes of it, all of it by operators of ONNX Runtime on the CPU:

    lower case     by Python's tables; a StringNormalizer would need a locale of the machine
    words          com.microsoft:Tokenizer with the letters, digits and underscores of RE2, two or more of them
    TF-IDF, SVD    a look-up of words and pairs of words, 1 + log of their count, their idf, their directions; float64
"""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from exporters.graph import Graph
from exporters.one_batch import hold_together
from exporters.onnx import save
from exporters.parts import Part
from rec_export.catalogue import Side
from rec_export.data.columns import Float32
from rec_export.data.features import FeatureState, State
from rec_export.runtime import FILES
from rec_export.towers import Input

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


def write_features(folder: Path, part: Part, side: Side, trend: Float32, labels: dict[str, str]) -> None:
    """Write onnx/{user,item}_features.onnx, where the tower reads attributes; a new item has the trends float32 [W]."""
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
                add_trend(graph, rows, trend)
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
    """Each text in lower case, as Python writes it."""
    letters = tokenised(graph, text, separators=[""])
    capitals = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).lower() != chr(code)]
    small = [letter.lower() for letter in capitals]
    changed = graph.op(
        "ai.onnx.ml:LabelEncoder", letters, keys_strings=capitals, values_strings=small, default_string=""
    )
    folded = graph.op("Where", graph.op("Equal", changed, graph.constant([""])), letters, changed)
    return joined(graph, graph.op("Where", final_sigmas(graph, letters), graph.constant(["ς"]), folded))


def final_sigmas(graph: Graph, letters: str) -> str:
    """Which letters are a capital sigma that is a small final one in lower case, bool [M, L].

    That is so where the letter before it has a case and the one after it has none, those that are passed over (an
    apostrophe, an accent) left out: Unicode's Final_Sigma, by Python's own tables.
    """
    cased, passed_over = letters_by_case()
    keys, values = [*cased, *passed_over], [1] * len(cased) + [2] * len(passed_over)
    kind = graph.op("ai.onnx.ml:LabelEncoder", letters, keys_strings=keys, values_int64s=values, default_int64=0)
    zero, one, two = (graph.constant(number, np.int64) for number in (0, 1, 2))
    has_case = graph.op("Cast", graph.op("Equal", kind, one), to=7)
    counts = graph.op("Cast", graph.op("Not", graph.op("Equal", kind, two)), to=7)
    rank = graph.op("CumSum", counts, one)  # of a letter among those that count, from 1
    ends = graph.op("Add", graph.op("Shape", letters), graph.constant([0, 2], np.int64))  # neither end has a case
    ranked = graph.op("ScatterElements", graph.op("Expand", zero, ends), rank, has_case, axis=1, reduction="add")
    before, after = (graph.op("GatherElements", ranked, graph.op(side, rank, one), axis=1) for side in ("Sub", "Add"))
    sigma = graph.op("Equal", letters, graph.constant(["Σ"]))
    return graph.op("And", sigma, graph.op("Greater", before, after))


@cache
def letters_by_case() -> tuple[list[str], list[str]]:
    """The letters that have a case, and those that are passed over where one is looked for."""
    cased, passed_over = [], []
    for letter in map(chr, range(sys.maxunicode + 1)):
        if f"{letter}Σ".lower().endswith("ς"):
            cased.append(letter)
        elif f"a{letter}Σ".lower().endswith("ς"):
            passed_over.append(letter)
    return cased, passed_over


def joined(graph: Graph, pieces: str) -> str:
    """Texts [M] of their pieces, string [M, L], in order: neighbours are joined until each row is one piece."""
    body = Graph("pieces")
    rows = body.op("Shape", "held", start=0, end=1)
    one = body.constant([1], np.int64)
    blank = body.op("Expand", body.constant([[""]]), body.op("Concat", rows, one, axis=0))
    filled = body.op("Concat", "held", blank, axis=1)
    body.op("StringConcat", *(every_second(body, *pair) for pair in (("held", 0), (filled, 1))), out="kept")
    width = body.op("Shape", "kept", start=1, end=2)
    body.op("Squeeze", body.op("Greater", width, one), body.constant([0], np.int64), out="again")
    return graph.op("Squeeze", graph.loop(pieces, body), graph.constant([1], np.int64))


def every_second(graph: Graph, value: str, first: int) -> str:
    """The columns first, first + 2 and so on."""
    ends = [graph.constant([end], np.int64) for end in (first, sys.maxsize, 1, 2)]
    return graph.op("Slice", value, *ends)


def embedded(graph: Graph, found: str, learned: FeatureState) -> str:
    """Places among the known words, int64 [M, G], -1 for none -> float32 [M, E], the direction of TF-IDF and SVD."""
    zero, one = graph.constant(0.0, np.float64), graph.constant(1.0, np.float64)
    word, count = counted(graph, found)
    known = graph.op("Cast", graph.op("GreaterOrEqual", word, graph.constant(0, np.int64)), to=11)
    place = graph.op("Max", word, graph.constant(0, np.int64))
    idf = graph.op("Mul", known, graph.op("Gather", graph.constant(learned.idf, np.float64), place))
    weight = graph.op("Mul", idf, graph.op("Add", one, graph.op("Log", graph.op("Max", count, one))))
    squares = graph.op("ReduceSum", graph.op("Mul", weight, weight), graph.constant([1], np.int64), keepdims=1)
    empty = graph.op("Cast", graph.op("Equal", squares, zero), to=11)
    unit = graph.op("Div", weight, graph.op("Sqrt", graph.op("Add", squares, empty)))
    directions = graph.constant(np.ascontiguousarray(learned.directions.T), np.float32)
    there = graph.op("Cast", graph.op("Gather", directions, place), to=11)
    across = graph.op("MatMul", graph.op("Unsqueeze", unit, graph.constant([1], np.int64)), there)
    vectors = graph.op("Squeeze", across, graph.constant([1], np.int64))
    length = graph.op("ReduceL2", vectors, graph.constant([1], np.int64), keepdims=1)
    floor = graph.op("Max", length, graph.constant(NEVER, np.float64))
    return graph.op("Cast", graph.op("Div", vectors, floor), to=1)


def counted(graph: Graph, found: str) -> tuple[str, str]:
    """Each number of a row once, int64 [M, G], -1 in the places left; and how often it stands there, float64."""
    width = graph.op("Shape", found, start=1, end=2)
    ordered, unread = graph.name(), graph.name()
    graph.proto.node.append(helper.make_node("TopK", [found, width], [ordered, unread], axis=1, largest=0, sorted=1))
    one, nothing = graph.constant(1, np.int64), graph.op("Mul", found, graph.constant(0, np.int64))
    neighbours = sliced(graph, ordered, 1, sys.maxsize, axis=1), sliced(graph, ordered, 0, -1, axis=1)
    other = graph.op("Cast", graph.op("Greater", *neighbours), to=7)
    run = graph.op("CumSum", graph.op("Concat", sliced(graph, nothing, 0, 1, axis=1), other, axis=1), one)
    count = graph.op("ScatterElements", nothing, run, graph.op("Add", nothing, one), axis=1, reduction="add")
    word = graph.op("ScatterElements", graph.op("Sub", nothing, one), run, ordered, axis=1, reduction="max")
    return word, graph.op("Cast", count, to=11)
