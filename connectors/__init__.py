"""The site's side of the federation: the agent, and one connector for each engine that runs work."""
