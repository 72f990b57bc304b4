"""The sections of a report, one question a file; each reads directories, and is left out where they say nothing."""
