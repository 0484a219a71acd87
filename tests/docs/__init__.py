"""The documentation: what it quotes is in the examples, what it promises is what the layer does, what it shows runs."""
