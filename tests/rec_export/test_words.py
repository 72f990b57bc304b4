"""Numbers and names in sentences."""

from rec_export.words import counted, listed, other


def test_one_is_no_plural() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 2_559)] == ["0 epochs", "1 epoch", "2,559 epochs"]
    assert [other(["k"]), other(["items", "users"])] == ["different k", "different items, users"]


def test_the_last_of_several_follows_an_and() -> None:
    assert [listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
