"""Compare the speed of Presidio's batch engine, of our engine with the same recognizers, and of the full detector.

    python -m benchmarks.scrub [--rounds 3] [--texts N] [--sizes [--whole]]

One process, one thread, alternating rounds, medians of CPU seconds (which exclude the network access of Presidio's
e-mail check). The first round's findings are compared on every text by start, end, entity and score (1e-6). Presidio
uses a blank spaCy pipeline, once unchanged (without lemmas, so that no context word matches) and once with the words as
lemmas (`context`): `identical` covers both, `patterns_ratio` is the smaller ratio of the two, and `full_ratio` compares
with the faster of the two.
With `--sizes`, the script instead measures the full detector on texts of 1, 2 and 4 units, and with `--whole` all of
scrub, on an answer to an agent with known values. `worst` is the largest growth from 1 to 4 units divided by 4 (1:
linear) among the kinds that take at least a second; `slowest` is in seconds for 4 units.
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
    parser.add_argument("--rounds", type=int, default=3, help="number of measured rounds")
    parser.add_argument("--texts", type=int, default=0, help="size of a sample of the texts; default: all texts")
    parser.add_argument("--sizes", action="store_true", help="measure long and hostile texts instead")
    parser.add_argument("--whole", action="store_true", help="with --sizes: measure all of scrub, not just detection")
    parser.add_argument("--unit", type=int, default=100_000, help="with --sizes: characters of the shortest text")
    parser.add_argument("--detector", default="embedded", help="with --sizes: `patterns` runs without names and cues")
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
    """Measure each side in turn and compare their findings."""
    sides = _sides()
    for side in sides.values():
        side(texts[:200])
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    identical, count = True, 0
    for turn in range(rounds):
        findings: dict[str, Any] = {}
        for name in SIDES:
            began = time.process_time()
            findings[name] = sides[name](texts)
            seconds[name].append(time.process_time() - began)
        if turn == 0:
            for theirs, ours in (("presidio", "patterns"), ("presidio_context", "patterns_context")):
                identical &= same(findings[theirs], findings[ours])
            count = sum(map(len, findings["presidio"]))
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
        "findings": count,
        "rounds": rounds,
    }


def same(theirs: Sequence[Sequence[Any]], ours: Sequence[Sequence[Any]]) -> bool:
    """Check that both have the same findings in every text."""
    return all(
        sorted((result.start, result.end, result.entity_type, round(result.score, 6)) for result in expected)
        == sorted((span.start, span.end, span.type, round(span.score, 6)) for span in spans)
        for expected, spans in zip(theirs, ours, strict=True)
    )


def presidio(words: bool) -> Any:
    """Return Presidio's batch engine with its predefined English recognizers, except those that need a model.

    Args:
        words: whether to use each token's text as its lemma.
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
    engine.nlp = {"en": pipeline}  # instead of `load`, which would download a model
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.recognizers = [item for item in registry.recognizers if not isinstance(item, SpacyRecognizer)]
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
    """Return the texts of STAR and of the intent datasets if they are available, else of the example log."""
    star, intents = DATA / "star_dev.jsonl.gz", DATA / "intents_dev.jsonl.gz"
    if star.is_file() and intents.is_file():
        texts = [turn["text"] or "" for row in _rows(star) for turn in row["turns"]]
        return texts + [row["text"] for row in _rows(intents)]
    print("no STAR and intent texts: using the example log, whose figures differ", file=sys.stderr)
    return [
        turn.get("text") or "" for path in sorted(EXAMPLE.glob("*.gz")) for row in _rows(path) for turn in row["turns"]
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sizes(unit: int, detector: str, whole: bool = False) -> dict[str, list[float]]:
    """Return kind -> seconds for texts of `unit`, twice and four times as many characters."""
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
    """Return the kind whose time grows most, and the slowest kind, with their figures."""
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
