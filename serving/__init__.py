"""What answers queries: opens the published index and searches it. Needs no Spark; a model only for dense search."""
