"""People who were erased: the keyed hashes that a store may know them by, and their older records refused."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from deskloop.contract.erased import Erased
from deskloop.contract.errors import DeskloopError
from deskloop.contract.stage import Context
from deskloop.erase.search import Asked
from tasks.ingest.config import IngestConfig, SourceConfig, declared_paths
from tasks.ingest.conversation import USUAL_IDS, Reader
from tasks.ingest.identity import NOBODY, conversation_id, customer_keys, scalar
from tasks.ingest.record import Record

ERASED = "erased"


def is_erased(erased: Erased, reader: Reader, record: Record, found: dict[str, Any] | str) -> bool:
    """Whether a record is an older one of a person who was erased. One that cannot be read has no time, so it is older.

    Args:
        found: the conversation that the record holds, or the reason why it holds none.
    """
    if not erased.erasures:
        return False
    value = record.value or {}
    who = reader.customers(value)
    keys = [customer_keys(who, key) for key in erased.keys]
    source_id = scalar(reader.id(value))
    names = {source_id, *(conversation_id(source_id, key, hide=hide) for key in erased.keys for hide in (True, False))}
    started_at = None if isinstance(found, str) else found["started_at"]
    return erased.refuses(keys, names if source_id else (), started_at) or (
        isinstance(found, str) and erased.refuses_record(record.raw)
    )


def asked_for(
    customers: Sequence[str], conversations: Sequence[str], keys: Iterable[bytes], configs: Sequence[IngestConfig] = ()
) -> Asked:
    """What a store may know people and conversations by, under every key.

    Args:
        customers: ids, e-mails and phones as the source writes them.
        conversations: ids as the source or the store writes them.
        keys: the project's secrets.
        configs: of the steps that read the sources: which fields say whose a record is. None: the usual ones.
    Raises:
        ValueError: a customer is no such thing: empty, or a word for nobody.
    """
    secrets = list(keys)
    texts = [text.strip() for text in customers]
    if any(text.lower() in NOBODY for text in texts):
        raise ValueError("names nobody")
    who = [(kind, text) for text in texts for kind in _kinds(text)]
    names = {text.strip() for text in conversations}
    names |= {conversation_id(text, key, hide=True) for text in names for key in secrets}
    kinds = {hashed: kind for key in secrets for kind, text in who for hashed in customer_keys([(kind, text)], key)}

    def identify(kind: str, text: str) -> frozenset[str]:
        if kind == "conversation":
            return frozenset((text, *(conversation_id(text, key, hide=True) for key in secrets)))
        return frozenset(hashed for key in secrets for hashed in customer_keys([(kind, text)], key))

    return Asked(frozenset(kinds), frozenset(names), tuple(texts), kinds, identify, declared_fields(configs))


def declared_fields(configs: Sequence[IngestConfig]) -> dict[str, frozenset[str]]:
    """Dotted path -> what the sources declare to stand there: `id`, `email`, `phone`, `conversation` or `known`."""
    usual = IngestConfig(sources=(SourceConfig(path="-"),))
    found: dict[str, set[str]] = defaultdict(set)
    for config, source in ((one, source) for one in configs or (usual,) for source in one.sources):
        reader = Reader(source, config, b"")
        own = {kind: list(paths) for kind, paths in reader.customer.items()}
        own["conversation"] = [source.columns.conversation_id] if source.columns.conversation_id else list(USUAL_IDS)
        own["known"] = [path for name, path in declared_paths(source).items() if name.startswith("known")]
        own["known"] += ["customer", "known", "known_pii", "requester"] if source.known is None else []
        if source.format in ("auto", "zendesk"):
            own["id"] += ["requester_id", "requester.id"]
            own["email"].append("requester.email")
            own["phone"].append("requester.phone")
        for kind, paths in own.items():
            for path in paths:
                found[path].add(kind)
    return {path: frozenset(kinds) for path, kinds in found.items()}


def still_there(config: IngestConfig, context: Context) -> dict[str, int] | None:
    """Records of erased people in the local files of the sources: file -> how many; None where they cannot be read.

    Args:
        context: as `ingest` gets it; its `erased` says whose records count.
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
    """What a text may be; a number may be an id or a phone."""
    if "@" in text:
        return ("id", "email")
    return ("id",) if any(map(str.isalpha, text)) else ("id", "phone")
