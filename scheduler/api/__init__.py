"""The HTTP edge: parse, call one use case, shape the answer. The only place that knows status codes."""
