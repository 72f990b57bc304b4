"""From a checkpoint to a bundle: the towers in formats that stand alone, and the proof that they are the same."""
