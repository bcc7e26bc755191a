"""The demo: a night over this machine's own Python documentation, then three questions to the index it made."""

from rich.console import Console

from flows.asking import answer, print_answer
from flows.nightly import nightly
from flows.report import print_closing_table, wrote_something
from schemas.corpus import Corpus, load_corpus

CORPUS = "pydoc"
FEEDBACK = "keywords"
QUESTIONS = 3
RESULTS = 3


def run_demo(console: Console) -> None:
    """Run the night, print three answers each way if it published something, and close with the table of stages."""
    last_run = nightly(CORPUS)
    if wrote_something(last_run):
        _ask(console, load_corpus(CORPUS))
    print_closing_table(console, last_run)
    console.print(f"Next: nightjar search {CORPUS} 'a question'   nightjar status {CORPUS}   notebooks/tour.ipynb")


def _ask(console: Console, corpus: Corpus) -> None:
    for question in corpus.questions[:QUESTIONS]:
        print_answer(console, question, answer(corpus, question, k=RESULTS, mode="dense"), "dense")
        again = answer(corpus, question, k=RESULTS, mode="dense", prf=FEEDBACK)
        print_answer(console, question, again, f"PromptPRF with {FEEDBACK}")
