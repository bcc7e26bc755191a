"""How model libraries must find the process before they are imported: offline and quiet."""

import logging
import os
import warnings

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TQDM_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in this process: one to start, one to end
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding would tie the whole process, Spark's JVM too, to few cores
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
}


def prepare_environment() -> None:
    """Set what is not set yet. Called before a model library is imported for the first time."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for library in ("vllm", "transformers", "sentence_transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    # torch warns about its own deprecated names when vLLM walks over its modules.
    warnings.filterwarnings("ignore", message=r".*torch\.distributed\.reduce_op.*", category=FutureWarning)
