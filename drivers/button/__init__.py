"""One-key call buttons on GPIO lines."""
