"""Forward models that make a degraded image from a clean one, in physical units."""
