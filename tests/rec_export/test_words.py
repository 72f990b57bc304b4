"""Numbers and names in sentences."""

from rec_export.words import counted, listed, other, printable, second_model, shallow_one


def test_one_is_no_plural() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 2_559)] == ["0 epochs", "1 epoch", "2,559 epochs"]
    assert [other(["k"]), other(["items", "users"])] == ["different k", "different items, users"]


def test_what_a_terminal_would_take_for_a_command_is_not_printed() -> None:
    assert printable("a\x1b[31mRED\x07\u202e\n  b") == "a?[31mRED?? b"


def test_the_last_of_several_follows_an_and() -> None:
    assert [listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_a_second_model_says_who_hears_more_of_it() -> None:
    assert second_model(0.25, None) == "one that looks at no time, added at 0.25"
    assert second_model(0.5, {"days": 0.0194, "times": 4.0}).endswith("from 0.019 days after a user's last liking on")
    assert second_model(1 / 3, {"days": 1353.9, "times": 4.0}) == (
        "one that looks at no time, added at 0.33, and 4 times that from 1,354 days after a user's last liking on"
    )


def test_a_shallow_auto_encoder_says_how_much_of_a_score_it_is() -> None:
    told = "a shallow auto-encoder of rank 64, added at "
    assert shallow_one(64, None, 6.198) == told + "6.2"  # of a checkpoint that does not tell
    part = "58.1 (128% of the spread of the model's own scores)"
    assert shallow_one(64, 50, 58.1, 1.28) == f"{told}{part}, an item weighing half as much 50 items later"
    soon = "counts of what is liked soon after what of rank 9, added at 2, an item weighing half as much 3 items later"
    assert shallow_one(9, 3, 2, tells="next") == soon
