"""Erased people: the keyed hashes under which a store may hold them, and the rejection of their older records."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from deskloop.contract.erased import Erased
from deskloop.contract.errors import DeskloopError
from deskloop.contract.stage import Context
from deskloop.erase.search import ErasureRequest
from tasks.ingest.config import IngestConfig, SourceConfig, declared_paths
from tasks.ingest.conversation import USUAL_IDS, Reader
from tasks.ingest.identity import NOBODY, conversation_id, customer_keys, scalar
from tasks.ingest.record import Record

ERASED = "erased"


def is_erased(erased: Erased, reader: Reader, record: Record, conversation: dict[str, Any] | str) -> bool:
    """Check that a record predates the erasure of its person. An unreadable record has no time and counts as older.

    Args:
        conversation: the conversation that the record holds, or the reason for its rejection.
    """
    if not erased.erasures:
        return False
    value = record.value or {}
    who = reader.customers(value)
    keys = [customer_keys(who, key) for key in erased.keys]
    source_id = scalar(reader.id(value))
    names = {source_id, *(conversation_id(source_id, key, hide=hide) for key in erased.keys for hide in (True, False))}
    started_at = None if isinstance(conversation, str) else conversation["started_at"]
    return erased.refuses(keys, names if source_id else (), started_at) or (
        isinstance(conversation, str) and erased.refuses_record(record.raw)
    )


def search_for(
    customers: Sequence[str], conversations: Sequence[str], keys: Iterable[bytes], configs: Sequence[IngestConfig] = ()
) -> ErasureRequest:
    """Return the ids and hashes under which a store may hold people and conversations, for every key.

    Args:
        customers: ids, e-mail addresses and phone numbers as the source writes them.
        conversations: ids as the source or the store writes them.
        keys: the project's secrets.
        configs: of the steps that read the sources; their fields identify the customers. Empty for the default fields.
    Raises:
        ValueError: a customer is empty, or a word such as "guest" that identifies nobody.
    """
    secrets = list(keys)
    texts = [text.strip() for text in customers]
    if any(text.lower() in NOBODY for text in texts):
        raise ValueError("identifies nobody")

    def identify(kind: str, text: str) -> frozenset[str]:
        if kind == "conversation":
            return frozenset((text, *(conversation_id(text, key, hide=True) for key in secrets)))
        return frozenset(hashed for key in secrets for hashed in customer_keys([(kind, text)], key))

    names = frozenset(name for text in conversations for name in identify("conversation", text.strip()))
    kinds = {hashed: kind for text in texts for kind in _kinds(text) for hashed in identify(kind, text)}
    return ErasureRequest(frozenset(kinds), names, tuple(texts), kinds, identify, declared_fields(configs))


def declared_fields(configs: Sequence[IngestConfig]) -> dict[str, frozenset[str]]:
    """Return dotted path -> kinds of value that the sources declare there: `id`, `email`, `phone`, `conversation` or
    `known`."""
    default = IngestConfig(sources=(SourceConfig(path="-"),))
    fields: dict[str, set[str]] = defaultdict(set)
    readers = [Reader(source, config, b"") for config in configs or [default] for source in config.sources]
    for reader in readers:
        source = reader.source
        paths_by_kind = {kind: list(paths) for kind, paths in reader.customer.items()}
        conversation = source.columns.conversation_id
        paths_by_kind["conversation"] = [conversation] if conversation else list(USUAL_IDS)
        known = [path for name, path in declared_paths(source).items() if name.startswith("known")]
        usual = ["customer", "known", "known_pii", "requester"] if source.known is None else []
        paths_by_kind["known"] = known + usual
        if source.format in ("auto", "zendesk"):
            paths_by_kind["id"] += ["requester_id", "requester.id"]
            paths_by_kind["email"].append("requester.email")
            paths_by_kind["phone"].append("requester.phone")
        for kind, paths in paths_by_kind.items():
            for path in paths:
                fields[path].add(kind)
    return {path: frozenset(kinds) for path, kinds in fields.items()}


def count_erased(config: IngestConfig, context: Context) -> dict[str, int] | None:
    """Count the records of erased people in the sources' local files: file -> records; None if a file is unreadable.

    Args:
        context: as for `ingest`; its `erased` identifies the people.
    """
    from tasks.ingest import ingest

    local = tuple(source for source in config.sources if "://" not in source.path and not source.is_dataset)
    counts: Counter[str] = Counter()
    try:
        for rows in ingest(config.model_copy(update={"sources": local}), context) if local else ():
            for row_id in rows.loc[rows["reject"] == ERASED, "row_id"]:
                counts[row_id.rpartition(":")[0]] += 1
    except DeskloopError:
        return None
    return dict(sorted(counts.items()))


def _kinds(text: str) -> Sequence[str]:
    """Return the kinds of identifier that a text may be; a number may be an id or a phone number."""
    if "@" in text:
        return ("id", "email")
    return ("id",) if any(map(str.isalpha, text)) else ("id", "phone")
