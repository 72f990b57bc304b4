"""Numbers and names as a person would say them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

# By shallow.Shallow.tells:
TOLD = {"together": "a shallow auto-encoder", "next": "counts of what is liked soon after what"}
KNOWN = {"together": "what goes with what", "next": "what comes next"}


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `2,559 users`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: object) -> str:
    """A text on one line, with a question mark for what a terminal would not show as it is, or take for a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(text).split()))


def are(several: Sized) -> str:
    """`is` of one, `are` of none or several."""
    return "is" if len(several) == 1 else "are"


def model_called(name: str) -> str:
    """What a model is called beside baselines, of which one is `popular`."""
    return f"trained {name}" if name == "popular" else name


def other(names: Iterable[str]) -> str:
    """`different k, rules`, whether the words are of one thing or of several."""
    return f"different {', '.join(names)}"


def second_model(share: float, away: Mapping[str, float] | None) -> str:
    """The model beside one that looks at time, and how much of it counts; `away` as ensemble.Away has it."""
    told = f"one that looks at no time, added at {share:.2g}"
    if away is None:
        return told
    days = f"{away['days']:,.0f}" if away["days"] >= 10 else f"{away['days']:.2g}"
    return f"{told}, and {away['times']:g} times that from {days} days after a user's last liking on"


def shallow_one(
    rank: int, half: float | None, share: float, spread: float | None = None, tells: str = "together"
) -> str:
    """Tables of items beside a model; as shallow.Shallow has them."""
    fades = "" if half is None else f", an item weighing half as much {half:g} items later"
    return f"{TOLD[tells]} of rank {rank}, added at {added_at(share, spread)}{fades}"


def several(shallow: Any) -> Any:
    """What is told of tables beside a model, as a list; a version before told of one or none."""
    return () if shallow is None else (shallow,) if isinstance(shallow, dict) else shallow


def told_by_tables(shallow: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The tables of items beside a model: what they tell, and their numbers."""
    for one in shallow:
        yield KNOWN[one.get("tells", "together")], shallow_one(**one)


def added_at(share: float, spread: float | None) -> str:
    """A share, and how far what is added moves scores, over how far the model's own lie apart."""
    return f"{share:.3g}" + ("" if spread is None else f" ({spread:.0%} of the spread of the model's own scores)")


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
