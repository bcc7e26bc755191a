"""What Spark and the disk raise, in one line that a user can act on."""

import re

from schemas.errors import NightjarError, WarehouseError

CONFLICT = re.compile(r"DELTA_CONCURRENT|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED|Concurrent\w+Exception")

# The last line of a traceback that comes from a Python worker, with what stands before it there.
WORKER_SAID = re.compile(r"Traceback \(most recent call last\):\n(?: .*\n)+[A-Za-z_][\w.]*: (.+)")
# What lies below exceptions that only pass it on.
CAUSED = re.compile(r"^Caused by: [\w.$]+: (.+)$", re.MULTILINE)
COMMITTED = "Nothing of this batch was committed; what was committed before is whole"

# Pattern in Spark's text -> (what, left behind, remedy). The first match counts.
CAUSES: tuple[tuple[re.Pattern[str], tuple[str, str, str]], ...] = (
    (
        re.compile(r"Answer from Java side|An error occurred while trying to connect|Connection refused", re.I),
        (
            "Spark has died",
            COMMITTED,
            "Run the same command again; if it dies again it lacks memory, or spark.log in the cache folder says why",
        ),
    ),
    (
        re.compile(r"Unsupported table features required", re.I),
        (
            "this engine cannot write what Spark has made (it keeps a feed of changes)",
            "Nothing was written",
            'Leave out `spark = "sail"` in the corpus file, or name another `warehouse` in it',
        ),
    ),
    (
        re.compile(r"No space left on device|Disk quota exceeded", re.I),
        (
            "the disk is full",
            COMMITTED,
            "Free some space and run the same command again",
        ),
    ),
    (
        re.compile(
            r"Read-only file system|Permission denied|AccessDenied|mkdirs? failed|DELTA_CANNOT_CREATE_LOG_PATH", re.I
        ),
        (
            "the warehouse cannot be written",
            "Nothing of this batch was committed",
            "Give this user the right to write there, or set another root with `warehouse` in the corpus file",
        ),
    ),
    (
        re.compile(
            r"DELTA_VERSION_NOT_CONTIGUOUS|DELTA_LOG_FILE_NOT_FOUND|DELTA_TRUNCATED_TRANSACTION_LOG"
            r"|DELTA_STATE_RECOVER_ERROR|DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION|DELTA_MISSING_DELTA_TABLE",
            re.I,
        ),
        (
            "part of the table's log is gone",
            "Its data files are untouched",
            "Restore the folder from a backup, or move it away and run the night again to recompute it",
        ),
    ),
    (
        re.compile(r"FAILED_READ_FILE|FileNotFoundException|DELTA_FILE_NOT_FOUND|does not exist", re.I),
        (
            "data files of the table are missing",
            "Its log is untouched",
            "Restore the folder from a backup, or move it away and run the night again to recompute it",
        ),
    ),
)


def is_conflict(error: BaseException) -> bool:
    """True where another writer committed first: the same write, tried again, can succeed."""
    return bool(CONFLICT.search(str(error)))


def translate(error: BaseException, where: str) -> NightjarError:
    """The error to show for whatever Spark raised while it worked on `where`."""
    if isinstance(error, NightjarError):
        return error
    text = str(error)
    if said := WORKER_SAID.findall(text):
        return WarehouseError(f"work on Spark's executors failed: {said[-1]}", where=where, left_behind=COMMITTED)
    for pattern, (what, left_behind, remedy) in CAUSES:
        if pattern.search(text):
            return WarehouseError(what, where=where, left_behind=left_behind, remedy=remedy)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return WarehouseError([first, *CAUSED.findall(text)][-1], where=where)
