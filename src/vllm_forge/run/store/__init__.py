"""Extensions kept by what they were made from, so that none is compiled twice (docs/store.md)."""
