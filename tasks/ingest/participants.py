"""The people involved in a ticket, and their personal values, which must be scrubbed."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.ingest.identity import scalar
from tasks.ingest.record import Person, lookup

STRANGER = Person(None, (), "", "")


def people_of(users: Any) -> dict[str, Person]:
    """Return users by id, without malformed ones."""
    return {
        scalar(user["id"]): person(user)
        for user in (users if isinstance(users, list) else [])
        if isinstance(user, dict) and scalar(user.get("id"))
    }


def person(user: Mapping[str, Any]) -> Person:
    """Return the role, names, e-mail address and phone number of a user."""
    names = tuple(dict.fromkeys(filter(None, (scalar(user.get(name)) for name in ("name", "alias")))))
    return Person(scalar(user.get("role")) or None, names, scalar(user.get("email")), scalar(user.get("phone")))


def requester_of(ticket: Mapping[str, Any]) -> str:
    """Return the id of a ticket's requester; empty if the ticket has none."""
    return scalar(ticket.get("requester_id")) or scalar(lookup(ticket, "requester.id"))


def author_of(comment: Mapping[str, Any]) -> str:
    """Return the id of a comment's author; empty if the comment has none."""
    return scalar(comment.get("author_id")) or scalar(lookup(comment, "author.id"))


def copied(ticket: Mapping[str, Any]) -> set[str]:
    """Return the ids of people in copy, who may be customers or agents."""
    lists = [ticket.get(name) for name in ("collaborator_ids", "email_cc_ids")]
    return {scalar(user_id) for ids in lists if isinstance(ids, list) for user_id in ids}


def involved(
    ticket: Mapping[str, Any], comments: Iterable[Mapping[str, Any]], tables: Iterable[Mapping[str, Person]]
) -> dict[str, Person]:
    """Return the people involved in a ticket, by id, as the ticket and tables of users describe them.

    Args:
        tables: users by id; later tables fill in the values that earlier ones lack.
    """
    embedded = [ticket.get(name) for name in ("requester", "submitter", "assignee")]
    for name in ("collaborators", "collaborator"):
        embedded += ticket[name] if isinstance(ticket.get(name), list) else []
    embedded += [comment.get("author") for comment in comments]
    inside = [people_of([user]) for user in embedded]
    ids = [requester_of(ticket), *(scalar(ticket.get(name)) for name in ("submitter_id", "assignee_id"))]
    ids += [*sorted(copied(ticket)), *map(author_of, comments), *(user_id for users in inside for user_id in users)]
    people: dict[str, Person] = {}
    for user_id in dict.fromkeys(filter(None, ids)):
        parts = [users[user_id] for users in (*inside, *tables) if user_id in users]
        if parts:
            people[user_id] = Person(
                next((part.role for part in parts if part.role), None),
                tuple(dict.fromkeys(name for part in parts for name in part.names)),
                next((part.email for part in parts if part.email), ""),
                next((part.phone for part in parts if part.phone), ""),
            )
    return people


def personal(
    ticket: Mapping[str, Any], comments: Iterable[Mapping[str, Any]], people: Mapping[str, Person]
) -> dict[str, list[str]]:
    """Return entity type -> names, e-mail addresses and phone numbers of everyone involved, agents included."""
    distinct: dict[str, dict[str, None]] = {"PERSON": {}, "EMAIL_ADDRESS": {}, "PHONE_NUMBER": {}}
    for who in people.values():
        distinct["PERSON"] |= dict.fromkeys(who.names)
        distinct["EMAIL_ADDRESS"][who.email] = None
        distinct["PHONE_NUMBER"][who.phone] = None
    requester = requester_of(ticket)
    for event in (ticket, *comments):
        author = author_of(event) or scalar(event.get("submitter_id")) or requester
        # The other end holds the company's own name and address.
        address = lookup(event, f"via.source.{'from' if author == requester else 'to'}")
        if isinstance(address, dict):
            distinct["PERSON"][scalar(address.get("name"))] = None
            distinct["EMAIL_ADDRESS"][scalar(address.get("address"))] = None
            distinct["PHONE_NUMBER"][scalar(address.get("phone"))] = None
    return {kind: [text for text in values if text] for kind, values in distinct.items() if any(values)}
