"""The round: a federation in memory, a snapshot of it, and one pure decision. No clock, no dice, no I/O."""
