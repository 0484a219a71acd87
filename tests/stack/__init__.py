"""Over HTTP against the real template.yaml, deployed once into a local emulator that enforces IAM."""
