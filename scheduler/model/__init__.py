"""The vocabulary of the federation: jobs, runs, sites, reasons and the agent's messages. Pure: no clock, dice or I/O."""
