"""Where MLflow is told of experiments: the section `tracking` of the configuration."""

import json
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Self, final

from pydantic import Field, field_validator

from rec_export.paths import below
from rec_export.record import Record

URL = re.compile(r"(\w[\w.-]*)(\+\w+)?://")
# What MLflow keeps runs in by itself, and where other packages say that they do (https://mlflow.org, Plugins).
STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc", "file")
PLUGINS = "mlflow.tracking_store"


@final
class Tracking(Record):
    """Where MLflow is told of train, evaluate, ablate and tune (docs/tracking.md); without this section, nowhere."""

    store: str = Field(
        default="mlflow.db",
        min_length=1,
        description="a file, made where it is missing, or the URL of an MLflow server",
    )
    experiment: str = Field(default="rec-export", min_length=1, description="under which its pages list the runs")
    checkpoint: bool = Field(
        default=False, description="copy whole checkpoints there too, weights and ids of users among them"
    )

    @field_validator("store")
    @classmethod
    def without_password(cls, store: str) -> str:
        """The configuration is copied into every checkpoint, so no secret may stand in it."""
        if URL.match(store) and "@" in store:
            raise ValueError("a URL without a password; MLflow takes that from MLFLOW_TRACKING_PASSWORD")
        return store

    @field_validator("store")
    @classmethod
    def of_a_known_kind(cls, store: str) -> str:
        """What no store of MLflow can be is refused before hours of training are told to it in vain."""
        url = URL.match(store)
        if url and url[1] not in STORES and url[1] not in entry_points(group=PLUGINS).names:
            raise ValueError("a file such as mlflow.db, or the URL of an MLflow server, such as http://host:5000")
        return store

    def relative_to(self, folder: Path) -> Self:
        """With a file's path from a folder."""
        return (
            self if URL.match(self.store) else self.model_copy(update={"store": str(below(folder, Path(self.store)))})
        )

    @property
    def file(self) -> Path | None:
        """The store's own file; None for a server."""
        path = self.store.removeprefix("sqlite:///")
        return None if URL.match(path) else Path(path).absolute()

    @property
    def uri(self) -> str:
        """As MLflow calls the store."""
        return self.store if self.file is None else f"sqlite:///{self.file}"

    @property
    def artifacts(self) -> str | None:
        """Where files of a new experiment go: beside the store's own file; None where a server decides."""
        return None if self.file is None else (self.file.parent / "mlruns").as_uri()


def track_change(store: str | None) -> tuple[str, ...]:
    """`--track STORE` as a change of the configuration; a path is meant from where the user stands."""
    if store is None:
        return ()
    return (f"tracking.store={json.dumps(store if URL.match(store) else str(Path(store).absolute()))}",)
