"""The usual ways to the best dot products, float32, seen items filtered; those that are not installed are left out."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rec_export.bench.case import AT_ONCE, Case, Way, best_of, seen_pairs


def dot_peers(case: Case) -> dict[str, Way]:
    """Every way that this environment has; only torch's runs on a GPU."""
    ways: dict[str, Way] = {"torch": lambda: in_torch(case)}
    if case.item_vec.is_cuda:
        return ways
    ways["onnxruntime"] = onnxruntime(case)
    if find_spec("implicit"):
        ways["implicit"] = implicit(case)
    if find_spec("faiss"):
        ways["faiss"] = faiss(case)
    return ways


def product(case: Case) -> None:
    """The limit: the float32 product alone, in tiles that stay in the cache."""
    for users in case.user_vec.split(1024):
        for items in case.item_vec.split(2048):
            users @ items.T


def in_torch(case: Case) -> Tensor:
    """Matmul and topk in chunks of users."""
    return best_of(lambda at: case.user_vec[at : at + AT_ONCE] @ case.item_vec.T, case.seen, case.k, AT_ONCE)


def implicit(case: Case) -> Way:
    """The kernel that implicit's recommend() calls."""
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix
    from threadpoolctl import ThreadpoolController

    users, items = case.user_vec.numpy(), case.item_vec.numpy()
    start, row = case.seen
    seen = csr_matrix((np.ones(len(row), np.float32), row, start), shape=(len(users), len(items)))
    seen.sum_duplicates()

    libraries = ThreadpoolController()

    def run() -> Tensor:
        with libraries.limit(limits=1, user_api="blas"):  # as the library asks for: it has threads of its own
            rows, _ = topk(items, users, case.k, filter_query_items=seen, num_threads=torch.get_num_threads())
        return torch.from_numpy(rows.astype(np.int64))

    return run


def onnxruntime(case: Case) -> Way:
    """A graph of three nodes, MatMul, ScatterND and TopK; the items are its constant."""
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper

    items = onnx.numpy_helper.from_array(np.ascontiguousarray(case.item_vec.numpy().T), "items")
    nodes = [
        helper.make_node("MatMul", ["users", "items"], ["all"]),
        helper.make_node("ScatterND", ["all", "seen", "lowest"], ["unseen"]),
        helper.make_node("TopK", ["unseen", "k"], ["score", "row"]),
    ]
    inputs = [
        helper.make_tensor_value_info("users", TensorProto.FLOAT, ["B", case.user_vec.shape[1]]),
        helper.make_tensor_value_info("seen", TensorProto.INT64, ["S", 2]),
        helper.make_tensor_value_info("lowest", TensorProto.FLOAT, ["S"]),
    ]
    outputs = [helper.make_tensor_value_info("row", TensorProto.INT64, ["B", case.k])]
    k = onnx.numpy_helper.from_array(np.array([case.k], np.int64), "k")
    model = helper.make_model(
        helper.make_graph(nodes, "top_k", inputs, outputs, [items, k]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run() -> Tensor:
        lists = []
        for at in range(0, len(case.user_vec), AT_ONCE):
            seen = seen_pairs(case.seen, at, AT_ONCE).numpy()
            feed: dict[str, Any] = {"users": case.user_vec[at : at + AT_ONCE].numpy(), "seen": seen}
            feed["lowest"] = np.full(len(seen), -np.inf, np.float32)
            lists.append(torch.from_numpy(session.run(["row"], feed)[0]))
        return torch.cat(lists)

    return run


def faiss(case: Case) -> Way:
    """IndexFlatIP; it knows no seen items of each user, so it finds as many more and leaves those out afterwards."""
    import faiss as library

    library.omp_set_num_threads(torch.get_num_threads())
    index = library.IndexFlatIP(case.item_vec.shape[1])
    index.add(case.item_vec.numpy())
    items, most = len(case.item_vec), int(np.diff(case.seen.start).max(initial=0))

    def run() -> Tensor:
        _, row = index.search(case.user_vec.numpy(), min(items, case.k + most))
        pair = np.arange(len(row))[:, None] * items + row
        seen = np.isin(pair, case.seen.user() * items + case.seen.item_row)
        first = np.argsort(seen, axis=1, kind="stable")[:, : case.k]
        return torch.from_numpy(np.take_along_axis(row, first, 1))

    return run
