"""Generate a conversation: a plot of a scenario between a customer and an agent over a channel.

Everything is keyed by (seed, number), so a conversation does not depend on those generated before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import letters
from disguise import Value
from grammar import Plot, Slot, Template
from letters import Piece
from personas import Persona
from scene import Repertoire, Scene

AGENTS = [
    "Dana Whitfield", "Tomasz Bielski", "Amara Obi", "Jonas Falk", "Priscilla Quon", "Ravi Menon", "Celine Marchetti",
    "Ben Harrow", "Yusuf Aydin", "Greta Holm", "Luis Paredes", "Nora Tveit", "Hugo Valente", "Mina Sato",
]  # fmt: skip
# Probability of each disguise in a customer's message (a third of it in an agent's); tags and entities only in HTML.
DISGUISES = {
    "entity": 0.16,
    "tags": 0.16,
    "spelled": 0.06,
    "upper": 0.015,
    "lower": 0.02,
    "fullwidth": 0.03,
    "zero_width": 0.03,
}
RATINGS = {"complaint": [1, 1, 2, 2, 3, 4], "delivery_delay": [1, 2, 2, 3, 4, 4, 5], "damaged_item": [2, 3, 3, 4, 5]}
# Minutes between two messages.
MINUTES = {"email": (25, 420), "chat": (0.3, 3), "phone_transcript": (0.1, 0.6)}


@dataclass(frozen=True)
class Turn:
    """A message as a list of pieces."""

    role: str
    pieces: list[Piece]
    at: datetime

    @property
    def text(self) -> str:
        """The text of the message in the log."""
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True)
class Conversation:
    """A conversation without a ticket number."""

    customer: Persona
    intent: str
    channel: str
    order_id: str | None
    rating: int | None
    turns: list[Turn]


def play(
    repertoire: Repertoire, seed: int, number: int, intent: str | None, customer: Persona, at: datetime
) -> Conversation:
    """Generate conversation `number` of the log; `intent` None selects a plot in another language."""
    rng = Random(f"{seed}/conversation/{number}")
    scenario = repertoire.intents[intent] if intent else repertoire.foreign[rng.randrange(len(repertoire.foreign))]
    plot = rng.choice(scenario.plots)
    intent = intent or plot.name.split()[0]
    channel = rng.choices(["email", "chat", "phone_transcript"], [42, 46, 0 if "(written)" in plot.name else 17])[0]
    scene = Scene(repertoire, scenario, plot, customer, channel, rng)
    scene.known["order"] = Value("ORDER_ID", f"NV-{200_000 + (number * 7919 + seed * 13) % 800_000}")
    scene.known["order2"] = Value("ORDER_ID", f"NV-{200_000 + (number * 7919 + 400_009 + seed * 13) % 800_000}")
    scene.known["agent"] = Value("PERSON", rng.choice(AGENTS))
    scene.known["agent_first"] = Value("PERSON", scene.value("agent").text.split()[0])
    bought, due = at - timedelta(days=rng.randint(4, 12)), at + timedelta(days=rng.randint(1, 6))
    scene.known["date"] = f"{bought:%B} {bought.day}" if rng.random() < 0.6 else f"{bought.day} {bought:%B}"
    scene.known["date2"] = f"{due:%A}, {due:%B} {due.day}"
    turns = Stage(scene, channel).perform(plot, at)
    named = any(piece.type == "ORDER_ID" for turn in turns for piece in turn.pieces)
    order = scene.value("order").text if named or rng.random() < 0.3 else None
    rating = rng.choice(RATINGS.get(intent, [2, 3, 4, 4, 5, 5, 5])) if rng.random() < 0.45 else None
    return Conversation(customer, intent, channel, order, rating, turns)


class Stage:
    """The style of a conversation's messages: channel, HTML, disguises and signatures."""

    def __init__(self, scene: Scene, channel: str) -> None:
        rng = scene.rng
        self.scene, self.channel = scene, channel
        self.html = channel == "email" and rng.random() < 0.5
        self.mojibake = channel == "email" and rng.random() < 0.05
        self.footer = channel == "email" and rng.random() < 0.4
        self.lower_case = scene.customer.lower_case and channel == "chat"
        self.signatures: dict[str, list[Piece]] = {}

    def perform(self, plot: Plot, at: datetime) -> list[Turn]:
        """Generate the turns of the plot's exchanges, often with a closing one; five exchanges at most."""
        rng = self.scene.rng
        exchanges = [exchange for exchange in plot.exchanges if not exchange.optional or rng.random() < 0.7]
        script = [turn for exchange in exchanges for turn in exchange.turns]
        script = [(role, template) for role, template in script if role != "note" or rng.random() < 0.35]
        if len(exchanges) < 2 or (len(exchanges) < 5 and rng.random() < 0.65):
            script += [("customer", (Slot("thanks"),)), ("agent", (Slot("farewell"),))]
        turns: list[Turn] = []
        spoken: set[str] = set()
        for place, (role, template) in enumerate(script):
            last = place >= len(script) - 2
            turns.append(Turn(role, self._message(role, template, role not in spoken, last), at))
            spoken.add(role)
            at += timedelta(seconds=int(60 * rng.uniform(*MINUTES[self.channel])) + 1)
        return turns

    def _message(self, role: str, template: Template, first: bool, last: bool) -> list[Piece]:
        self.scene.forms = self._forms(role)
        body = self.scene.play(template)
        if role == "note":
            return letters.tidy(body)
        if role == "customer" and first and self.scene.rng.random() < 0.4:
            body = [*body, Piece(" "), *self._said("aside")]
        pieces = letters.tidy(self._dressed(role, body, first))
        if role == "customer":
            pieces = self._as_typed(pieces, first, last)
        if self.html:
            pieces = letters.to_html(pieces, self.scene.rng)
        if self.mojibake and role == "customer":
            pieces = letters.to_mojibake(pieces)
        return pieces

    def _forms(self, role: str) -> list[str]:
        """Return the disguises of a message, for the values that they suit."""
        rng, forms = self.scene.rng, []
        if role == "customer" and self.lower_case:
            return ["lower"]
        for form, chance in DISGUISES.items():
            if (form in ("entity", "tags") and not self.html) or (form in ("lower", "upper") and role == "agent"):
                continue
            if form == "spelled" and self.channel == "phone_transcript":
                chance = 0.5
            if rng.random() < (chance if role == "customer" else chance / 3):
                forms.append(form)
        return forms

    def _dressed(self, role: str, body: list[Piece], first: bool) -> list[Piece]:
        """Add greeting, sign-off and signature to the body."""
        rng = self.scene.rng
        if self.channel != "email":
            greets = first and rng.random() < 0.75
            return [*self._said(f"{role}_hello"), Piece(" "), *body] if greets else body
        if rng.random() < (0.95 if first else 0.5):
            body = [*self._said(f"{role}_hello" if first else f"{role}_hello_again"), Piece("\n\n"), *body]
        if role == "agent":
            body = [*body, Piece("\n\n"), *self._signature("agent_signature")]
            return [*body, Piece(f"\n\n{letters.LEGAL_FOOTER}")] if self.footer and first else body
        if first or rng.random() < 0.5:
            body = [*body, Piece("\n\n"), *self._said("customer_sign_off")]
        style = self.scene.customer.signature
        if style == 1 or (style == 2 and first):
            body = [*body, Piece("\n\n"), *self._signature("customer_signature" if style == 1 else "device_signature")]
        return body

    def _said(self, rule: str) -> list[Piece]:
        return self.scene.play((Slot(rule),))

    def _signature(self, rule: str) -> list[Piece]:
        """Return a signature, which is the same in all mails of the conversation."""
        if rule not in self.signatures:
            self.signatures[rule] = self._said(rule)
        return self.signatures[rule]

    def _as_typed(self, pieces: list[Piece], first: bool, last: bool) -> list[Piece]:
        """Apply the customer's writing style: lower case, typos, emoji."""
        rng, customer = self.scene.rng, self.scene.customer
        if self.channel == "phone_transcript":
            return letters.add_fillers(pieces, rng) if rng.random() < 0.4 else pieces
        if self.lower_case:
            pieces = letters.lower_text(pieces)
        if rng.random() < (0.4 if customer.sloppy else 0.08):
            pieces = letters.add_typos(pieces, rng, rng.randint(1, 3))
        if self.channel == "chat" and rng.random() < (0.4 if customer.emoji else 0.04):
            pieces = letters.add_emoji(pieces, rng, "happy" if last else rng.choice(["upset", "upset", "happy"]))
        return pieces
