"""Which half of the pairs a pair belongs to: one chooses heads, the other judges them."""

from hashlib import blake2b


def in_first_half(pair_id: int, seed: int) -> bool:
    """Return whether a pair is in half A, which chooses; it stays there whatever else is drawn.

    Examples
    --------
    >>> [in_first_half(i, 2026) for i in range(4)] == [in_first_half(i, 2026) for i in range(4)]
    True
    """
    return blake2b(f"{seed} {pair_id}".encode(), digest_size=8).digest()[-1] % 2 == 0
