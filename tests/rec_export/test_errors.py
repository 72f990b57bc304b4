"""An error that one process raises is the same one where another reads it."""

import pickle

import pytest

from rec_export import errors
from rec_export.data.broken import TooManyBrokenError
from rec_export.errors import RecExportError, SinkError

KINDS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, RecExportError)]


@pytest.mark.parametrize("kind", [*KINDS, TooManyBrokenError])
def test_an_error_comes_through_a_pipe_as_it_is(kind: type[RecExportError]) -> None:
    error = SinkError("what, where", 74) if kind is SinkError else kind("what, where")
    error.kinds = 3  # type: ignore[attr-defined]
    same = pickle.loads(pickle.dumps(error))
    assert (type(same), str(same), vars(same), same.exit_code) == (kind, "what, where", vars(error), error.exit_code)
