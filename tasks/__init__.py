"""The nodes of the flows: plain functions over Arrow data. They know neither Prefect nor where Spark runs."""
