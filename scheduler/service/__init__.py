"""Use cases and the loop: people's side and machines' side. They answer with values or refusals."""
