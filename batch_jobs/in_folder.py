"""A folder as a destination: the commit is a rename (publish.py), what was replaced lies in the trash."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import final

from batch_jobs import place, publish, retention
from batch_jobs.destination import Destination
from batch_jobs.report import refused_in
from rec_export.config import Retention
from rec_export.errors import ModelError
from rec_export.published import Withdrawal
from rec_export.recs import PARTLESS, Recs, run_in, unchanged
from rec_export.run_manifest import RunManifest


@final
class InFolder(Destination):
    """A read root and its control folder."""

    def __init__(self, recs: Recs) -> None:
        self.recs: Recs = recs

    def claimed(self, *, anywhere: bool = False) -> AbstractContextManager[None]:
        """By a lock in the control folder."""
        return publish.claimed(self.recs, anywhere=anywhere)

    def joined(self, *, anywhere: bool = False) -> AbstractContextManager[None]:
        """By the same lock, shared."""
        return publish.joined(self.recs, anywhere=anywhere)

    def refuse_open(self) -> None:
        """Of the read root and the control folder."""
        place.refuse_open(self.recs)

    def refuse_unfit(self, replaces: bool) -> None:
        """Whether two folders can be exchanged, if that is needed."""
        if replaces:
            publish.refuse_gap(self.recs.control)

    def publish(self, parts: Path, manifest: RunManifest) -> bool:
        """By one rename."""
        publish.publish(self.recs, parts, manifest)
        return True

    def retire(self, keep: Retention, published: str) -> None:
        """To the trash."""
        retention.retire(self.recs, keep, published)

    def empty(self, keep: Retention) -> None:
        """The trash, and the refused runs."""
        retention.empty(self.recs, keep)

    def kept(self, run_date: str) -> list[str]:
        """Those in the trash."""
        date, manifests = f"run_date={run_date}", self.recs.manifest(run_date, "").parent
        folders = [path for path in self.recs.control.glob(f"trash/{date}/*") if run_in(path) == path.name]
        known = [path for path in folders if (manifests / f"{path.name}.json").is_file()]
        return [path.name for path in sorted(known, key=lambda path: path.stat().st_mtime_ns, reverse=True)]

    def damaged(self, run_date: str, run_id: str) -> list[str]:
        """By size and sha256."""
        folder = publish.trash(self.recs, f"run_date={run_date}", run_id)
        manifest = RunManifest.read(self.recs.manifest(run_date, run_id))
        return [part.name for part in manifest.files if not unchanged(folder, part)]

    def put_back(self, done: Withdrawal) -> None:
        """The mark first, then one rename."""
        live = self.recs.live(done.run_date)
        if done.run_id and not (done.run_id == PARTLESS and done.instead):  # what is mended is no more to be told of
            mark = publish.withdrawal(self.recs, done.run_date, done.run_id)
            publish.make_folder(mark.parent)
            done.write(mark)
        if done.instead is None:
            publish.discard(self.recs, live, live.name)
        else:
            publish.commit(publish.trash(self.recs, live.name, done.instead), live, done.run_id or None)
        with publish.warned("it is done, but what was replaced is not in the trash yet"):
            publish.settle(self.recs)

    def withdrawn(self) -> tuple[Withdrawal, ...]:
        """A run that is live again has lost its mark (publish.settle)."""
        return tuple(read_mark(path) for path in self.recs.control.glob("withdrawn/run_date=*/*.json"))

    def is_withdrawn(self, run_date: str, run_id: str) -> bool:
        """By the name of the mark alone, whatever it holds."""
        return publish.withdrawal(self.recs, run_date, run_id).is_file()

    def keep_report(self, evidence: Path | None) -> None:
        """It lies where others find it."""

    def report(self) -> str | None:
        """What `nightly` left."""
        path = self.recs.control / "report.json"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    def refused(self) -> dict[str, str | None]:
        """Those in failed/."""
        return refused_in(self.recs.control)


def read_mark(path: Path) -> Withdrawal:
    """What is recorded of a run that was taken back; its name alone says that it was, where the rest is damaged."""
    try:
        return Withdrawal.read(path)
    except ModelError as error:
        run_date = path.parent.name.removeprefix("run_date=")
        return Withdrawal(run_date=run_date, run_id=path.stem, instead=None, at="", reason=str(error))
