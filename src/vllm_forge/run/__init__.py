"""The only package that changes the world: processes, files, downloads, environments, compiles."""
