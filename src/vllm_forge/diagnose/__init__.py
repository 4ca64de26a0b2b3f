"""PURE: a failed step's log and the facts in, cause, evidence and fix out."""
