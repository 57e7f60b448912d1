"""What one would write first: slow, short, and the oracle of the tests of what is fast."""
