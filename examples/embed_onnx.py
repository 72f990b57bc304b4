"""From lines of JSON to the vectors of new items, with nothing but onnxruntime and numpy.

    head -50 items.jsonl | python embed_onnx.py BUNDLE

A line is like {"title": "Red shoe", "price": 20, "brand": "Acme", "genres": ["sport", "red"]}: the columns that the
model was trained with; what is left out is missing, and tags may be one string ("sport|red"). Printed is the vector of
the first line, as JSON, and then the other lines' numbers, the most similar first, with the cosines of their vectors:
of the columns in which the lines differ, as the popularity of what nobody has met yet is the same everywhere and would
make all of them alike.
"""

import json
import re
import sys

import numpy as np
import onnxruntime

MISSING = "\uffff"  # a category or a tag that is not there
LARGEST = 3.4e38  # of float32


def written(value: object) -> str:
    """A value as a table of strings has it: true and not True, 3 and not 3.0, 0.00001 and not 1e-05."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e10:
        return np.format_float_positional(value, trim="-")
    return np.format_float_scientific(value, trim="-", exp_digits=1)


def spelled(value: object) -> str:
    """A category or a tag as the training has spelled it: without blanks around it, "3.0" as 3 and "True" as true."""
    text = written(value)
    if not state.get("spelled"):  # a bundle of an earlier version
        return text
    text = re.sub(r"^([+-]?[0-9]+)\.0+$", r"\1", text.strip())
    return text.lower() if text in ("True", "TRUE", "False", "FALSE") else text


def number(value: object) -> float:
    """A number, a text of one or a truth, as the training takes them; ValueError where it would refuse it."""
    found = float(value) if isinstance(value, str | int | float) else LARGEST  # a truth is an int
    if not abs(found) < LARGEST:
        raise ValueError
    return found


def tags_of(value: object) -> list[str]:
    """A list of tags, or what stands between the separators of one string."""
    tags = value if isinstance(value, list) else written(value).split(state["separator"])
    return [spelled(tag) for tag in tags if tag is not None]


if len(sys.argv) != 2:
    sys.exit("usage: head -50 items.jsonl | python embed_onnx.py BUNDLE")
bundle = sys.argv[1]
try:
    item_features, item_tower = (
        onnxruntime.InferenceSession(f"{bundle}/onnx/{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("item_features", "item_tower")
    )
    with open(f"{bundle}/features/items.json", encoding="utf-8") as file:
        state = json.load(file)
    lines = list(sys.stdin)
except Exception as error:  # onnxruntime's errors have no common class
    sys.exit(f"{bundle} is no bundle with ONNX whose items have attributes: {str(error).splitlines()[0]}")
items = []
for place, line in enumerate(lines, 1):
    try:
        items.append(json.loads(line))
    except ValueError as error:
        sys.exit(f"line {place} on stdin is no JSON: {error}")
    if not isinstance(items[-1], dict):
        sys.exit(f"line {place} on stdin is no JSON object, such as {{}}")
if not items:
    sys.exit("there is no item on stdin; write one JSON object a line")
columns = {port.name.split(".", 1)[1] for port in item_features.get_inputs()}
if unread := sorted({key for item in items for key in item} - columns):
    sys.stderr.write(f"not read, as the model has no such columns: {', '.join(unread)}\n")

raw = {}
for port in item_features.get_inputs():
    kind, column = port.name.split(".", 1)
    values = [item.get(column) for item in items]
    if kind == "dense":
        numbers = []
        for place, value in enumerate(values, 1):
            try:
                numbers.append(np.nan if value is None else number(value))
            except ValueError:
                sys.exit(f"{column} is a number, and line {place} has {json.dumps(value)}")
        raw[port.name] = np.array(numbers, np.float32)
    elif kind == "tags":
        bags = [[] if value is None else tags_of(value) for value in values]
        longest = max(map(len, bags))
        padded = [bag + [MISSING] * (longest - len(bag)) for bag in bags]
        raw[port.name] = np.array(padded, object).reshape(len(bags), longest)
    else:
        missing, word = (MISSING, spelled) if kind == "category" else ("", written)
        texts = [missing if value is None else word(value) for value in values]
        raw[port.name] = np.array([text.lower() for text in texts] if kind == "text" else texts, object)

names = [port.name for port in item_features.get_outputs()]
try:
    (vectors,) = item_tower.run(None, dict(zip(names, item_features.run(None, raw), strict=True)))
except Exception as error:  # such as half a character
    sys.exit(f"the lines cannot be embedded: {str(error).splitlines()[0]}")
print(json.dumps(vectors[0].tolist()))  # noqa: T201
told = vectors[:, (vectors != vectors[0]).any(0)]
unit = told / np.maximum(np.linalg.norm(told, axis=1, keepdims=True), 1e-12)
cosine = unit[1:] @ unit[0] if told.shape[1] else np.ones(len(unit) - 1)  # all are the same
for place in np.argsort(-cosine, kind="stable"):
    print(f"{place + 2}\t{cosine[place]:.4f}")  # noqa: T201
