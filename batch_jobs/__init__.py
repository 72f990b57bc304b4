"""bundle/ -> recs/: score every user against every item and publish the best as Parquet."""
