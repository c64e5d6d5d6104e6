"""Server-rendered pages. Templates and styles in one room; a template sees one context dataclass and nothing else."""
