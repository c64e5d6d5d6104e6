"""A Ray cluster as a site: Jobs REST to start a gang, the gang's own channel for leases, logs and outputs."""
