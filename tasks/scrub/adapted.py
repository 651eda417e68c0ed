"""Presidio's recognizers where they ask the network, miss what people write, or pass over what takes too long.

Each has a method `scan(text) -> [(start, end, score)]`, by which the engine asks it, and says in `needs` what a text
must hold. Time is linear in the length of the text.
"""

import re
from typing import Any

from tasks.scrub.patterns import phones
from tasks.scrub.patterns.engine import Hit
from tasks.scrub.patterns.needs import MARKS, Needs

PHONE_DIGITS = 7  # fewer are a price, a year or a code rather than a subscriber
PHONE_CONTEXT = ["phone", "telephone", "tel", "cell", "cellphone", "mobile", "call", "text", "sms", "whatsapp", "fax"]
PATTERN_SECONDS = 20  # for one of the pipeline's own patterns on one piece of text
# Characters of an IBAN by the SWIFT registry, for countries whose format Presidio has too short.
IBAN_LENGTHS = {"MU": 30, "PS": 29, "PT": 25, "QA": 29}

_MAILBOX = r"!#$%&'*+\-/=?^_`{|}~\w"  # the characters of Presidio's pattern before the `@`; a full stop only inside
_RUN = re.compile(rf"[{_MAILBOX}.]++@?")
_MAILBOX_START = re.compile(rf"\b[{_MAILBOX}]")
_DOMAIN = re.compile(rf"[{_MAILBOX}]@\w[\w-]*+\.\w")
_LINK = re.compile(r"[^\s@]*(?:/|[?&][\w.-]*=)")
_IBAN_BEGIN = re.compile(r"(?<![^\W_])[A-Z]{2}[0-9]{2}(?=[ -]?[A-Z0-9])", re.IGNORECASE | re.ASCII)
_IBAN_BODY = re.compile(r"[A-Z0-9]{4}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE | re.ASCII)
_IBAN_GROUP = re.compile(r"[A-Z0-9]+(?![A-Z0-9])", re.IGNORECASE | re.ASCII)
_CODE_TAIL = re.compile(r"\w[-_/.]$")


def _needs(digits: int = 0, width: int = 0, **marks: int) -> Needs:
    """Needs by name: `at` of `@`."""
    return Needs((digits, marks.get("at", 0), *(0 for _ in MARKS[1:])), width=width)


def email() -> Any:
    """The recognizer of EMAIL_ADDRESS."""
    import regex  # type: ignore[import-untyped]
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    class Email(EmailRecognizer):
        """Presidio's pattern without its look at the public suffix list, which it fetches from the network."""

        needs = _needs(at=1, width=5)

        def scan(self, text: str) -> list[Hit]:
            """Addresses without the link that they stand in: `/?mail=` would be a legal part of them."""
            hits = []
            for start, end in self.places(text):
                if self.validate_result(text[start:end]) is not False:
                    link = _LINK.match(text, start, text.rindex("@", start, end))
                    hits.append((link.end() if link else start, end, self.patterns[0].score))
            return hits

        def places(self, text: str) -> list[tuple[int, int]]:
            """Where the pattern matches, tried only where it will: it is quadratic on what has no domain."""
            (pattern,) = self.patterns
            match_at = regex.compile(pattern.regex, flags=self.global_regex_flags).match
            found: list[tuple[int, int]] = []
            for run in _RUN.finditer(text):
                at = run.end() - 1
                if text[at] != "@" or not _DOMAIN.match(text, at - 1):
                    continue
                begin = _MAILBOX_START.search(text, max(run.start(), found[-1][1] if found else 0), at)
                match = match_at(text, begin.start()) if begin else None
                if match:
                    found.append(match.span())
            return found

        def validate_result(self, pattern_text: str) -> bool | None:
            """False for `name@1.2.3`, a version of a package; addresses inside a company's network count."""
            labels = pattern_text.rpartition("@")[2].split(".")
            numeric = len(labels) == 4 and all(label.isdigit() for label in labels)
            return None if numeric or labels[-1].isalpha() or labels[-1].lower().startswith("xn--") else False

    return Email()


def _listed(iban: str) -> bool:
    """Whether a number has the length of a country whose format Presidio has too short."""
    return IBAN_LENGTHS.get(iban[:2]) == sum(map(str.isalnum, iban))


def iban() -> Any:
    """The recognizer of IBAN_CODE."""
    from presidio_analyzer.predefined_recognizers import IbanRecognizer

    class Iban(IbanRecognizer):
        """Presidio's checksum and country formats, in lower case too, and whatever word follows."""

        needs = _needs(digits=2, width=15)

        def scan(self, text: str) -> list[Hit]:
            """The longest valid number at every place where one can begin."""
            hits: list[Hit] = []
            for begin in _IBAN_BEGIN.finditer(text):
                start = begin.start()
                if hits and start < hits[-1][1]:
                    continue
                body = _IBAN_BODY.match(text, start)
                for end in reversed(
                    [group.end() for group in _IBAN_GROUP.finditer(text, start, body.end())] if body else []
                ):
                    number = text[start:end].upper()
                    if self.may_be_valid(number) and (_listed(number) or self.validate_result(number)):
                        hits.append((start, end, 1.0))
                        break
            return hits

        def may_be_valid(self, number: str) -> bool:
            """ISO 7064's checksum alone, which Presidio's rule includes and takes ten times as long for."""
            plain = number.replace("-", "").replace(" ", "")
            return int((plain[4:] + plain[:4]).translate(self.LETTERS)) % 97 == 1

    return Iban(exact_match=True)


def phone() -> Any:
    """The recognizer of PHONE_NUMBER."""
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    class Phone(PhoneRecognizer):
        """Presidio's numbers and regions, fewer than seven digits left out, the tail of a code only after a word."""

        needs = _needs(digits=PHONE_DIGITS, width=PHONE_DIGITS)

        def load(self) -> None:
            """Once, from the constructor."""
            self.accepted, _ = phones.judge(self.supported_regions, self.leniency, PHONE_DIGITS)

        def scan(self, text: str) -> list[Hit]:
            """Every number that is valid in one of the regions, each once."""
            return [
                # ORD-2024-001234
                (start, end, self.SCORE / 2 if _CODE_TAIL.search(text, max(0, start - 2), start) else self.SCORE)
                for start, end in phones.find(text, self.leniency, self.accepted)
            ]

    return Phone(context=PHONE_CONTEXT)
