"""Sentences: where they come from, how they are split into words, which are kept."""
