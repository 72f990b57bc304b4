"""Triton's kernels find the groups: the lists are those of the definition, bit for bit.

test_fused.py runs this in a process of its own, with TRITON_INTERPRET=1 in Triton's interpreter, else on a GPU: Triton
must find that when it is imported, and other tests import it too.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import triton.language as tl
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from triton.runtime.errors import OutOfResources

from rec_export.topk import Ranker, Seen, fused_here, groups, kernels
from rec_export.topk import fused as host
from rec_export.topk.definition import score_pairs
from rec_export.topk.form import Form, form_of
from rec_export.topk.fused import FusedDots, FusedNetwork, fused
from rec_export.topk.groups import GroupEngine
from rec_export.topk.maxima import TileMaxima
from rec_export.topk.reference import by_definition
from rec_export.topk.tiles import Chunk, Tile, TileEngine, chunk_of
from rec_export.towers import AdditiveHead, DotHead, Head
from tests.rec_export.topk.test_dot_engine import KINDS, SCALES, seen_of, vectors
from tests.rec_export.topk.worlds import same

DEVICE = torch.device("cpu" if os.environ["TRITON_INTERPRET"] == "1" else "cuda")
HEADS: dict[str, Callable[[], Head]] = {
    "dot": DotHead,
    "one layer": lambda: AdditiveHead((4,), 3),
    "two layers": lambda: AdditiveHead((7, 3), 0),
    "three layers": lambda: AdditiveHead((5, 6, 3), 2),
}


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    """NumPy, with which the interpreter reckons, warns where a number leaves float32; a GPU does not."""
    with np.errstate(all="ignore"):
        yield


def of(head: Head, item_vec: Tensor) -> Form:
    """The form of a head."""
    form = form_of(head, item_vec.shape[1])
    assert form is not None
    return form


def engine(head: Head, item_vec: Tensor, group: int = 32, free: int = 1 << 20) -> GroupEngine:
    """The engine with the kernels, and so much memory."""
    form, item_vec = of(head, item_vec), item_vec.to(DEVICE)
    maxima = fused(form, item_vec, group)
    assert maxima is not None
    return GroupEngine(form, item_vec, TileEngine(form, item_vec, Tile(64, 1000)), maxima, lambda _: free)


def chunk(user_vec: Tensor, seen: Seen) -> Chunk:
    """All users."""
    return chunk_of(user_vec, seen, np.arange(len(user_vec)), DEVICE)


def test_without_a_gpu_it_is_the_interpreter() -> None:
    kind = "JITFunction" if DEVICE.type == "cuda" else "InterpretedFunction"
    assert [type(one).__name__ for one in (kernels.dot_maxima, kernels.network_maxima, tl.max)] == [kind] * 3


@settings(derandomize=True, max_examples=50, deadline=None)
@given(
    head=st.sampled_from(sorted(HEADS)),
    kind=st.sampled_from(KINDS),
    scale=st.sampled_from(SCALES),
    users=st.integers(1, 4),
    items=st.integers(1, 100),
    k=st.sampled_from((1, 2, 5, 100)),
    share=st.sampled_from((0.0, 0.1, 0.9, 5.0)),
    group=st.sampled_from((1, 2, 4)),
    free=st.sampled_from((1, 1 << 20)),
    programs=st.sampled_from((1, 1 << 11)),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_the_definition(
    head: str, kind: str, scale: float, users: int, items: int, k: int, share: float, group: int, free: int,
    programs: int, seed: int,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    random, module = np.random.default_rng(seed), HEADS[head]()
    user_vec, item_vec = vectors(kind, users, 7, random), vectors(kind, items, 7, random) * scale
    seen = seen_of(users, items, share, random)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "SLACK", 4)
        patch.setattr(host, "PROGRAMS", programs)
        got = engine(module, item_vec, group, free).top_k(user_vec, k, seen)
    assert same(got, by_definition(module, user_vec, item_vec, k, seen))


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("group", [1, 8, 32])
def test_the_maxima_are_those_of_unseen_items_within_the_bound(head: str, group: int) -> None:
    """Also where the kernel's blocks of users and of items are not full; user 0 has seen everything."""
    torch.manual_seed(0)
    random, module = np.random.default_rng(0), HEADS[head]()
    users, items = (130, 333) if head == "dot" else (3, 100)
    user_vec, item_vec = vectors("normal", users, 7, random), vectors("normal", items, 7, random)
    pairs = np.concatenate([random.integers(0, (users, items), (3 * users, 2)), np.argwhere(np.ones((1, items)))])
    own = chunk(user_vec, Seen.of(pairs[:, 0], pairs[:, 1], users))
    rows, start = np.tile(np.arange(items), users), np.arange(users + 1) * items
    exact = score_pairs(of(module, item_vec), user_vec.numpy(), item_vec.numpy(), start, rows)
    wanted = torch.from_numpy(exact).view(users, items)
    wanted[own.seen_user.cpu(), own.seen_row.cpu()] = -torch.inf
    maxima = fused(of(module, item_vec), item_vec.to(DEVICE), group)
    assert maxima is not None
    got, groups = maxima.of(own).cpu().double(), -(-items // group)
    wanted = torch.nn.functional.pad(wanted, (0, got.shape[1] * group - items), value=-torch.inf)
    wanted = wanted.unflatten(1, (-1, group)).amax(2)
    assert torch.equal(got == -torch.inf, wanted == -torch.inf)
    assert (got[0] == -torch.inf).all()
    assert (got[:, groups:] == -torch.inf).all()
    error = (got - wanted).nan_to_num(0).abs()
    assert (error <= maxima.bound(own.vec).cpu()[:, None]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("head", ["dot", "three layers"])
def test_no_score_is_further_from_the_definition_than_its_bound(head: str, kind: str, scale: float) -> None:
    torch.manual_seed(0)
    random, module = np.random.default_rng(0), HEADS[head]()
    width, users, items = (70, 9, 200) if head == "dot" else (7, 2, 64)
    user_vec, item_vec = vectors(kind, users, width, random), vectors(kind, items, width, random) * scale
    maxima = fused(of(module, item_vec), item_vec.to(DEVICE), 1)
    assert maxima is not None
    start, rows = np.arange(users + 1) * items, np.tile(np.arange(items), users)
    wanted = score_pairs(of(module, item_vec), user_vec.numpy(), item_vec.numpy(), start, rows).reshape(users, items)
    own = chunk(user_vec, Seen.none(users))
    error = np.abs(maxima.of(own)[:, :items].cpu().double().numpy() - wanted)
    bound = maxima.bound(own.vec).cpu().numpy()[:, None]
    assert ((error <= bound) | np.isinf(bound)).all()


@pytest.mark.parametrize("made", [DotHead, lambda: AdditiveHead((24, 16), 8)])
def test_nobody_is_left_to_the_tiles_without_need(made: Callable[[], Head], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TileEngine, "top_k", lambda *_: pytest.fail("a user is left to the tiles"))
    torch.manual_seed(0)
    user_vec, item_vec, module = torch.randn(3, 32), torch.randn(1500, 32), made()
    seen = seen_of(3, 1500, 0.01, np.random.default_rng(0))
    got = engine(module, item_vec, 8, 1 << 30).top_k(user_vec, 10, seen)
    assert same(got, by_definition(module, user_vec, item_vec, 10, seen))


def with_a_weight_of(number: float) -> Head:
    """Which bfloat16 may not hold."""
    head = AdditiveHead((8, 4), 0)
    torch.nn.init.constant_(head.get_parameter("tail.0.weight"), number)
    return head


@pytest.mark.parametrize(
    ("module", "width", "taken"),
    [
        (DotHead(), 256, FusedDots),
        (DotHead(), 257, TileMaxima),
        (AdditiveHead((128, 64, 32), 128), 256, FusedNetwork),
        (AdditiveHead((128, 65), 0), 128, TileMaxima),
        (AdditiveHead((8, 8, 8, 8), 0), 8, TileMaxima),
        (with_a_weight_of(3.4e38), 8, TileMaxima),
    ],
)
def test_where_triton_works_it_is_chosen_for_what_fits_and_elsewhere_torch(
    module: Head, width: int, taken: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    item_vec = torch.ones(40, width, device=DEVICE)
    chosen = []
    for why in ("", "triton is not installed"):
        monkeypatch.setattr(fused_here, "missing", lambda device, why=why: why)
        chosen.append(type(fused_here.maxima_of(of(module, item_vec), item_vec)))
    assert chosen == [taken, TileMaxima]


@pytest.mark.parametrize(
    ("found", "capability", "trial", "why"),
    [
        (None, (9, 0), True, "triton is not installed"),
        ("triton", (7, 5), True, "the GPU is older than compute capability 8.0"),
        ("triton", (9, 0), False, "Triton's kernels run, and their results are wrong"),
        ("triton", (9, 0), RuntimeError("Failed to find C compiler."), "do not run: Failed to find C compiler."),
        ("triton", (9, 0), AssertionError("libcuda.so cannot found!\n"), "do not run: libcuda.so cannot found!"),
        ("triton", (9, 0), True, ""),
    ],
)
def test_why_there_are_no_kernels_is_told(
    found: str | None, capability: tuple[int, int], trial: bool | Exception, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(device: torch.device) -> bool:
        if isinstance(trial, Exception):
            raise trial
        return trial

    monkeypatch.setattr(fused_here, "find_spec", lambda name: found)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    monkeypatch.setattr(fused_here, "right", tried)
    said = fused_here.missing.__wrapped__(torch.device("cuda"))
    assert said.endswith(why)
    assert (said == "") == (why == "")


def test_the_trial_of_the_kernels_comes_out_right() -> None:
    assert fused_here.right(DEVICE)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_kernel_is_taken_where_it_runs_and_gives_what_torch_does(
    head: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fused_here, "missing", lambda device: "")
    torch.manual_seed(0)
    item_vec, module = torch.randn(200, 7, device=DEVICE), HEADS[head]()
    form = of(module, item_vec)
    taken = fused_here.maxima_of(form, item_vec)
    assert (taken.name, caplog.messages) == ("Triton", [])
    kernel = type(taken)
    right = kernel.of

    def greedy(*_: object) -> Tensor:
        raise OutOfResources(262_144, 101_376, "shared memory")

    for wrong, why in (
        (greedy, "do not run: out of resource"),
        (lambda *of: right(*of) + 1, "their results are wrong"),
    ):
        monkeypatch.setattr(kernel, "of", wrong)
        assert fused_here.maxima_of(form, item_vec).name == "torch"
        assert why in caplog.messages[-1]
    assert fused_here.maxima_of(form, item_vec[:0]).name == "torch"


@pytest.mark.skipif(DEVICE.type == "cpu", reason="there is no CUDA device here")
@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("k", [1, 10, 500])
def test_on_a_gpu_the_kernels_are_taken_and_the_lists_are_those_of_the_cpu(head: str, k: int) -> None:
    random, module = torch.Generator().manual_seed(0), HEADS[head]()
    user_vec, item_vec = torch.randn(300, 7, generator=random), torch.randn(50_000, 7, generator=random)
    item_vec[20_000:30_000] = item_vec[:10_000]  # so that many items tie
    seen = Seen.of(np.arange(9000) % 300, np.arange(9000) * 3, 300)
    ranker = Ranker(module, item_vec.to(DEVICE), DEVICE)
    assert ranker.engine == "GroupEngine by Triton"
    assert same(ranker.top_k(user_vec.to(DEVICE), k, seen), Ranker(module, item_vec).top_k(user_vec, k, seen))
