"""The layer's rules without AWS: what they decide, and what they refuse."""
