"""Chaos: the real fleet under a steady on-sale, one fault after another by a seed, the checker after each of them."""
