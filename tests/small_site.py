"""A small site and a corpus file for it: three pages, four chunks."""

import shutil
from pathlib import Path

PAGES = {
    "index.html": "<h1>Birds</h1><p>A page about birds of the night, which links to two others.</p>"
    "<a href='owl.html'>Owls</a> <a href='nightjar.html'>Nightjars</a>",
    "owl.html": "<h1>Owls</h1><p>Owls hunt mice in the dark and turn their heads a long way.</p>"
    "<h2>Food</h2><p>A barn owl eats three voles in one night, and more when it has young.</p>",
    "nightjar.html": "<meta name=robots content=noarchive><meta name=copyright content='(c) Birds'>"
    "<h1>Nightjars</h1><p>Nightjars catch moths on the wing and churr from a branch at dusk.</p>",
}

CORPUS = """
name = "birds"
warehouse = "{root}"
spark = "{spark}"
questions = ["What do owls eat?"]

[site]
command = ["{{python}}", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "{site}", "{{port}}"]
host = "birds.localhost"

[crawl]
seeds = ["http://birds.localhost/index.html"]
delay_seconds = 0

[language_model]
engine = "{language_model}"

[encoder]
engine = "{encoder}"

[sparse_encoder]
engine = "fake"

[[recipes]]
name = "keywords"
limit = 2

[[recipes]]
name = "query"

[[recipes]]
name = "context"
"""


def write_corpus(folder: Path, language_model: str = "fake", encoder: str = "fake", spark: str = "") -> str:
    """Write the site and its corpus file into a folder, and return the file's path."""
    (folder / "site").mkdir()
    for name, body in PAGES.items():
        (folder / "site" / name).write_text(f"<html><head><title>{name}</title></head><body>{body}</body></html>")
    return _corpus_file(folder, language_model, encoder, spark)


def copy_night(corpus: str, folder: Path) -> str:
    """Copy a corpus with its site and everything a night has made, and return the copy's file."""
    shutil.copytree(Path(corpus).parent, folder, dirs_exist_ok=True)
    return _corpus_file(folder, "fake", "fake")


def _corpus_file(folder: Path, language_model: str, encoder: str, spark: str = "") -> str:
    path = folder / "birds.toml"
    engines = {"language_model": language_model, "encoder": encoder, "spark": spark}
    path.write_text(CORPUS.format(root=folder / "root", site=folder / "site", **engines))
    return str(path)
