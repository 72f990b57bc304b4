"""What really works on this machine, found by trying it: a version says what should work."""
