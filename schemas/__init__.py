"""What Nightjar stores and reads: one file per Delta table, the corpus file, the errors everyone raises."""
