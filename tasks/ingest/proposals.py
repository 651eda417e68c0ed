"""Proposals of `deskloop init` beyond field names: the encoding of a log, and its own roles."""

from collections import Counter
from dataclasses import replace
from itertools import islice

from deskloop.contract.errors import DeskloopError
from tasks.ingest.config import IngestConfig, SourceConfig
from tasks.ingest.containers import container, records
from tasks.ingest.conversation import Reader
from tasks.ingest.fields import LOOKED_AT
from tasks.ingest.misread import guess_encoding, shown_roles
from tasks.ingest.read import File, lines

LINES = 5_000  # or rows of a table
SAMPLE_BYTES = 1 << 16


def likely_encoding(file: File, config: IngestConfig) -> str | None:
    """Guess the encoding of a log that is not UTF-8 from its bytes; None for UTF-8 or if none fits."""
    if container(file) not in ("json", "csv"):
        return None
    sample = bytearray()
    for line in islice(lines(file, config.max_record_bytes), LINES):
        try:
            line.data.decode()
        except UnicodeDecodeError:
            sample += line.data
        if len(sample) >= SAMPLE_BYTES:
            break
    if not sample or sample.count(0) > len(sample) // 5:  # UTF-16, which cannot be read in lines
        return None
    return guess_encoding(bytes(sample))


def likely_roles(file: File, source: SourceConfig) -> tuple[dict[str, str], bool]:
    """Return (role in the log -> customer or agent, whether that is certain enough to be declared).

    If the role of one side is known, the unknown role is the other side; otherwise the first speaker is assumed to be
    the customer.

    Args:
        source: as the pipeline file will declare it.
    """
    config = IngestConfig(sources=(source,))
    reader = Reader(source, config, b"")
    roles, first, beside = Counter[str](), Counter[str](), Counter[str]()
    try:
        for record in islice(records(replace(file, source=source, most_rows=LINES), config, {}), LOOKED_AT):
            unknown = reader.unknown_roles(record)
            roles.update(unknown)
            first.update(unknown[:1])
            beside.update(set(reader.known_roles(record)) if unknown else ())
    except DeskloopError:  # `deskloop init` reports problems of the log elsewhere
        return {}, False
    shown = shown_roles(roles)
    if len(shown) == 1 == len(roles) and (beside["customer"] > 0) != (beside["agent"] > 0):
        return {shown[0]: "agent" if beside["customer"] else "customer"}, True
    opening = first.most_common(1)[0][0] if first else ""
    return {role: "customer" if role == opening and not beside["customer"] else "agent" for role in shown}, False
