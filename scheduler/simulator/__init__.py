"""The production round under a virtual clock: traces, baselines, metrics, reports."""
