"""argv in, exit code out. The only package that prints or exits."""
