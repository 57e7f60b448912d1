"""The pipeline for sentences of one's own: read pairs, align them, look at them (`import pipeline` offers it)."""
