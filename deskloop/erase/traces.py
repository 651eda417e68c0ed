"""What is no table: quarantined bytes, the memo, what steps have learned, reports, notes, checkpoints, families."""

import os
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
from deskloop.erase.search import QUARANTINE, Person, head, parts, read_part, tables
from deskloop.store.catalog import Catalog
from deskloop.store.commit import write_state
from deskloop.store.ledger import FAMILIES, Ledger
from deskloop.store.memo import Memo, text_hash
from deskloop.store.store import Store

SHORTEST = 4  # characters of a line that can be looked for
WORD = re.compile(r"[^\W\d_]{5,}")  # a shorter one may be a piece of anybody's
NO_WORDS = ("metrics.json", "quota.json", "tokenizer_config.json", "special_tokens_map.json")
TOKENIZER = "tokenizer.json"
ERASED = "(erased)"  # what stands in place of an id


def hashed(records: Iterable[bytes], key: bytes) -> list[str]:
    """What the ledger keeps of unreadable records."""
    return sorted(record_hash(key, raw) for raw in records)


def rewrite_quarantine(store: Store, hashes: Iterable[str], keys: Iterable[bytes]) -> int:
    """Write the quarantine to the scratch store without these records; how many that were."""
    wanted, secrets = set(hashes), list(keys)
    if not wanted or not store.exists("raw", QUARANTINE):
        return 0
    present = {raw for path in parts(store, "raw", QUARANTINE) for raw in read_part(path, ["raw"])["raw"].to_pylist()}
    drop = {raw for raw in present if raw and any(record_hash(key, raw) in wanted for key in secrets)}
    return filtered(store, "raw", QUARANTINE, drop, "raw")


def rewrite_families(store: Store, person: Person) -> int:
    """Write the ledger's families to the scratch store without the person's conversations; how many those were."""
    families = Ledger(store.root / "ledger").families()
    theirs = families["conversation_id"].isin(person.conversations)
    if theirs.any():
        rows = pa.Table.from_pandas(families[~theirs], schema=FAMILIES, preserve_index=False)
        place = scratch_of(store).root / "ledger" / "families"
        write_state(place, rows)
    return int(theirs.sum())


def forget_texts(store: Store, texts: Iterable[str]) -> int:
    """Delete what generators made of these texts; how many outputs that were."""
    hashes = [text_hash(text) for text in texts]
    forgotten = 0
    for path in sorted((store.root / "memo").glob("*.sqlite")):
        with Memo(str(path)) as memo:
            forgotten += memo.forget(hashes)
    return forgotten


@dataclass
class Alone:
    """What only one person wrote: whole turns, lines and words (both case folded, placeholders without numbers)."""

    turns: set[str] = field(default_factory=set, repr=False)
    lines: set[str] = field(default_factory=set, repr=False)
    words: set[str] = field(default_factory=set, repr=False)


def texts_alone(store: Store, catalog: Catalog, person: Person) -> Alone:
    """What the person's rows of the clean zone hold, in whatever version, and nobody else's latest ones do."""
    turns: set[str] = set()
    for zone, name in tables(store):
        for path in parts(store, zone, name) if zone == "clean" else ():
            table = read_part(path, ["row_id", "conversation_id", "parent_id", "customer_keys", "turns"])
            if "turns" in table.column_names:
                turns.update(_turns(table.filter(pa.array(person.rows(table), pa.bool_()))))
    alone = Alone(turns, set().union(*map(_lines, turns)), set().union(*map(_words, turns)))
    latest = {one.dataset: one for one in catalog.versions if one.kind == "dataset" and one.zone == "clean"}
    for one in latest.values():
        if one.gone or "turns" not in store.schema(one.zone, one.dataset, one.delta_version).names:
            continue
        columns = ["row_id", "conversation_id", "parent_id", "customer_keys", "turns", "intent"]
        for batch in store.batches(one.zone, one.dataset, one.delta_version, columns):
            left = batch.filter(pa.array([not theirs for theirs in person.rows(batch)], pa.bool_()))
            alone.words.difference_update(intent.casefold() for intent in left["intent"].to_pylist() if intent)
            for text in _turns(left):
                alone.turns.discard(text)
                alone.lines -= _lines(text)
                alone.words -= _words(text)
    return alone


def learned(store: Store, alone: Alone) -> tuple[dict[str, str], int]:
    """Artifacts that hold a word or a line which only the person wrote.

    A step learns what several people write, so that this happens only where an option lets it learn from one. A
    tokenizer is the exception: it may hold any word that was written twice, and is part of every model.

    Returns:
        (hash -> step of the artifacts other than tokenizers, such words in tokenizers).
    """
    ledger = Ledger(store.root / "ledger")
    theirs = alone.words | alone.lines
    found, pieces = {}, set[str]()
    for digest, step in ledger.artifacts().items():
        files = ledger.files(digest)
        if TOKENIZER in files:
            vocabulary = orjson.loads(files[TOKENIZER]).get("model", {}).get("vocab", {})
            pieces.update(alone.words.intersection(_strings(list(vocabulary))))
        else:
            documents = (orjson.loads(content) for name, content in files.items() if _has_words(name))
            if any(text in theirs for document in documents for text in _strings(document)):
                found[digest] = step
    return found, len(pieces)


def clean_reports(store: Store, person: Person) -> int:
    """Take the ids of the person's conversations out of the reports (errors name some); how many files had any."""
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
    """Take the ids of the person's rows out of the notes on who looked at raw rows; how many notes had one."""
    path = store.root / "ledger" / ACCESS
    notes = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    theirs = [note for note in notes if head(note["row_id"]) in person.conversations]
    for note in theirs:
        note["row_id"] = ERASED
    if theirs:
        temporary = path.with_name(f".{ACCESS}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(orjson.dumps(note) + b"\n" for note in notes)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return len(theirs)


def remove_checkpoints(store: Store) -> None:
    """The training state of a run that was killed holds what it has read; the next run starts that training anew."""
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
    """Every key and string of a JSON document, case folded; a tokenizer's pieces without their mark of a space."""
    stack = [document]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, str):
            yield one.removeprefix("\u0120").casefold()
