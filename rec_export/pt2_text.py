"""The texts of a .pt2 program that are no plain names, sums of sizes or operators: torch runs some of them as code.

Where torch 2.13 runs or imports what a text says: `expr_str` goes to sympy's eval; `guards_code` and the names of nodes
and arguments become Python source, which is executed; a `target` is looked up by attributes from `torch`, also as
torch.os.system; a treespec (`in_spec`, `out_spec`) imports the module of an enum or of a defaultdict's factory.
So every text is held against what its key allows, and a key unknown here allows a name.
"""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch._ops import OpOverload

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
KEY = r"[A-Za-z0-9_(),+*/ -]*"  # also of ranges, as 2*s1; torch looks keys up and runs none
DOTTED = rf"{NAME}(?:\.[A-Za-z0-9_]+)*"
SUM = r"[0-9(),+*% -]|//"  # digits one by one, as repeated repetitions take exponential time
FUNCTION = r"\b(?:Integer|Rational|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|ModularIndexing|Max|Min)\b"
COMPARED = r"[=!<>]=|[<>]|\b(?:and|or|not)\b"
SYMBOL = rf"\bSymbol\('{NAME}'|\b(?:positive|nonnegative|integer)=(?:True|False)\b"
SIZE = rf"L\['{NAME}'\]\.size\(\)\[[0-9]\]"
OPERATOR = "add|sub|mul|truediv|floordiv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|getitem"
TREE = r"[\[\]{}:, 1]|null"
NODE = rf'"(?:type|context|children_spec|null|builtins\.(?:tuple|list|dict)|\[(?:\\"{NAME}\\"(?:, )?)*\])"'

ALLOWED = {
    "expr_str": rf"(?:{SUM}|{FUNCTION}|{SYMBOL})+",
    "guards_code": rf"(?:{SUM}|{FUNCTION}|{COMPARED}|{SIZE})+",
    "in_spec": rf"(?:{TREE}|{NODE})+",
    "out_spec": rf"(?:{TREE}|{NODE})+",
    "target": rf"torch\.ops\.aten\.{NAME}\.{NAME}|_operator\.(?:{OPERATOR})|torch\.sym_(?:float|max|min|not)",
    "fqn": rf"(?:{DOTTED})?",
    **dict.fromkeys(("parameter_name", "buffer_name", "tensor_constant_name"), DOTTED),
    "as_string": r"[A-Za-z0-9_,.> -]*",  # of einsum, or a mode
    "as_float": r"-?Infinity|NaN",
    "torch_version": r"[0-9a-z.+]+",
}


def unsafe_texts(part: Any, key: str = "") -> Iterator[str]:
    """The texts of JSON that are not what their keys allow, each with its key."""
    if isinstance(part, dict):
        for name, value in part.items():
            if not re.fullmatch(KEY, name):
                yield f"the key {name[:80]!r}"
            yield from unsafe_texts(value, name)
    elif isinstance(part, list):
        for value in part:
            yield from unsafe_texts(value, key)
    elif isinstance(part, str) and not is_safe(part, key):
        yield f"{key} {part[:80]!r}"


def is_safe(text: str, key: str) -> bool:
    """Whether a text says nothing but what its key allows."""
    if not re.fullmatch(ALLOWED.get(key, NAME), text):
        return False
    return not text.startswith("torch.ops.aten.") or key != "target" or is_computation(text)


def is_computation(target: str) -> bool:
    """Whether a name is an operator of torch, and one that opens no file."""
    *_, name, overload = target.split(".")
    operator = getattr(getattr(torch.ops.aten, name, None), overload, None)
    return isinstance(operator, OpOverload) and "filename" not in {port.name for port in operator._schema.arguments}
