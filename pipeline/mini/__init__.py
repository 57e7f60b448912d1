"""Training of the two small demo translators. Not part of the default run: their results are committed."""
