#!/bin/sh
# Pairs a second on a card against the bare forward pass: one JSON object a translator, three minutes at most.
# Wanted: "ahead" at .9 of "bare" for both. Options go to benchmarks/gpu.py (--pairs, --tokens, --rounds, --cpu).
cd "$(dirname "$0")/.." || exit 1
exec timeout 180 "${PYTHON:-python}" benchmarks/gpu.py "$@"
