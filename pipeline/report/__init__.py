"""The page: figures, claims and an explorer drawn from metrics that other rooms have written; nothing is measured here."""
