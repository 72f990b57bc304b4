"""Numbers and names in sentences."""

from rec_export.words import counted, other


def test_one_is_no_plural() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 2_559)] == ["0 epochs", "1 epoch", "2,559 epochs"]
    assert [other(["k"]), other(["items", "users"])] == ["another k", "other items, users"]
