"""Presidio's recognizers, adapted where the originals use the network, miss common spellings, or are too slow.

Each has a method `scan(text) -> [(start, end, score)]`, which the engine calls, and an attribute `needs` with the
characters that a text must contain. Time is linear in the length of the text.
"""

import re
from typing import Any

from tasks.scrub.patterns import phones
from tasks.scrub.patterns.needs import MARKS, Needs
from tasks.scrub.patterns.recognition import Hit

PHONE_DIGITS = 7  # minimum; fewer digits are rather a price, a year or a code
PHONE_CONTEXT = ["phone", "telephone", "tel", "cell", "cellphone", "mobile", "call", "text", "sms", "whatsapp", "fax"]
PATTERN_SECONDS = 20  # time limit of a pattern of the pipeline file on one piece of text
# Characters of an IBAN by the SWIFT registry, for countries whose format is too short in Presidio.
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
    """Build `Needs` by name: `at` is the number of `@`."""
    return Needs((digits, marks.get("at", 0), *(0 for _ in MARKS[1:])), width=width)


def email() -> Any:
    """Return the recognizer of EMAIL_ADDRESS."""
    import regex  # type: ignore[import-untyped]
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    class Email(EmailRecognizer):
        """Presidio's pattern without the public suffix list, which Presidio fetches from the network."""

        needs = _needs(at=1, width=5)

        def scan(self, text: str) -> list[Hit]:
            """Return addresses without the link around them: `/?mail=` would be a valid part of an address."""
            hits = []
            for start, end in self.places(text):
                if self.validate_result(text[start:end]) is not False:
                    link = _LINK.match(text, start, text.rindex("@", start, end))
                    hits.append((link.end() if link else start, end, self.patterns[0].score))
            return hits

        def places(self, text: str) -> list[tuple[int, int]]:
            """Return the pattern's matches; it runs only before a domain, since it is quadratic elsewhere."""
            (pattern,) = self.patterns
            match_at = regex.compile(pattern.regex, flags=self.global_regex_flags).match
            spans: list[tuple[int, int]] = []
            for run in _RUN.finditer(text):
                at = run.end() - 1
                if text[at] != "@" or not _DOMAIN.match(text, at - 1):
                    continue
                begin = _MAILBOX_START.search(text, max(run.start(), spans[-1][1] if spans else 0), at)
                match = match_at(text, begin.start()) if begin else None
                if match:
                    spans.append(match.span())
            return spans

        def validate_result(self, pattern_text: str) -> bool | None:
            """Reject `name@1.2.3`, a package version; addresses in a company's internal network are accepted."""
            labels = pattern_text.rpartition("@")[2].split(".")
            numeric = len(labels) == 4 and all(label.isdigit() for label in labels)
            return None if numeric or labels[-1].isalpha() or labels[-1].lower().startswith("xn--") else False

    return Email()


def _listed(iban: str) -> bool:
    """Check the length of an IBAN of a country whose format is too short in Presidio."""
    return IBAN_LENGTHS.get(iban[:2]) == sum(map(str.isalnum, iban))


def iban() -> Any:
    """Return the recognizer of IBAN_CODE."""
    from presidio_analyzer.predefined_recognizers import IbanRecognizer

    class Iban(IbanRecognizer):
        """Presidio's checksum and country formats, also in lower case and directly before any word."""

        needs = _needs(digits=2, width=15)

        def scan(self, text: str) -> list[Hit]:
            """Return the longest valid number at each place where one can begin."""
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
            """Check the ISO 7064 checksum, which is part of Presidio's rule but takes a tenth of its time."""
            plain = number.replace("-", "").replace(" ", "")
            return int((plain[4:] + plain[:4]).translate(self.LETTERS)) % 97 == 1

    return Iban(exact_match=True)


def phone() -> Any:
    """Return the recognizer of PHONE_NUMBER."""
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    class Phone(PhoneRecognizer):
        """Presidio's numbers and regions, from seven digits on; the tail of a code only counts with a context word."""

        needs = _needs(digits=PHONE_DIGITS, width=PHONE_DIGITS)

        def load(self) -> None:
            """Prepare the check of candidates; the constructor calls it."""
            self.accepted, _ = phones.judge(self.supported_regions, self.leniency, PHONE_DIGITS)

        def scan(self, text: str) -> list[Hit]:
            """Return every number that is valid in any of the regions, once."""
            return [
                # ORD-2024-001234
                (start, end, self.SCORE / 2 if _CODE_TAIL.search(text, max(0, start - 2), start) else self.SCORE)
                for start, end in phones.find(text, self.leniency, self.accepted)
            ]

    return Phone(context=PHONE_CONTEXT)
