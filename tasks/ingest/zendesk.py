"""Read Zendesk tickets with their comments, from the JSON export or the incremental API.

https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_comments/
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.ingest.config import Columns
from tasks.ingest.conversation import moment
from tasks.ingest.identity import scalar
from tasks.ingest.participants import STRANGER, author_of, copied, involved, people_of, personal, requester_of
from tasks.ingest.record import Person, Record, lookup

# Channels by name or number: https://developer.zendesk.com/documentation/ticketing/reference-guides/via-types
AUTOMATED = frozenset(["system", "rule", "merge", "linked_problem", "automatic_solution_suggestions", "19", "22"]) | {
    *("group_deletion", "group_change", "user_change", "user_deletion", "resource_push"),
    *map(str, range(8, 15)),
}
AUTOMATED_RELATIONS = frozenset(["trigger", "automation", "merge"])
AUTOREPLY_FLAG = 4  # of a comment: written automatically, such as an out-of-office reply
# Channels with a subject by the customer; Zendesk generates that of a chat or a call.
WITH_SUBJECT = frozenset(["web", "web_form", "email", "mail", "mobile", "web_widget", "help_center", "api"]) | {
    *("web_service", "0", "4", "5", "48", "")
}
RATINGS = {"good": 5.0, "bad": 1.0}  # on the scale of one to five that most logs use
BODIES = ("plain_body", "body", "html_body")


class Page(NamedTuple):
    """The tickets of a document or of a page of the API, and the accompanying users by id."""

    elements: list[Any]
    people: Mapping[str, Person]


def page(value: Any, format: str) -> Page | None:
    """Read `{"tickets": [...], "users": [...]}`; None for anything else."""
    if format not in ("auto", "zendesk") or not isinstance(value, dict):
        return None
    lists = [value[name] for name in ("tickets", "suspended_tickets") if isinstance(value.get(name), list)]
    elements = [element for part in lists for element in part]
    is_page = bool(lists) and (format == "zendesk" or not {"end_of_stream", "end_time", "next_page"}.isdisjoint(value))
    return Page(elements, people_of(value.get("users"))) if is_page or any(map(is_ticket, elements)) else None


def is_ticket(value: Any) -> bool:
    """Check that a record looks like a ticket: it has a requester, and comments or a description."""
    if not isinstance(value, dict):
        return False
    value = _unwrapped(value)
    has_requester = any(value.get(name) is not None for name in ("requester_id", "requester", "submitter_id"))
    return (has_requester and ("comments" in value or "description" in value)) or _is_suspended(value)


def ticket_record(record: Record, columns: Columns, users: Mapping[str, Person]) -> Record:
    """Return the record with its turns, customer and known personal values, or with the reason for its rejection.

    Args:
        users: of the source, by id; those of the record's own document take precedence.
    """
    ticket = _unwrapped(record.value or {})
    state = _state(ticket)
    if state is not None:
        return record._replace(reason=state)
    comments = ticket.get("comments")
    if comments in (None, []) and isinstance(ticket.get("description"), str):
        comments = [_described(ticket)]
    if comments in (None, []):
        return record._replace(reason="no_turns")
    if not isinstance(comments, list) or not all(isinstance(comment, dict) for comment in comments):
        return record._replace(reason="bad_turns")
    comments = _in_order(comments)
    people = involved(ticket, comments, (people_of(ticket.get("users")), record.people, users))
    turns: list[dict[str, Any]] = []
    for comment in comments:
        role, text = _role(comment, ticket, people), _body(comment, columns)
        if role is None or text is None:
            return record._replace(reason="unknown_author" if role is None else "bad_turns")
        names = (columns.role or "role", columns.text or "text", columns.at or "at")
        turns.append(dict(zip(names, (role, text, comment.get("created_at")), strict=True)))
    _add_subject(turns[0], ticket, columns)
    return record._replace(value=_completed(ticket, people), turns=turns, known=personal(ticket, comments, people))


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Move the comments and users of `{"ticket": {...}, "comments": [...], "users": [...]}` into the ticket."""
    inner = value.get("ticket")
    beside = {name: value[name] for name in ("comments", "users") if value.get(name) is not None}
    return {**inner, **beside} if isinstance(inner, dict) else value


def _is_suspended(value: Mapping[str, Any]) -> bool:
    return "cause" in value and "content" in value and isinstance(value.get("author"), dict)


