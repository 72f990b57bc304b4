"""How much of one score is added to another one is what makes held-out choices likeliest."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rec_export.data.columns import Int64
from rec_export.shallow import Shallow
from rec_export.topk import Seen
from tests.trainers.scenes import held_out, scenes
from trainers import chances
from trainers.beside import learned
from trainers.chances import Chances, Score, nothing_own
from trainers.ready import Ready
from trainers.validation import ListValidation


def made_up(share: float, units: tuple[float, float] = (1.0, 1.0), users: int = 4000, items: int = 60) -> Chances:
    """Of users who choose once each, by a softmax of the first score and `share` of the second, told in other units."""
    rng = np.random.default_rng(1)
    score = rng.normal(0, 1.0, (2, users, items))
    value = score[0] + share * score[1] + rng.gumbel(size=(users, items))
    told = torch.from_numpy(score * np.array(units)[:, None, None])
    return by_scores(told, Seen.none(users), np.arange(users), np.argmax(value, axis=1))


def by_scores(score: Tensor, seen: Seen, user: Int64, item: Int64) -> Chances:
    """Choices that scores alone tell of."""
    return Chances.of_some(score, seen, (user, item), nothing_own(np.arange(score.shape[1])))


def share_of(made: Chances) -> float:
    """How much of the second score is added to the first one."""
    whole, more = made.likeliest()
    return float(more / whole)


@pytest.mark.parametrize(("share", "units"), [(0.4, (1.0, 1.0)), (0.4, (30.0, 1e-3)), (0.05, (1.0, 1.0)), (3, (1, 1))])
def test_the_share_is_found_in_the_units_of_the_scores(share: float, units: tuple[float, float]) -> None:
    found = share_of(made_up(share, units)) * units[1] / units[0]
    assert found == pytest.approx(share, rel=0.1, abs=0.03)


def test_what_makes_choices_less_likely_is_not_added() -> None:
    assert share_of(made_up(-0.3)) == 0


def test_what_says_the_same_of_all_items_has_a_share_that_is_a_number() -> None:
    made = made_up(0.4)
    only = torch.tensor([[1.0], [0.0]])
    assert np.isfinite(made._replace(told=made.told * only, spread=made.spread * only).likeliest()).all()


def test_the_loss_is_the_mean_over_users_of_their_choices_surprise() -> None:
    rng = np.random.default_rng(2)
    both, weight = rng.normal(size=(2, 3, 7)), np.array([0.7, 0.2])
    user, item = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 5, 0, 2, 3, 6])
    value = np.tensordot(weight, both, 1)
    surprise = np.log(np.exp(value).sum(1))[:, None] - value
    wanted = np.mean([surprise[one, item[user == one]].mean() for one in range(3)])
    made = by_scores(torch.from_numpy(both), Seen.none(3), user, item)
    assert made.loss(torch.from_numpy(weight)).item() == pytest.approx(wanted)


def test_it_is_the_same_however_many_users_are_looked_at_at_a_time(tmp_path: Path) -> None:
    made, validation = held_out(scenes(tmp_path))
    scores = scores_of(made, validation)
    some = Chances.of(validation, scores)
    np.testing.assert_array_equal(torch.bincount(some.owner[some.chosen]).numpy(), choices_of(validation))
    assert validation.at_once > 1
    validation.at_once = 1
    alone = Chances.of(validation, scores)
    for one, other in zip(alone, some, strict=True):
        torch.testing.assert_close(one, other)


def scores_of(made: Ready, validation: ListValidation) -> list[Score]:
    """Those of a model that has learned nothing, and of a shallow auto-encoder."""
    tables = learned(Shallow(rank=8, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained)
    return [validation.scores(towers, made.course.held) for towers in (made.course.towers, tables)]


def choices_of(validation: ListValidation) -> Int64:
    """How many held-out likings each user has."""
    return validation.targets.counts(len(validation.user))


@pytest.mark.parametrize(("best", "sample"), [(3, 20), (500, 20)])
def test_what_a_user_has_met_is_no_choice_and_what_is_chosen_is_among_the_choices(
    best: int, sample: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chances, "BEST", best)
    monkeypatch.setattr(chances, "SAMPLE", sample)
    made, validation = held_out(scenes(tmp_path))
    scores = scores_of(made, validation)
    found = Chances.of(validation, scores)
    assert len(found.chosen) == choices_of(validation).sum()
    new = torch.zeros(len(validation.user)).double().index_add(0, found.owner, found.stands.exp()).numpy()
    met = np.diff(validation.seen(validation.user).start)
    np.testing.assert_allclose(new, made.dataset.catalogue.items.trained - met)
    assert len(found.owner) <= min(30 * len(validation.user) if best == 3 else np.inf, new.sum())
    targets = validation.targets
    with torch.no_grad():
        wanted = [score(validation.user)[targets.user, targets.item_row] for score in scores]
    torch.testing.assert_close(found.told[:, found.chosen].float(), torch.stack(wanted))
    np.testing.assert_array_equal(found.owner[found.chosen], targets.user)
    assert not found.stands[found.chosen].any()


def test_a_sample_stands_for_most_items_though_choices_lie_where_the_model_sees_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chances, "BEST", 50)
    monkeypatch.setattr(chances, "SAMPLE", 100)
    rng, users, items = np.random.default_rng(6), 1500, 3000
    score = rng.normal(0, 1.0, (2, users, items))
    near = rng.permuted(np.tile(np.arange(items), (users, 1)), axis=1)[:, :40]
    score[1] = 0
    np.put_along_axis(score[1], near, rng.exponential(1.0, near.shape), 1)  # few items, as neighbours are
    chosen = np.argmax(score[0] + 2 * score[1] + rng.gumbel(size=(users, items)), axis=1)
    made = by_scores(torch.from_numpy(score).float(), Seen.none(users), np.arange(users), chosen)
    assert share_of(made) == pytest.approx(2, rel=0.15)
