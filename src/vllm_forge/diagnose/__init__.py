"""PURE: a failed step's log and the facts in, cause, evidence and fix out.

In run order: `sample` keeps the lines that matter of a log of any size, `text` takes off what was
put in front of them, `blocks` cuts them by structure, `signatures/` knows the failures (data, one
module for each family), `matching` finds them, `explain` orders the causes and says `unknown` where
nothing is known.
"""
