"""Spark's recommendForAllUsers on given vectors: `python rank_with_spark.py FOLDER`; needs Java.

It knows no seen items, so as many more are asked for and left out afterwards.
"""

import json
import sys
from pathlib import Path

import numpy as np
from asked import Asked, Rows, answer
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession

folder = Path(sys.argv[1])
case = Asked.read(folder)
builder = (
    SparkSession.builder.master("local[1]").config("spark.driver.memory", "4g").config("spark.ui.enabled", "false")
)
spark = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def saved() -> str:
    """A model as Spark reads it: metadata and the two tables of vectors."""
    place = folder / "als"
    told: dict[str, object] = {"class": "org.apache.spark.ml.recommendation.ALSModel", "sparkVersion": spark.version}
    usual = {"userCol": "user", "itemCol": "item", "predictionCol": "", "blockSize": 4096, "coldStartStrategy": "nan"}
    told |= {"timestamp": 0, "uid": "als", "paramMap": {}, "defaultParamMap": usual, "rank": case.users.shape[1]}
    spark.sparkContext.parallelize([json.dumps(told)], 1).saveAsTextFile(str(place / "metadata"))
    for name, vectors in (("userFactors", case.users), ("itemFactors", case.items)):
        rows = [(row, vector.tolist()) for row, vector in enumerate(vectors)]
        spark.createDataFrame(rows, "id int, features array<float>").coalesce(1).write.parquet(str(place / name))
    return str(place)


model = ALSModel.load(saved())


def lists() -> Rows:
    """Everybody's best items, sorted by user."""
    found = model.recommendForAllUsers(case.most()).collect()
    found.sort(key=lambda line: line[0])
    return case.unseen(np.array([[best[0] for best in line[1]] for line in found], np.int64))


answer(lists, folder, "spark")
