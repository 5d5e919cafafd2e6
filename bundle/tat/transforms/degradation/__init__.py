"""Degradation of clean patches in training, anew at each step."""
