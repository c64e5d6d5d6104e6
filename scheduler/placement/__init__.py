"""Which nodes a gang gets: arrays and buckets, and a slow oracle beside them. Pure."""
