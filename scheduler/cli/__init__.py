"""The ``dure`` command line: an HTTP client and nothing else."""
