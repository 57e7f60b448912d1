"""Scores, link extraction, gold sets, controls and intervals over word-level blocks; no model is loaded.

`scores` attention on dictionary links · `controls` what knows nothing · `matching` links from a matrix ·
`transport` plans between words · `gold` Pharaoh files and alignment error · `bootstrap` intervals ·
`curves`, `aer` tables · `measure` all of it for one translator.
"""
