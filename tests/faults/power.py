"""Loss of power, replayed: what a disk holds where nothing has reached it but what was synced.

strace records every change that the real command line makes to its files. The changes are then applied to a model of
a disk, and the power goes after each of them, in three ways:

    late    a change of names is on the disk once a folder that it touches was synced after it; data once its file was
    early   all changes of names are on the disk, and data still only where its file was synced
    torn    as early, and of data that was not synced the first half

The first is the least that POSIX promises (renames are whole, as on every file system with a journal), the others what
a journal that is ahead of the data leaves: names of files that are empty, half there, or as they were synced before.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, final

CALLS = "openat,open,creat,close,write,pwrite64,lseek,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,"
CALLS += "ftruncate,fsync,fdatasync"
UNMODELLED = "writev,pwritev,pwritev2,truncate,fallocate,copy_file_range,sendfile,splice,link,linkat,symlink,symlinkat"
NAMED = {"rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "truncate", "link"}
MAIN = (
    "import sys, batch_jobs.parts as parts; parts.USERS_PER_PART = int(sys.argv[1]);"
    " from rec_export.cli import run; sys.exit(run(sys.argv[2:]))"
)
WAYS = "late", "early", "torn"
LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)", re.DOTALL)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@final
class Node:
    """A file with its bytes, or a folder with its names. Two names may have one node, as when a file is renamed."""

    def __init__(self, *, folder: bool) -> None:
        self.folder = folder
        self.names: dict[str, Node] = {}
        self.data = bytearray()


class Change(NamedTuple):
    """Names that come to stand for other nodes, or for none, all at once."""

    names: list[tuple[Node, str, Node | None]]


class Written(NamedTuple):
    """The bytes that a file now holds."""

    file: Node
    data: bytes


class Synced(NamedTuple):
    """A file or a folder is on the disk."""

    node: Node


Event = Change | Written | Synced
Tree = dict[str, bytes | None]  # None: a folder


def recorded(folder: Path, users_per_part: int, argv: list[str], log: Path) -> tuple[int, "Recording"]:
    """Run `rec-export ARGV` below strace; its exit code, and what it did to the files below `folder`."""
    recording = Recording(folder)
    words = ["strace", "-f", "-qq", "-xx", "-s", "100000000", "-e", f"trace={CALLS},{UNMODELLED}", "-o", str(log)]
    command = [sys.executable, "-c", MAIN, str(users_per_part), *argv]
    code = subprocess.run([*words, *command], check=False, capture_output=True).returncode
    for line in whole_lines(log):
        recording.read(line)
    return code, recording


def whole_lines(log: Path) -> Iterator[str]:
    """The calls in the order in which they ended; strace writes one in two lines where another thread came between."""
    begun: dict[str, str] = {}
    with log.open(encoding="ascii") as file:
        for line in file:
            number = line.split(maxsplit=1)[0]
            if line.endswith("<unfinished ...>\n"):
                begun[number] = line.removesuffix("<unfinished ...>\n")
            elif " resumed>" in line:
                yield begun.pop(number) + line.partition(" resumed>")[2]
            else:
                yield line


@final
class Recording:
    """The files below a folder, and what was done to them, one event after the other."""

    def __init__(self, root: Path) -> None:
        self.where, self.events = root, list[Event]()
        self.root = loaded(root)
        self.before = {node: (dict(node.names), bytes(node.data)) for node in nodes(self.root)}
        self.open: dict[int, tuple[Node, int]] = {}  # by descriptor: what, and where it is at

    def read(self, line: str) -> None:
        """Take in one line of strace; calls that failed and files elsewhere do not matter."""
        found = LINE.match(line)
        if found is None or int(found[4]) < 0:
            return
        name, words, result = found[2], found[3], int(found[4])
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in TEXT.findall(words)]
        first = words.partition(",")[0].strip()
        if name in ("openat", "open", "creat"):
            self.opened(result, first, texts[0].decode(), words)
        elif name in NAMED:
            self.renamed(name, first, [text.decode() for text in texts], words)
        elif first.isdigit() and int(first) in self.open:
            self.used(name, int(first), words, texts, result)

    def at(self, folder: str, path: str) -> tuple[Node, str] | None:
        """The folder of a path and the name in it, as seen from an open folder; None for what lies elsewhere."""
        if not path.startswith("/"):
            return (self.open[int(folder)][0], path) if folder.isdigit() and int(folder) in self.open else None
        if not Path(path).is_relative_to(self.where) or Path(path) == self.where:
            return None
        *above, name = Path(path).relative_to(self.where).parts
        node = self.root
        for part in above:
            node = node.names[part]
        return node, name

    def opened(self, handle: int, first: str, path: str, words: str) -> None:
        """A descriptor for a file; it may be made, or emptied."""
        self.open.pop(handle, None)
        if Path(path) == self.where:
            self.open[handle] = self.root, 0
            return
        place = self.at(first, path)
        if place is None:
            return
        folder, name = place
        if name not in folder.names:
            self.change([(folder, name, Node(folder=False))])
        node = folder.names[name]
        if "O_TRUNC" in words:
            self.write(node, b"")
        self.open[handle] = node, len(node.data) if "O_APPEND" in words else 0

    def used(self, name: str, handle: int, words: str, texts: list[bytes], result: int) -> None:
        """A call with a descriptor."""
        node, place = self.open[handle]
        if name == "close":
            del self.open[handle]
        elif name == "lseek":
            self.open[handle] = node, result
        elif name == "write":
            self.write(
                node, bytes(node.data[:place]).ljust(place, b"\0") + texts[0][:result] + node.data[place + result :]
            )
            self.open[handle] = node, place + result
        elif name == "ftruncate":
            size = int(words.split(",")[1])
            self.write(node, bytes(node.data[:size]).ljust(size, b"\0"))
        elif name in ("fsync", "fdatasync"):
            self.events.append(Synced(node))
        else:
            raise NotImplementedError(f"the model does not know {name} of a descriptor")

    def renamed(self, name: str, first: str, paths: list[str], words: str) -> None:
        """A call with paths."""
        place = self.at(first, paths[0])
        if place is None:
            return
        folder, last = place
        if name in ("mkdir", "mkdirat"):
            self.change([(folder, last, Node(folder=True))])
        elif name in ("unlink", "unlinkat", "rmdir"):
            self.change([(folder, last, None)])
        elif name in ("rename", "renameat", "renameat2"):
            there = self.at("", paths[1])
            assert there is not None, "it was moved away, which the model does not know"
            target, new = there
            other = target.names.get(new) if "RENAME_EXCHANGE" in words else None
            self.change([(folder, last, other), (target, new, folder.names[last])])
        else:
            raise NotImplementedError(f"the model does not know {name}")

    def change(self, names: list[tuple[Node, str, Node | None]]) -> None:
        """Names change."""
        self.events.append(Change(names))
        apply(names)

    def write(self, node: Node, data: bytes) -> None:
        """A file holds something else."""
        node.data = bytearray(data)
        self.events.append(Written(node, data))

    def cuts(self) -> Iterator[tuple[int, str, Tree]]:
        """What the disk holds when the power goes before each event and after the last, in all ways, each once."""
        seen: list[Tree] = []
        for cut in range(len(self.events), -1, -1):
            for way in WAYS:
                tree = self.left(cut, way)
                if tree not in seen:
                    seen.append(tree)
                    yield cut, way, tree

    def left(self, cut: int, way: str) -> Tree:
        """What the disk holds after the first `cut` events."""
        names: dict[Node, dict[str, Node]] = {node: dict(before[0]) for node, before in self.before.items()}
        data = {node: before[1] for node, before in self.before.items()}
        cached: dict[Node, bytes] = {}
        synced = {i: event.node for i, event in enumerate(self.events[:cut]) if isinstance(event, Synced)}
        for number, event in enumerate(self.events[:cut]):
            if isinstance(event, Written):
                cached[event.file] = event.data
            elif isinstance(event, Synced):
                data[event.node] = cached.get(event.node, data.get(event.node, b""))
            elif way != "late" or any(
                later > number and node is folder for later, node in synced.items() for folder, _, _ in event.names
            ):
                for folder, name, node in event.names:
                    inside = names.setdefault(folder, {})
                    inside.pop(name, None)
                    if node is not None:
                        inside[name] = node
        for file, content in cached.items() if way == "torn" else ():
            if data.get(file, b"") != content:
                data[file] = content[: len(content) // 2]
        return dict(tree(self.root, names, data, ""))


def tree(
    folder: Node, names: dict[Node, dict[str, Node]], data: dict[Node, bytes], path: str
) -> Iterator[tuple[str, bytes | None]]:
    """Everything below a folder."""
    for name, node in sorted(names.get(folder, {}).items()):
        yield f"{path}{name}", None if node.folder else data.get(node, b"")
        if node.folder:
            yield from tree(node, names, data, f"{path}{name}/")


def apply(names: list[tuple[Node, str, Node | None]]) -> None:
    """Change names in memory."""
    for folder, name, node in names:
        folder.names.pop(name, None)
        if node is not None:
            folder.names[name] = node


def loaded(path: Path) -> Node:
    """What lies on the disk before."""
    node = Node(folder=path.is_dir())
    if node.folder:
        node.names = {inside.name: loaded(inside) for inside in path.iterdir()}
    else:
        node.data = bytearray(path.read_bytes())
    return node


def nodes(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for inside in node.names.values():
        yield from nodes(inside)


def written(tree: Tree, folder: Path) -> Path:
    """Lay a tree out in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in tree.items():
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)
    return folder
