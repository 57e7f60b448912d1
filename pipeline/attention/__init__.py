"""Word-level attention blocks and transport costs of a translator, pooled while the model runs."""