def _state(ticket: Mapping[str, Any]) -> str | None:
    """Return the reason for rejecting a ticket that is suspended as spam, deleted, or merged into another one."""
    if _is_suspended(ticket):
        return "suspended_ticket"
    if ticket.get("status") == "deleted":
        return "deleted_ticket"
    tags = ticket.get("tags")
    return "merged_ticket" if isinstance(tags, list) and "closed_by_merge" in tags else None


def _described(ticket: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket's description as a comment; it is the first one."""
    author = ticket.get("submitter_id") or requester_of(ticket)
    return {
        "author_id": author,
        "plain_body": ticket["description"],
        "created_at": ticket.get("created_at"),
        "via": ticket.get("via"),
        "public": ticket.get("is_public"),
    }


def _in_order(comments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort comments, oldest first; the API sorts either way."""
    times = [moment(comment.get("created_at")) for comment in comments]
    dated = [(at, index) for index, at in enumerate(times) if at is not None]
    return [comments[index] for _, index in sorted(dated)] if len(dated) == len(comments) else comments


def _role(comment: Mapping[str, Any], ticket: Mapping[str, Any], people: Mapping[str, Person]) -> str | None:
    """Return customer, agent, note or system; None if the author is unknown.

    Only the requester, people in copy and agents can comment, so anyone other than the first two is an agent.
    """
    if _is_automated(comment):
        return "system"
    if comment.get("public") is False:
        return "note"
    author, requester = author_of(comment), requester_of(ticket)
    role = people.get(author, STRANGER).role
    if not author:
        return None
    if author == requester or role is not None:
        return "customer" if author == requester or role in ("end-user", "end_user") else "agent"
    return "agent" if requester and author not in copied(ticket) else None


def _is_automated(comment: Mapping[str, Any]) -> bool:
    """Check that a rule, a merge, a telephone system or an autoresponder wrote the comment."""
    via, flags = comment.get("via"), lookup(comment, "metadata.flags")
    channel = scalar(via.get("channel")) if isinstance(via, dict) else ""
    relation = lookup(via, "source.rel") if isinstance(via, dict) else None
    by_rule = channel in AUTOMATED or (isinstance(relation, str) and relation in AUTOMATED_RELATIONS)
    by_machine = isinstance(flags, list) and AUTOREPLY_FLAG in flags
    return by_rule or by_machine or author_of(comment) == "-1" or comment.get("type") == "VoiceComment"


def _body(comment: Mapping[str, Any], columns: Columns) -> str | None:
    """Return the text; empty if there are only attachments, None if there is no text."""
    names = (columns.text,) if columns.text else BODIES
    body = next((comment[name] for name in names if comment.get(name) is not None), None)
    if body is None and comment.get("attachments"):
        return ""
    return body if isinstance(body, str) else None


def _add_subject(first: dict[str, Any], ticket: Mapping[str, Any], columns: Columns) -> None:
    """Put the subject above the customer's first message, unless the message contains it or Zendesk generated it."""
    role, text = columns.role or "role", columns.text or "text"
    channel = lookup(ticket, "via.channel")
    subject = ticket.get("subject")
    if first[role] != "customer" or not isinstance(subject, str) or scalar(channel) not in WITH_SUBJECT:
        return
    words = " ".join(subject.split()).casefold().rstrip(".\u2026 ")
    if words and words not in " ".join(first[text].split()).casefold():
        first[text] = f"{subject.strip()}\n\n{first[text]}"


def _completed(ticket: dict[str, Any], people: Mapping[str, Person]) -> dict[str, Any]:
    """Return the ticket with customer and rating in the usual fields, and its custom fields by number."""
    requester = requester_of(ticket)
    who = people.get(requester, STRANGER)
    fields = ticket.get("custom_fields")
    by_number = {
        scalar(field["id"]): field.get("value")
        for field in (fields if isinstance(fields, list) else [])
        if isinstance(field, dict) and "id" in field
    }
    score = lookup(ticket, "satisfaction_rating.score")
    rating = RATINGS.get(score.partition("_")[0]) if isinstance(score, str) else None
    return {
        "rating": rating,
        **ticket,
        "customer": {"id": requester, "name": list(who.names), "email": who.email, "phone": who.phone},
        "custom_fields": by_number or fields,
    }
