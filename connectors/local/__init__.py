"""Sites without an engine: real processes on the agent's own machine, or instant simulated runs."""
