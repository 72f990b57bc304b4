"""Interleaved rounds of every way through a case: what disturbs the machine then disturbs all of them."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rec_export.bench import dot_peers, mlp_peers
from rec_export.bench.case import Case, Way
from rec_export.errors import ModelError
from rec_export.record import Record
from rec_export.topk import Ranker
from rec_export.towers import DotHead

SLOW_PAIRS = {"naive": 2_000_000, "torch": 8_000_000, "limit": 4_000_000}  # of an MLP: these take too long for all
SAME = 0.99  # share of the places in which float32 may not differ


class Result(Record):
    """User x item pairs a second: the median of the rounds."""

    name: str
    users: int
    items: int
    dim: int
    k: int
    ours_pairs_per_s: float
    limit_pairs_per_s: float
    peers: dict[str, float]


class Machine(Record):
    """Where it was measured. `first_s`: seconds that our first calls took beyond the later ones, by case.

    These prepare the catalogue and, where the disk does not hold them yet, compile the kernels.
    """

    cpu: str
    gpu: str | None
    flags: tuple[str, ...]
    cores: int
    threads: int
    clock: str
    torch: str
    first_s: dict[str, float]


class Report(Record):
    """What `rec-export bench --json` prints."""

    machine: Machine
    cases: tuple[Result, ...]


@torch.inference_mode()
def report(
    cases: Iterable[Callable[[], Case]], rounds: int, tell: Callable[[Result], None], device: torch.device
) -> Report:
    """Measure the cases one after another; `tell` hears of each when it is done."""
    results, first = [], {}
    for make in cases:
        with torch.inference_mode(False):
            case = make().on(device)
        result, first[case.name] = measure(case, rounds)
        results.append(result)
        tell(result)
    return Report(machine=machine(first, device), cases=tuple(results))


def measure(case: Case, rounds: int) -> tuple[Result, float]:
    """The result, and by how many seconds our first call was longer than the median of the others."""
    todo = ways(case)
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    found: dict[str, Tensor] = {}
    now = clock(case.item_vec.device)
    for _ in range(rounds + 1):  # the first round prepares and compiles
        for name, (_, way) in todo.items():
            began = now()
            lists = way()
            if case.item_vec.is_cuda:
                torch.cuda.synchronize(case.item_vec.device)
            seconds[name].append(now() - began)
            if lists is not None:
                found[name] = lists
    check(case.name, found)
    usual = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    speed = {name: users * len(case.item_vec) / usual[name] for name, (users, _) in todo.items()}
    result = Result(
        name=case.name,
        users=len(case.user_vec),
        items=len(case.item_vec),
        dim=case.item_vec.shape[1],
        k=case.k,
        ours_pairs_per_s=speed.pop("ours"),
        limit_pairs_per_s=speed.pop("limit"),
        peers=speed,
    )
    return result, seconds["ours"][0] - usual["ours"]


def ways(case: Case) -> dict[str, tuple[int, Way]]:
    """Name -> how many of the users take this way, and the way."""
    ranker = Ranker(case.head, case.item_vec, case.item_vec.device)
    todo: dict[str, tuple[int, Way]] = {
        "ours": (
            len(case.user_vec),
            lambda: torch.from_numpy(ranker.top_k(case.user_vec, case.k, case.seen).item_row),
        )
    }
    if isinstance(case.head, DotHead):
        todo["limit"] = (len(case.user_vec), lambda: dot_peers.product(case))
        return todo | {name: (len(case.user_vec), way) for name, way in dot_peers.dot_peers(case).items()}
    slow = {"limit": mlp_peers.product, "naive": mlp_peers.naive, "torch": mlp_peers.in_tiles}
    for name, way in slow.items():
        users = min(len(case.user_vec), max(1, SLOW_PAIRS[name] // len(case.item_vec)))
        if name == "limit" and not mlp_peers.wide(case):  # a dot product alone, which takes no time for all
            users = len(case.user_vec)
        todo[name] = (users, partial(way, case.first(users)))
    return todo


def check(name: str, found: dict[str, Tensor]) -> None:
    """All ways must lead to the same lists as far as ours go, but for neighbours that float32 swaps."""
    for way, lists in found.items():
        ours = found["ours"][: len(lists)]
        same = (lists == ours)[ours >= 0].double().mean().item()  # -1 after the end of a list
        if same < SAME:
            raise ModelError(f"{name}: only {same:.1%} of {way}'s places hold the items of ours; report this as a bug")


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds of processor time with one thread, as other processes disturb these least; else those of a clock."""
    return time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter


def machine(first: dict[str, float], device: torch.device) -> Machine:
    """This machine; only those of its processor's flags that bear on speed."""
    named = processor()
    flags = [flag for flag in named.get("flags", "").split() if flag.startswith(("avx", "fma", "amx", "f16c"))]
    return Machine(
        cpu=named.get("model name", platform.processor() or platform.machine()),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        flags=tuple(sorted(flags)),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        clock=clock(device).__name__,
        torch=torch.__version__,
        first_s={name: round(value, 2) for name, value in first.items()},
    )


def processor() -> dict[str, str]:
    """What Linux says of the first core; elsewhere nothing."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    pairs = [line.split(":", 1) for line in path.read_text(encoding="utf-8").split("\n\n")[0].splitlines()]
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}
