"""Who has to do with a ticket: users by their id, and what of theirs must never be seen again."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.ingest.identity import scalar
from tasks.ingest.record import Person, lookup

STRANGER = Person(None, (), "", "")


def people_of(users: Any) -> dict[str, Person]:
    """Users by their id; what is no user is left out."""
    return {
        scalar(user["id"]): person(user)
        for user in (users if isinstance(users, list) else [])
        if isinstance(user, dict) and scalar(user.get("id"))
    }


def person(user: Mapping[str, Any]) -> Person:
    """A user as far as it matters here: role, names, e-mail, phone."""
    names = tuple(dict.fromkeys(filter(None, (scalar(user.get(name)) for name in ("name", "alias")))))
    return Person(scalar(user.get("role")) or None, names, scalar(user.get("email")), scalar(user.get("phone")))


def requester_of(ticket: Mapping[str, Any]) -> str:
    """The id of who asks, empty where the ticket does not tell."""
    return scalar(ticket.get("requester_id")) or scalar(lookup(ticket, "requester.id"))


def author_of(comment: Mapping[str, Any]) -> str:
    """The id of who wrote a comment, empty where it does not tell."""
    return scalar(comment.get("author_id")) or scalar(lookup(comment, "author.id"))


def copied(ticket: Mapping[str, Any]) -> set[str]:
    """The ids of people in copy, who may be customers or agents."""
    lists = [ticket.get(name) for name in ("collaborator_ids", "email_cc_ids")]
    return {scalar(one) for ids in lists if isinstance(ids, list) for one in ids}


def involved(
    ticket: Mapping[str, Any], comments: Iterable[Mapping[str, Any]], tables: Iterable[Mapping[str, Person]]
) -> dict[str, Person]:
    """Everybody who has to do with a ticket, by id, as far as the ticket or a table of users describes them.

    Args:
        tables: where ids are looked up; what is missing in one is taken from the next.
    """
    embedded = [ticket.get(name) for name in ("requester", "submitter", "assignee")]
    for name in ("collaborators", "collaborator"):
        embedded += ticket[name] if isinstance(ticket.get(name), list) else []
    embedded += [comment.get("author") for comment in comments]
    inside = [people_of([user]) for user in embedded]
    ids = [requester_of(ticket), *(scalar(ticket.get(name)) for name in ("submitter_id", "assignee_id"))]
    ids += [*sorted(copied(ticket)), *map(author_of, comments), *(name for users in inside for name in users)]
    found: dict[str, Person] = {}
    for name in dict.fromkeys(filter(None, ids)):
        parts = [users[name] for users in (*inside, *tables) if name in users]
        if parts:
            found[name] = Person(
                next((part.role for part in parts if part.role), None),
                tuple(dict.fromkeys(one for part in parts for one in part.names)),
                next((part.email for part in parts if part.email), ""),
                next((part.phone for part in parts if part.phone), ""),
            )
    return found


def personal(
    ticket: Mapping[str, Any], comments: Iterable[Mapping[str, Any]], people: Mapping[str, Person]
) -> dict[str, list[str]]:
    """Entity type -> names, e-mails and phones of everybody involved, agents included."""
    found: dict[str, dict[str, None]] = {"PERSON": {}, "EMAIL_ADDRESS": {}, "PHONE_NUMBER": {}}
    for who in people.values():
        found["PERSON"] |= dict.fromkeys(who.names)
        found["EMAIL_ADDRESS"][who.email] = None
        found["PHONE_NUMBER"][who.phone] = None
    requester = requester_of(ticket)
    for event in (ticket, *comments):
        author = author_of(event) or scalar(event.get("submitter_id")) or requester
        # The company's own name and address are on the other end.
        address = lookup(event, f"via.source.{'from' if author == requester else 'to'}")
        if isinstance(address, dict):
            found["PERSON"][scalar(address.get("name"))] = None
            found["EMAIL_ADDRESS"][scalar(address.get("address"))] = None
            found["PHONE_NUMBER"][scalar(address.get("phone"))] = None
    return {kind: [text for text in values if text] for kind, values in found.items() if any(values)}
