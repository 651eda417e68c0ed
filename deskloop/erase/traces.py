"""Erasure outside the datasets: quarantine, families, memo, fitted artifacts, reports, access records, checkpoints."""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from deskloop.audit.trace import ACCESS
from deskloop.contract.erased import record_hash
from deskloop.contract.placeholders import generalise
from deskloop.erase.rewrite import filtered, scratch_of
from deskloop.erase.search import MARKS, QUARANTINE, Person, head, parts, read_part, tables
from deskloop.store.catalog import Catalog
from deskloop.store.commit import write_state
from deskloop.store.durable import replace_file
from deskloop.store.ledger import FAMILIES, Ledger
from deskloop.store.memo import Memo, text_hash
from deskloop.store.store import Store

SHORTEST = 4  # characters of a line that is searched for
WORD = re.compile(r"[^\W\d_]{5,}")  # a shorter word may be part of other people's words
NO_WORDS = ("metrics.json", "quota.json", "tokenizer_config.json", "special_tokens_map.json")
TOKENIZER = "tokenizer.json"
ERASED = "(erased)"  # replaces an id


def hashed(records: Iterable[bytes], key: bytes) -> list[str]:
    """Return the hashes by which the ledger records unreadable records."""
    return sorted(record_hash(key, raw) for raw in records)


def rewrite_quarantine(store: Store, hashes: Iterable[str], keys: Iterable[bytes]) -> int:
    """Write the quarantine to the scratch store without these records; return their number."""
    wanted, secrets = set(hashes), list(keys)
    if not wanted or not store.exists("raw", QUARANTINE):
        return 0
    present = {raw for path in parts(store, "raw", QUARANTINE) for raw in read_part(path, ["raw"])["raw"].to_pylist()}
    drop = {raw for raw in present if raw and any(record_hash(key, raw) in wanted for key in secrets)}
    return filtered(store, "raw", QUARANTINE, drop, "raw")


def rewrite_families(store: Store, person: Person) -> int:
    """Write the ledger's families to the scratch store without the person's conversations; return their number."""
    families = Ledger(store.root / "ledger").families()
    theirs = families["conversation_id"].isin(person.conversations)
    if theirs.any():
        rows = pa.Table.from_pandas(families[~theirs], schema=FAMILIES, preserve_index=False)
        write_state(scratch_of(store).root / "ledger" / "families", rows)
    return int(theirs.sum())


def forget_texts(store: Store, texts: Iterable[str]) -> int:
    """Delete the outputs of generators for these texts; return their number."""
    hashes = [text_hash(text) for text in texts]
    forgotten = 0
    for path in sorted((store.root / "memo").glob("*.sqlite")):
        with Memo(str(path)) as memo:
            forgotten += memo.forget(hashes)
    return forgotten


@dataclass
class Alone:
    """Texts that only one person wrote: turns, lines and words (both case folded, placeholders without numbers)."""

    turns: set[str] = field(default_factory=set, repr=False)
    lines: set[str] = field(default_factory=set, repr=False)
    words: set[str] = field(default_factory=set, repr=False)


def texts_alone(store: Store, catalog: Catalog, person: Person) -> Alone:
    """Return the texts of the person's clean rows in any version that no other row of a latest version contains."""
    turns, columns = set[str](), [*MARKS, "turns"]
    for zone, name in tables(store):
        for path in parts(store, zone, name) if zone == "clean" else ():
            table = read_part(path, columns)
            if "turns" in table.column_names:
                turns.update(_turns(table.filter(pa.array(person.rows(table), pa.bool_()))))
    alone = Alone(turns, set().union(*map(_lines, turns)), set().union(*map(_words, turns)))
    latest = {each.dataset: each for each in catalog.versions if each.kind == "dataset" and each.zone == "clean"}
    for version in latest.values():
        place = (version.zone, version.dataset, version.delta_version)
        if version.gone or "turns" not in store.schema(*place).names:
            continue
        for batch in store.batches(*place, [*columns, "intent"]):
            others = batch.filter(pa.array([not theirs for theirs in person.rows(batch)], pa.bool_()))
            alone.words.difference_update(intent.casefold() for intent in others["intent"].to_pylist() if intent)
            for text in _turns(others):
                alone.turns.discard(text)
                alone.lines -= _lines(text)
                alone.words -= _words(text)
    return alone


def artifacts_with(store: Store, alone: Alone) -> tuple[dict[str, str], int]:
    """Find the artifacts that contain a word or line that only the person wrote.

    Steps are fitted on texts of several people unless an option permits texts of a single one. Tokenizers are the
    exception: they may contain any word that occurs twice, and are part of every model.

    Returns:
        (hash -> step of such artifacts except tokenizers, number of such words in tokenizers).
    """
    ledger = Ledger(store.root / "ledger")
    theirs = alone.words | alone.lines
    stale, pieces = {}, set[str]()
    for digest, step in ledger.artifacts().items():
        files = ledger.files(digest)
        if TOKENIZER in files:
            vocabulary = orjson.loads(files[TOKENIZER]).get("model", {}).get("vocab", {})
            pieces.update(alone.words.intersection(_strings(list(vocabulary))))
        else:
            documents = (orjson.loads(content) for name, content in files.items() if _has_words(name))
            if any(text in theirs for document in documents for text in _strings(document)):
                stale[digest] = step
    return stale, len(pieces)


def clean_reports(store: Store, person: Person) -> int:
    """Replace the ids of the person's conversations in reports, whose errors name ids; return the number of files."""
    names = sorted(person.conversations, key=lambda name: (-len(name), name))
    if not names:
        return 0
    edge = rb"[A-Za-z0-9._:#-]"
    ids = re.compile(rb"(?<!%b)(?:%b)(?!%b)" % (edge, b"|".join(re.escape(name.encode()) for name in names), edge))
    changed = 0
    for path in sorted((store.root / "reports").rglob("*")):
        if path.suffix in (".html", ".json") and ids.search(content := path.read_bytes()):
            temporary = path.with_name(f".{path.name}")
            temporary.write_bytes(ids.sub(ERASED.encode(), content))
            temporary.replace(path)
            changed += 1
    return changed


def clean_access(store: Store, person: Person) -> int:
    """Replace the ids of the person's rows in the records of access to raw rows; return the number of records."""
    path = store.root / "ledger" / ACCESS
    accesses = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    theirs = [access for access in accesses if head(access["row_id"]) in person.conversations]
    for access in theirs:
        access["row_id"] = ERASED
    if theirs:
        replace_file(path, b"".join(orjson.dumps(access) + b"\n" for access in accesses))
    return len(theirs)


def remove_checkpoints(store: Store) -> None:
    """Delete the training state of a killed run, which may depend on the person; the next run trains again."""
    shutil.rmtree(store.root / "models" / ".work", ignore_errors=True)


def _turns(table: pa.Table) -> Iterator[str]:
    for cell in table["turns"].to_pylist():
        yield from (turn["text"] for turn in cell or () if turn["text"])


def _lines(text: str) -> set[str]:
    return {generalise(line.strip()).casefold() for line in text.splitlines() if len(line.strip()) >= SHORTEST}


def _words(text: str) -> set[str]:
    return {word.casefold() for word in WORD.findall(text)}


def _has_words(name: str) -> bool:
    return name.endswith(".json") and name not in NO_WORDS


def _strings(document: Any) -> Iterator[str]:
    """Yield every key and string of a JSON document, case folded; a tokenizer's tokens without their space mark."""
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack += [*node.keys(), *node.values()]
        elif isinstance(node, list):
            stack += node
        elif isinstance(node, str):
            yield node.removeprefix("\u0120").casefold()
