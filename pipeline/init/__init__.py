"""A run of text of one's own: its params.yaml, and a copy of the project to run it in."""
