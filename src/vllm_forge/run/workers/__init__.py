"""Scripts that the built environment's own Python runs; none is imported here.

They lie apart because Python looks for modules beside the script it runs: a neighbour named like
one of the standard library's would take its place.
"""
