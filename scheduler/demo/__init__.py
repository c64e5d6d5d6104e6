"""What ``make demo`` runs: a federation on this machine, a real Ray cluster as its site, and a real training job."""
