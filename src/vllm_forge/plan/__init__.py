"""PURE: decisions in, steps with fingerprints out. Dry run, lock and execution share the value."""
