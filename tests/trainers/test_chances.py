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
from trainers.chances import Chances, competing
from trainers.shallow import learned
from trainers.validation import ListValidation


def made_up(share: float, units: tuple[float, float] = (1.0, 1.0), users: int = 4000, items: int = 60) -> Chances:
    """Of users who choose once each, by a softmax of the first score and `share` of the second, told in other units."""
    rng = np.random.default_rng(1)
    score = rng.normal(0, 1.0, (2, users, items))
    value = score[0] + share * score[1] + rng.gumbel(size=(users, items))
    chosen = np.argmax(value, axis=1)
    told = torch.from_numpy(score * np.array(units)[:, None, None])
    return whole(told, np.arange(users), chosen)._replace(spread=told.std(2).mean(1).numpy())


def whole(score: Tensor, user: Int64, item: Int64) -> Chances:
    """Choices among all items, from scores float64 [2, U, N]."""
    users, items = score.shape[1:]
    owner, every = torch.arange(users).repeat_interleave(items), score.flatten(1)
    return Chances(owner, every, torch.zeros(users * items), torch.from_numpy(user), score[:, user, item], np.ones(2))


@pytest.mark.parametrize(("share", "units"), [(0.4, (1.0, 1.0)), (0.4, (30.0, 1e-3)), (0.05, (1.0, 1.0)), (3, (1, 1))])
def test_the_share_is_found_in_the_units_of_the_scores(share: float, units: tuple[float, float]) -> None:
    found = made_up(share, units).likeliest() * units[1] / units[0]
    assert found == pytest.approx(share, rel=0.1, abs=0.03)


def test_what_makes_choices_less_likely_is_not_added() -> None:
    assert made_up(-0.3).likeliest() == 0


def test_what_says_the_same_of_all_items_has_a_share_that_is_a_number() -> None:
    made = made_up(0.4)
    none = made._replace(
        both=made.both * torch.tensor([[1.0], [0.0]]),
        theirs=made.theirs * torch.tensor([[1.0], [0.0]]),
        spread=np.array([1.0, 0.0]),
    )
    assert np.isfinite(none.likeliest())


def test_the_loss_is_the_mean_over_users_of_their_choices_surprise() -> None:
    rng = np.random.default_rng(2)
    both, weight = rng.normal(size=(2, 3, 7)), np.array([0.7, 0.2])
    user, item = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 5, 0, 2, 3, 6])
    value = np.tensordot(weight, both, 1)
    surprise = np.log(np.exp(value).sum(1))[:, None] - value
    wanted = np.mean([surprise[one, item[user == one]].mean() for one in range(3)])
    made = whole(torch.from_numpy(both), user, item)
    assert made.loss(torch.from_numpy(weight)).item() == pytest.approx(wanted)


def test_of_many_users_some_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, validation = held_out(scenes(tmp_path))
    tables = learned(Shallow(rank=8, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained)
    monkeypatch.setattr(chances, "USERS", 70)  # more than are scored at once
    some = Chances.of(validation, made.course.towers, tables, made.course.held)
    asked = np.sort(np.random.default_rng(0).permutation(len(validation.user))[:70])
    count = choices_of(validation)[asked]
    np.testing.assert_array_equal(torch.bincount(some.chosen).numpy(), count)  # of any of them, not of the first
    row = np.concatenate([validation.targets.item_row[validation.targets.user == one] for one in asked])
    with torch.no_grad():
        score = validation.scores(tables, made.course.held)(validation.user[asked])
    torch.testing.assert_close(some.theirs[1].float(), score[np.repeat(np.arange(70), count), row])
    monkeypatch.setattr(chances, "NUMBERS", 1)  # one user at a time
    alone = Chances.of(validation, made.course.towers, tables, made.course.held)
    torch.testing.assert_close(alone.both.sum(), some.both.sum(), rtol=1e-4, atol=1e-2)
    assert torch.equal(alone.owner, some.owner)


def choices_of(validation: ListValidation) -> Int64:
    """How many held-out likings each user has."""
    return validation.targets.counts(len(validation.user))


def test_what_a_user_has_met_is_no_choice_and_what_is_chosen_is_among_the_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chances, "BEST", 3)
    monkeypatch.setattr(chances, "SAMPLE", 20)
    made, validation = held_out(scenes(tmp_path))
    tables = learned(Shallow(rank=8, share=1.0), made.dataset.timeline, made.dataset.catalogue.items.trained)
    found = Chances.of(validation, made.course.towers, tables, made.course.held)
    assert len(found.chosen) == choices_of(validation).sum()
    new = torch.zeros(len(validation.user)).double().index_add(0, found.owner, found.stands.exp()).numpy()
    met = np.diff(validation.seen(validation.user).start)
    np.testing.assert_allclose(new, made.dataset.catalogue.items.trained - met)
    assert len(found.owner) < 30 * len(validation.user)
    for user, pair in zip(found.chosen.tolist(), found.theirs.T, strict=True):
        mine = found.owner == user
        assert ((pair == found.both[:, mine].T).all(1) & (found.stands[mine] == 0)).any()


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
    told, who = torch.from_numpy(score).float(), np.arange(users)
    user, item, stands = competing(told, Seen.none(users), (who, chosen))
    made = Chances(
        user, told[:, user, item].double(), stands, torch.from_numpy(who), told[:, who, chosen].double(), np.ones(2)
    )
    assert made.likeliest() == pytest.approx(2, rel=0.15)
