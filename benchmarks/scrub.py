"""Detection's speed: Presidio's own batch engine, the same recognizers on ours, and the full default detector.

    python -m benchmarks.scrub [--rounds 3] [--texts N] [--sizes [--whole]]

One process, one thread, rounds in turn, medians of CPU seconds (Presidio's e-mail check also waits for the network, and
that time is not counted); the first round's findings are compared on every text in start, end, entity and score (1e-6).
Presidio runs on a blank spaCy pipeline, once as it comes (it has no lemmas, so that no context
word is ever found) and once with the words as lemmas (`context`): `identical` holds for both, `patterns_ratio` is the
smaller ratio of the two, `full_ratio` compares with the faster of the two.
`--sizes` prints, instead, the seconds that texts of 1, 2 and 4 units take the full detector; with `--whole` they take
the entire path, as an answer to an agent, known values and replacement included. `worst` is the largest growth from 1
to 4 units, as a share of 4 (1: linear), of the kinds that take a second or more; `slowest`, in seconds, is of 4 units.
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
EXAMPLE = ROOT / "examples" / "support" / "log"
SIDES = ("presidio", "patterns", "presidio_context", "patterns_context", "full")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    parser.add_argument("--texts", type=int, default=0, help="a sample of this many texts; default all")
    parser.add_argument("--sizes", action="store_true", help="time long and hostile texts instead")
    parser.add_argument("--whole", action="store_true", help="of --sizes: decode, find, spread and replace")
    parser.add_argument("--unit", type=int, default=100_000, help="characters of the shortest text of --sizes")
    parser.add_argument("--detector", default="embedded", help="of --sizes; `patterns` leaves names and cues out")
    options = parser.parse_args()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        if options.sizes:
            measured = sizes(options.unit, options.detector, options.whole)
            print(json.dumps({**measured, **worst(measured)}))
            return
        texts = read_texts()
        if options.texts:
            texts = random.Random(0).sample(texts, min(options.texts, len(texts)))
        print(json.dumps(compare(texts, options.rounds)))


def compare(texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time each side in turn and compare their findings."""
    sides = _sides()
    for side in sides.values():
        side(texts[:200])
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    identical, findings = True, 0
    for turn in range(rounds):
        found: dict[str, Any] = {}
        for name in SIDES:
            began = time.process_time()
            found[name] = sides[name](texts)
            seconds[name].append(time.process_time() - began)
        if turn == 0:
            for theirs, ours in (("presidio", "patterns"), ("presidio_context", "patterns_context")):
                identical &= same(found[theirs], found[ours])
            findings = sum(map(len, found["presidio"]))
        print("  ".join(f"{name} {seconds[name][-1]:.2f} s" for name in SIDES), file=sys.stderr)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    plain, context = (median[f"presidio{kind}"] / median[f"patterns{kind}"] for kind in ("", "_context"))
    return {
        "identical": identical,
        "patterns_ratio": round(min(plain, context), 2),
        "full_ratio": round(min(median["presidio"], median["presidio_context"]) / median["full"], 2),
        "plain_ratio": round(plain, 2),
        "context_ratio": round(context, 2),
        **{f"{name}_per_s": round(len(texts) / median[name]) for name in SIDES},
        "texts": len(texts),
        "findings": findings,
        "rounds": rounds,
    }


def same(theirs: Sequence[Sequence[Any]], ours: Sequence[Sequence[Any]]) -> bool:
    """Whether both found the same in every text."""
    return all(
        sorted((result.start, result.end, result.entity_type, round(result.score, 6)) for result in expected)
        == sorted((span.start, span.end, span.type, round(span.score, 6)) for span in found)
        for expected, found in zip(theirs, ours, strict=True)
    )


