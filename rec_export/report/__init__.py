"""One page to look at: what the other steps left on disk as figures and tables, in one HTML file without a network."""
