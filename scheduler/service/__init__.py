"""Use cases and the loop. People's side and machines' side; both speak to the store, and answer with values or refusals."""
