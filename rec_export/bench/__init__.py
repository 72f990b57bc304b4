"""`rec-export bench`: how fast this machine ranks, beside the usual ways to do it, in one run on the same vectors."""
