"""Likings a second of RecBole's BPR with its own batches, loss and optimizer: `python with_recbole.py LOG`."""

import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from measured import DIM, SECONDS, tell
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR

BATCH = 2048  # its default
FIRST = 3  # steps that are not counted

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    home = Path(folder) / "log"
    home.mkdir()
    table = pq.read_table(sys.argv[1], columns=["user_id", "item_id"]).to_pandas()
    table.columns = ["user_id:token", "item_id:token"]
    table.to_csv(home / "log.inter", sep="\t", index=False)
    del table
    split = {"split": {"RS": [0.98, 0.01, 0.01]}, "order": "RO", "group_by": None, "mode": "full"}
    settings = {
        "data_path": folder,
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": split,
        "embedding_size": DIM,
        "train_batch_size": BATCH,
        "use_gpu": False,
        "state": "ERROR",
        "show_progress": False,
    }
    sys.argv = sys.argv[:1]  # which RecBole would read as settings
    config = Config(model="BPR", dataset="log", config_dict=settings)
    batches, _, _ = data_preparation(config, create_dataset(config))
model = BPR(config, batches.dataset)
optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"])
steps, likings, started = 0, 0, 0.0
while steps <= FIRST or time.process_time() - started < SECONDS:
    for batch in batches:
        if steps == FIRST:
            likings, started = 0, time.process_time()
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
        steps, likings = steps + 1, likings + len(batch)
        if steps > FIRST and time.process_time() - started >= SECONDS:
            break
tell(likings / (time.process_time() - started))
