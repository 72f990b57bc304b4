"""What a path holds, told from its manifests and headers alone: nothing is run, and torch is not imported."""
