"""The flows that people schedule, and the command line over them."""

import os

# Prefect reports its use over the network unless told otherwise before it is imported.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
