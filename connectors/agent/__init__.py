"""The agent: one process at each site that pulls its orders from the federation and reports what it sees."""
