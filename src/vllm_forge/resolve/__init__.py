"""PURE: facts and wishes in, Chosen or Refused out, each with its reasons."""
