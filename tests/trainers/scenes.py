"""A log of tight scenes, and a model that has learned nothing beside what it is judged by."""

from pathlib import Path
from typing import Any

import numpy as np

from rec_export.checkpoint import modules
from rec_export.config import Config
from rec_export.models import spec_of
from tests.conftest import config_file, write_table
from trainers.parallel import ALONE
from trainers.ready import Ready, read_source, ready
from trainers.validation import ListValidation


def scenes(folder: Path, **training: Any) -> Path:
    """The configuration of a log of scenes, of which each user likes much of two; without time."""
    rng = np.random.default_rng(4)
    user, item = [], []
    for one in range(150):
        for scene in rng.choice(30, 2, replace=False):
            mine = rng.choice(12, 8, replace=False) + 12 * scene
            user += [one] * 8
            item += mine.tolist()
    write_table(folder / "log.parquet", user_id=user, item_id=item)
    data = {"interactions": {"path": "log.parquet"}}
    return config_file(folder, data=data, model={"name": "hybrid", "dim": 4}, training={"epochs": 3, **training})


def held_out(config: Path, *changes: str) -> tuple[Ready, ListValidation]:
    """A model that has learned nothing, and what it is judged by."""
    read = Config.load(config, changes)
    spec = spec_of(read.model, "here")
    made = ready(read, spec, read_source(read, spec), ALONE)
    assert isinstance(made.validation, ListValidation)
    modules(made.course.towers).eval()
    return made, made.validation
