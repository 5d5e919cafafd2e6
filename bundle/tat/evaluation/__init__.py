"""How well cases were restored: scores, their statistics, and what plain filters reach."""
