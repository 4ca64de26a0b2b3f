"""Known failures as data, one module for each family; `registry` lists them all."""
