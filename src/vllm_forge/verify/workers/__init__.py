"""Scripts that the built environment's own Python runs; none is imported here."""