def presidio(words: bool) -> Any:
    """Presidio's batch engine with its predefined recognizers for English, those on a model's findings left out.

    Args:
        words: whether a token's text is also its lemma.
    """
    import spacy
    from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    from spacy.language import Language

    pipeline = spacy.blank("en")
    if words:

        @Language.component("words_as_lemmas")
        def _words_as_lemmas(document: Any) -> Any:
            for token in document:
                token.lemma_ = token.text
            return document

        pipeline.add_pipe("words_as_lemmas")
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": pipeline}  # in place of `load`, which would download a model
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.recognizers = [each for each in registry.recognizers if not isinstance(each, SpacyRecognizer)]
    return BatchAnalyzerEngine(AnalyzerEngine(registry=registry, nlp_engine=engine))


def _sides() -> dict[str, Callable[[Sequence[str]], Any]]:
    from tasks.scrub import ScrubConfig
    from tasks.scrub.detect import detect
    from tasks.scrub.patterns import Engine
    from tasks.scrub.patterns.file import silence

    silence()
    sides: dict[str, Callable[[Sequence[str]], Any]] = {"full": lambda texts: detect(texts, ScrubConfig())}
    for kind in ("", "_context"):
        batch = presidio(words=bool(kind))
        analyzer = batch.analyzer_engine
        recognizers = analyzer.registry.get_recognizers(language="en", all_fields=True)
        sides[f"presidio{kind}"] = partial(batch.analyze_iterator, language="en")
        sides[f"patterns{kind}"] = Engine(recognizers, analyzer.context_aware_enhancer, words=bool(kind)).analyze
    return sides


def read_texts() -> list[str]:
    """The turns of STAR and the intents' texts where they are at hand, else the example log's turns."""
    star, intents = DATA / "star_dev.jsonl.gz", DATA / "intents_dev.jsonl.gz"
    if star.is_file() and intents.is_file():
        texts = [turn["text"] or "" for row in _rows(star) for turn in row["turns"]]
        return texts + [row["text"] for row in _rows(intents)]
    print("no STAR and intent texts: the example log stands in, its figures are other ones", file=sys.stderr)
    return [
        turn.get("text") or "" for path in sorted(EXAMPLE.glob("*.gz")) for row in _rows(path) for turn in row["turns"]
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sizes(unit: int, detector: str, whole: bool = False) -> dict[str, list[float]]:
    """Seconds for texts of `unit`, twice and four times as many characters, kind by kind."""
    from benchmarks.hostile import KINDS
    from tasks.scrub import ScrubConfig
    from tasks.scrub.detect import detect
    from tasks.scrub.stream import scrub_lines

    config = ScrubConfig(detector=detector)

    def run(text: str) -> None:
        if not whole:
            detect([text], config)
            return
        asked = "What is your name, address, password and account number?"
        turns = [{"role": "agent", "text": asked}, {"role": "customer", "text": text}]
        known = {"PERSON": ["Mia Lopez"], "PHONE_NUMBER": ["+12125550187"], "ORDER": ["HD-123 x"]}
        list(scrub_lines([json.dumps({"id": 1, "turns": turns, "known": known}).encode()], config))

    run("call 212-555-0187 or write to jane@example.com")
    measured: dict[str, list[float]] = {}
    for kind, make in KINDS.items():
        measured[kind] = []
        for times in (1, 2, 4):
            text = make(unit * times)
            began = time.process_time()
            run(text)
            measured[kind].append(round(time.process_time() - began, 3))
        print(f"{kind:30} {measured[kind]}", file=sys.stderr)
    return measured


def worst(measured: dict[str, list[float]]) -> dict[str, Any]:
    """The kind whose time grows most, and the slowest one, with their figures."""
    growth = {kind: round(last / max(first, 0.05) / 4, 2) for kind, (first, _, last) in measured.items() if last >= 1.0}
    steepest = max(growth, key=growth.__getitem__, default="")
    slowest = max(measured, key=lambda kind: measured[kind][-1])
    return {
        "worst": growth.get(steepest, 1.0),
        "worst_kind": steepest,
        "slowest": measured[slowest][-1],
        "slowest_kind": slowest,
    }


if __name__ == "__main__":
    main()
