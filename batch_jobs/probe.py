"""Whether an object store keeps to the conditions of a write. Some take them and write all the same."""

import secrets

from rec_export.errors import EnvironmentMissingError, StorageError
from rec_export.objects import Objects

ANOTHER = '"00000000000000000000000000000000"'  # the tag of no object


def refuse_careless(objects: Objects) -> None:
    """Raise EnvironmentMissingError where two could publish at once, each over the other; nothing is left there."""
    key = f"probe/{secrets.token_hex(8)}"
    if not objects.create(key, b"one"):
        raise StorageError(f"the store says that {objects.url}/{key}, a random name, is there; run the command again")
    try:
        once = not objects.create(key, b"two")
        found = objects.get(key)
        matched = not objects.replace(key, b"three", ANOTHER)
        matched = matched and found is not None and objects.replace(key, b"four", found.tag)
    finally:
        objects.delete([key])
    ignored = [name for name, kept in (("If-None-Match", once), ("If-Match", matched)) if not kept]
    if ignored:
        raise EnvironmentMissingError(
            f"the store at {objects.url} does not keep to {' and '.join(ignored)}, so two runs could both be published;"
            " use one that knows conditional writes (docs/howto/s3.md), or publish to a folder"
        )
