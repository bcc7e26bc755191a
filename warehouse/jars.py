"""Delta's JARs, which the Python wheel does not carry.

`python -m warehouse.jars` resolves them once with Spark's own resolver into the cache folder. Sessions then
start from that folder: no network, no resolver chatter, a faster start.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark

from schemas.cache import cache_folder
from schemas.errors import NightjarError, SetupError

COORDINATES = "io.delta:delta-spark_4.2_2.13:4.4.0"
MANIFEST = "jars.json"


def jar_folder() -> Path:
    return cache_folder() / "jars" / COORDINATES.replace(":", "_")


def jars() -> list[Path]:
    """The JARs a session needs beyond Spark's own, sorted.

    The resolver also fetches libraries that Spark has, in other versions; Spark's must win.

    Raises:
        SetupError: they are not there, or not all of them.
    """
    folder = jar_folder()
    try:
        names = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise SetupError("Delta's JARs are not installed", where=str(folder), remedy="Run: make install") from None
    paths = [folder / name for name in sorted(names)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise SetupError(
            f"{len(missing)} of Delta's JARs are missing, such as {missing[0]}",
            where=str(folder),
            remedy="Remove the folder and run: make install",
        )
    own = {_artifact(path.name) for path in spark_jars().glob("*.jar")}
    return [path for path in paths if _artifact(path.name.partition("_")[2]) not in own]


def spark_jars() -> Path:
    """Folder of the JARs that Spark itself comes with."""
    return Path(pyspark.__file__).parent / "jars"


def _artifact(jar: str) -> str:
    """Name of a JAR without its version."""
    return re.split(r"-\d", jar)[0]


def java() -> str:
    """Path of the Java that Spark will use.

    Raises:
        SetupError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if not found:
        where = "JAVA_HOME" if home else "PATH"
        raise SetupError("Java is not installed", where=where, remedy="Install Java 17, or set JAVA_HOME to it")
    return found


def install() -> Path:
    """Resolve the JARs into the cache folder, once. Interrupted, it leaves nothing behind.

    Raises:
        SetupError: no Java, or the JARs cannot be fetched.
    """
    folder = jar_folder()
    if (folder / MANIFEST).is_file():
        return folder
    java()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        for jar in _resolve(Path(scratch)):
            shutil.copy(jar, made / jar.name)
        checksums = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in made.glob("*.jar")}
        (made / MANIFEST).write_text(json.dumps(checksums, indent=1, sort_keys=True))
        made.rename(folder)
    return folder


def _resolve(scratch: Path) -> list[Path]:
    """Let spark-submit fetch the coordinates; the version it is asked to run does nothing else."""
    submit = Path(sys.executable).parent / "spark-submit"
    ivy = scratch / "ivy"
    program = scratch / "nothing.py"
    program.write_text("")
    command = [str(submit), "--packages", COORDINATES, "--conf", f"spark.jars.ivy={ivy}", str(program)]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment, check=False)
    found = sorted((ivy / "jars").glob("*.jar"))
    if finished.returncode or not found:
        lines = [line for line in finished.stderr.splitlines() if line.strip()]
        cause = lines[-1].strip() if lines else f"spark-submit ended with status {finished.returncode}"
        raise SetupError(f"Delta's JARs cannot be fetched: {cause}", where=COORDINATES, remedy="Run: make install")
    return found


if __name__ == "__main__":
    try:
        print(f"Delta's JARs: {install()}")
    except NightjarError as error:
        sys.exit(str(error))
