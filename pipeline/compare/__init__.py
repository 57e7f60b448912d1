"""Two runs side by side: their numbers, the verdicts that changed, and the parameters that differ."""
