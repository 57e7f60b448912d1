"""Speed as ratios against plain references, taken in turns in one run: `make bench`."""
