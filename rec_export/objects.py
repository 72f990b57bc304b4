"""Objects of an S3 store below one prefix: read, listed, and written under conditions.

The store, its credentials and its region come from the usual AWS_* variables; nothing that obstore or the store says is
passed on but the status and its code, as their texts may hold keys and signatures.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Annotated, NamedTuple, final

from pydantic import PlainValidator

from rec_export.errors import EnvironmentMissingError, MissingInputError, StorageError, UsageError
from rec_export.paths import local_path

SCHEME = "s3://"
URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w=+!*'()-][\w=+.!*'()-]*)*", re.ASCII)
PATIENCE = "600s"  # for one request, as a part may be large and the line slow
WHOLE = 64 << 20  # bytes of a file that are sent, and so held in memory, in one piece
RETRIES, GIVE_UP = 4, timedelta(seconds=60)
STATUS, CODE = re.compile(r"status code: (\d{3}[ A-Za-z]*)"), re.compile(r"<Code>(\w{1,64})</Code>")


class Found(NamedTuple):
    """An object, and the tag that changes whenever it does."""

    content: bytes
    tag: str


class Entry(NamedTuple):
    """What a listing says of an object."""

    bytes: int
    modified: datetime


def place_of(given: object) -> Path | str:
    """A folder as a path, a place in an object store as its URL, without a slash at the end.

    Raises UsageError for a URL that is none, and ValueError for what is no text.
    """
    if isinstance(given, Path):
        return local_path(given)
    if not isinstance(given, str):
        raise ValueError("a path, or a URL such as s3://bucket/prefix")
    if "://" not in given:
        return local_path(given)
    url = given.rstrip("/")
    if not given.startswith(SCHEME):
        raise UsageError(f"{given.partition('://')[0]}:// is not known here; name a folder, or s3://bucket/prefix")
    if URL.fullmatch(url) is None:
        raise UsageError(
            f"{given!r} is no place in an object store; name it like s3://bucket/prefix, of letters, digits and"
            " any of - _ . = + ! * ' ( )"
        )
    return url


Place = Annotated[Path | str, PlainValidator(place_of)]
"""A folder, or the URL of a place in an object store, as a field of a Record."""


@final
class Objects:
    """Objects by keys below a URL. Raises what the class cannot do as a sentence, in every method alike:

    MissingInputError without the bucket, EnvironmentMissingError without the right to use it, StorageError where the
    store cannot be reached or fails.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.library = obstore()
        options = {
            "allow_http": True,
            "timeout": PATIENCE,
            "connect_timeout": "10s",
        }  # http: if AWS_ENDPOINT_URL says it
        retries = {"max_retries": RETRIES, "retry_timeout": GIVE_UP}
        with self.plainly("open", ""):
            self.store = self.library.store.from_url(url, client_options=options, retry_config=retries)

    def get(self, key: str) -> Found | None:
        """An object; None where there is none."""
        with self.plainly("get", key):
            try:
                answer = self.store.get(key)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
            return Found(bytes(answer.bytes()), answer.meta["e_tag"] or "")

    def fetch(self, key: str, path: Path) -> None:
        """Copy an object into a file. Raises MissingInputError where there is none."""
        with self.plainly("get", key), path.open("wb") as file:
            for chunk in self.store.get(key):
                file.write(chunk)

    def upload(self, key: str, path: Path) -> None:
        """Write a file that nobody else writes as an object; a large one in pieces, which appear as one."""
        with self.plainly("put", key):
            self.store.put(key, path, use_multipart=path.stat().st_size > WHOLE)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object where none is; False where one is."""
        with self.plainly("create", key):
            try:
                self.store.put(key, content, mode="create")
            except self.library.exceptions.AlreadyExistsError:
                return False
            return True

    def replace(self, key: str, content: bytes, tag: str) -> bool:
        """Write an object in the place of the one that has this tag; False where that is no longer there."""
        with self.plainly("replace", key):
            try:
                self.store.put(key, content, mode={"e_tag": tag})
            except (self.library.exceptions.PreconditionError, self.library.exceptions.AlreadyExistsError):
                return False
            return True

    def put(self, key: str, content: bytes) -> None:
        """Write an object, whatever is there."""
        with self.plainly("put", key):
            self.store.put(key, content)

    def list(self, prefix: str) -> dict[str, Entry]:
        """All objects whose key begins with the folder `prefix`, by key."""
        with self.plainly("list", prefix):
            pages = self.store.list(prefix)
            return {one["path"]: Entry(one["size"], one["last_modified"]) for page in pages for one in page}

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is not there is no mistake."""
        for key in keys:
            with self.plainly("delete", key), suppress(FileNotFoundError):
                self.store.delete(key)

    @contextmanager
    def plainly(self, verb: str, key: str) -> Iterator[None]:
        """Turn the library's errors into a sentence without secrets."""
        sys.audit("rec_export.object", verb, key)
        known = self.library.exceptions
        try:
            yield
        except FileNotFoundError as error:
            if error.filename is not None:  # of this machine, not of the store
                raise
            bucket = self.url.removeprefix(SCHEME).partition("/")[0]
            what = f"the bucket {bucket}" if "NoSuchBucket" in str(error) else f"{self.url}/{key}"
            raise MissingInputError(f"{what} does not exist; make it, or mend the name") from None
        except (known.UnauthenticatedError, known.PermissionDeniedError) as error:
            raise EnvironmentMissingError(
                f"the store refused to {verb} {self.url}/{key}: {told(error)}; check AWS_ACCESS_KEY_ID and its kin, and"
                " that they may list, get, put and delete there"
            ) from None
        except known.BaseError as error:
            raise StorageError(
                f"the store failed to {verb} {self.url}/{key}: {told(error)}; see whether AWS_ENDPOINT_URL,"
                " AWS_REGION and the credentials are right, then run the same command again"
            ) from None


def told(error: Exception) -> str:
    """The status and the code that a store answered with, and nothing else."""
    text = str(error)
    status, code = STATUS.search(text), CODE.search(text)
    if status is None:
        return "there was no answer"
    return status[1].strip() + (f" ({code[1]})" if code else "")


def obstore() -> ModuleType:
    """The library. Raises EnvironmentMissingError where it is not installed."""
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise EnvironmentMissingError("a place in an object store needs obstore: pip install obstore") from error
    return obstore
