"""rec-export: from an interaction log to recommendation files that can be trusted."""

__version__ = "0.1.0"
