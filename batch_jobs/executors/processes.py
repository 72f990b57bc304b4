"""Parts in several processes on this machine: one for each CUDA device, or so many on the CPU.

A process that dies is started again and its part is made again. A mistake of the user in one of them ends all.
"""

import logging
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import final

import torch

from batch_jobs.job import ScoreJob
from batch_jobs.maker import PartMaker
from batch_jobs.parts import Shard
from batch_jobs.task import Task
from rec_export.errors import LostProcessError, RecExportError, UsageError
from rec_export.files import storage_errors
from rec_export.progress import PULSE, still_at, track

TRIES = 3  # of a part, before the run is given up
SPAWN = get_context("spawn")  # a process that has used CUDA cannot be forked
log = logging.getLogger("rec_export")


def make(task: Task, shards: list[Shard]) -> None:
    """Make the parts of some shards. Raises LostProcessError when one ends its process again and again."""
    devices = devices_of(task)[: len(shards)]
    with crew(task, devices) as workers:
        for _ in track(finished(workers, shards), len(shards), "scoring"):
            pass


def devices_of(task: Task) -> list[str]:
    """The device of each process."""
    workers, cuda = task.plan.how.workers, task.plan.device.type == "cuda"
    if workers is None and not cuda:
        raise UsageError("--executor processes needs --workers on the CPU; say how many")
    devices = [str(task.plan.device)]
    if cuda and task.plan.device.index is None:
        devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [devices[number % len(devices)] for number in range(workers or len(devices))]


@final
class Worker:
    """A process that makes one part at a time."""

    def __init__(self, job: ScoreJob, run_id: str, threads: int) -> None:
        self.given = job, run_id, threads
        self.shard: Shard | None = None
        self.start()

    def start(self) -> None:
        """Start the process; again, where it has died."""
        self.mine, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=work, args=(*self.given, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is noticed

    def give(self, shard: Shard | None) -> None:
        """Let it make a part; None: nothing is left."""
        self.shard = shard
        if shard is not None:
            with suppress(BrokenPipeError):  # it has died; `died` will tell
                self.mine.send(shard)

    def died(self) -> bool:
        """Whether it ended instead of making its part. Raises its mistake, where it tells one."""
        try:
            mistake = self.mine.recv()
        except (EOFError, ConnectionResetError):
            return True
        if mistake is not None:
            raise mistake
        return False

    def end(self) -> None:
        """End it now: what it has not finished is made again next time."""
        self.process.kill()
        self.process.join()
        self.mine.close()


@contextmanager
def crew(task: Task, devices: list[str]) -> Iterator[list[Worker]]:
    """A process for each of the devices, which share the cores; however the block ends, they end too."""
    threads = max(1, torch.get_num_threads() // len(devices))
    workers: list[Worker] = []
    try:
        for device in devices:
            job = task.job.model_copy(update={"device": device})
            workers.append(Worker(job, task.plan.run_id, threads))
        yield workers
    finally:
        for worker in workers:
            worker.end()


def finished(workers: list[Worker], shards: list[Shard]) -> Iterator[Shard]:
    """The shards, as their parts are made."""
    waiting, deaths = deque(shards), Counter[Shard]()
    for worker in workers:
        worker.give(waiting.popleft() if waiting else None)
    while busy := {worker.mine: worker for worker in workers if worker.shard is not None}:
        still_at("scoring", len(shards) - len(waiting) - len(busy), len(shards))
        for connection in wait(list(busy), PULSE):
            assert isinstance(connection, Connection)
            worker = busy[connection]
            assert worker.shard is not None
            if worker.died():
                deaths[worker.shard] += 1
                start_again(worker, deaths[worker.shard])
                worker.give(worker.shard)
            else:
                yield worker.shard
                worker.give(waiting.popleft() if waiting else None)


def start_again(worker: Worker, deaths: int) -> None:
    """Start a process in the place of one that died, unless that is a bug, or its part was tried often enough."""
    worker.end()
    code, shard = worker.process.exitcode, worker.shard
    assert code is not None
    assert shard is not None
    if code > 0:
        raise RuntimeError(f"a process ended with exit code {code}; its error stands above")
    how = f"by signal {-code} ({signal.strsignal(-code)})"
    if deaths == TRIES:
        raise LostProcessError(
            f"a process that made part {shard.number} of {shard.of} ended {how}, {deaths} times;"
            " see whether memory runs short (fewer --workers need less), then run the command again"
        )
    log.warning("a process that made part %s of %s ended %s; it is started again", shard.number, shard.of, how)
    worker.start()


def work(job: ScoreJob, run_id: str, threads: int, connection: Connection) -> None:
    """What a process does: make the parts that it is told, until nobody is there to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it sees to its end
    threading.Thread(target=end_with_parent, daemon=True).start()
    logging.getLogger("rec_export").setLevel(logging.ERROR)  # the others have said it
    torch.set_num_threads(threads)
    maker: PartMaker | None = None
    try:
        while True:
            shard = connection.recv()
            with storage_errors(job.out):
                maker = maker or PartMaker.elsewhere(job, run_id)
                maker.make(shard)
            connection.send(None)
    except EOFError:
        return
    except RecExportError as mistake:
        connection.send(mistake)


def end_with_parent() -> None:
    """End at once when the process that started this one has ended."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(LostProcessError.exit_code)
