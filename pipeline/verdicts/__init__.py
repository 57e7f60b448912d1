"""What the metrics of all stages say of the claims: rows for `pipeline.claims` to decide, and the tables that join stages."""
