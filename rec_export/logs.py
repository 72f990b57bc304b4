"""How the program speaks on stderr: lines for a person, or one JSON object a line for machines."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TextIO, final

from rec_export.redact import redacted

Format = Literal["text", "json"]
OWN = {*vars(logging.makeLogRecord({})), "message", "asctime"}  # what every record of `logging` has
FIELDS: ContextVar[dict[str, object]] = ContextVar("FIELDS")
LOUD = ("onnxscript", "onnx_ir", "torch", "implicit", "faiss", "mlflow", "alembic", "urllib3")  # heard on errors only


@final
class TextLine(logging.Formatter):
    """The message alone, as a person at a terminal wants it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without secrets."""
        return redacted(super().format(record))


@final
class JsonLine(logging.Formatter):
    """`time` (UTC, ISO 8601), `level`, `message`, and the fields that the caller gave as `extra` or by `bound`."""

    def format(self, record: logging.LogRecord) -> str:
        """One object in one line, without secrets."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z"
        fields = {key: value for key, value in vars(record).items() if key not in OWN}
        line = {"time": when, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        whole = {**line, **FIELDS.get({}), **fields}
        safe = {key: redacted(value) if isinstance(value, str) else value for key, value in whole.items()}
        return json.dumps(safe, default=str, ensure_ascii=False)


@final
class Stderr(logging.StreamHandler[TextIO]):
    """What is stderr now: while rows are on a terminal, that is a place above them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.stream = sys.stderr
        super().emit(record)


def set_up(level: int, form: Format) -> None:
    """Say what is at least of a level on stderr, in one of the forms; Python's warnings too."""
    handler = Stderr()
    handler.setFormatter(JsonLine() if form == "json" else TextLine("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(form == "json")
    for library in LOUD:
        logging.getLogger(library).setLevel(logging.ERROR)


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """What is warned of in the block, each once, in the order in which it is said."""
    heard: dict[str, None] = {}
    ear = logging.Handler(logging.WARNING)
    ear.emit = lambda record: heard.setdefault(redacted(record.getMessage()))  # type: ignore[method-assign]
    told: list[str] = []
    logger = logging.getLogger("rec_export")
    logger.addHandler(ear)
    try:
        yield told
    finally:
        logger.removeHandler(ear)
        told += heard


def is_json() -> bool:
    """Whether machines listen."""
    return any(isinstance(handler.formatter, JsonLine) for handler in logging.getLogger().handlers)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Every JSON line of the block has these fields too."""
    token = FIELDS.set({**FIELDS.get({}), **fields})
    try:
        yield
    finally:
        FIELDS.reset(token)
