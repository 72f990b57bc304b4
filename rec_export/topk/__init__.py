"""The exact top-K engine: the best K items of every user, by the definition in definition.py."""
