"""The flows that people schedule, and the command line over them."""

import os

# Prefect reports its use over the network unless told otherwise before it is imported.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# The temporary server of a flow called from a program takes longer than the default 20 s on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
# What stages log goes where the log of a flow goes: to its page in Prefect, and to the worker's own.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "nightjar")
