"""The page: figures, claims and an explorer from metrics that other rooms have written; nothing is measured here."""
