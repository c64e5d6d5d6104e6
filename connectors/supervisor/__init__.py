"""The supervisor: one file of standard-library Python beside each process of a run, and its shell twin."""
