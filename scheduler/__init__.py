"""The federation: what decides, what remembers, and the edges that people and agents talk to."""
