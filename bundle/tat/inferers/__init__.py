"""How a volume meets a two-dimensional network."""
