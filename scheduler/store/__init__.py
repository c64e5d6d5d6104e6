"""The record: SQL tables on SQLite or PostgreSQL, group commit, change numbers, leadership, wake-ups."""
