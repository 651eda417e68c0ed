"""Presidio's recognizers, made for a log that nobody supervises: no network, no model, and not a word in any log.

Built once per process and set of rules, and run only on texts that hold what a recognizer needs.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tasks.scrub.adapted import DIGIT, custom, email, iban, many_digits, phone

# Entity type -> class in presidio_analyzer.predefined_recognizers: everything for English that works on patterns.
PREDEFINED = {
    "ABA_ROUTING_NUMBER": "AbaRoutingRecognizer",
    "AU_ABN": "AuAbnRecognizer",
    "AU_ACN": "AuAcnRecognizer",
    "AU_MEDICARE": "AuMedicareRecognizer",
    "AU_TFN": "AuTfnRecognizer",
    "CA_POSTAL_CODE": "CaPostalCodeRecognizer",
    "CA_SIN": "CaSinRecognizer",
    "CREDIT_CARD": "CreditCardRecognizer",
    "CRYPTO": "CryptoRecognizer",
    "DATE_TIME": "DateRecognizer",
    "EMAIL_ADDRESS": "EmailRecognizer",
    "IBAN_CODE": "IbanRecognizer",
    "IN_AADHAAR": "InAadhaarRecognizer",
    "IN_GSTIN": "InGstinRecognizer",
    "IN_PAN": "InPanRecognizer",
    "IN_PASSPORT": "InPassportRecognizer",
    "IN_VOTER": "InVoterRecognizer",
    "IP_ADDRESS": "IpRecognizer",
    "MAC_ADDRESS": "MacAddressRecognizer",
    "MEDICAL_LICENSE": "MedicalLicenseRecognizer",
    "PHONE_NUMBER": "PhoneRecognizer",
    "SG_NRIC_FIN": "SgFinRecognizer",
    "UK_DRIVING_LICENCE": "UkDrivingLicenceRecognizer",
    "UK_NHS": "NhsRecognizer",
    "UK_NINO": "UkNinoRecognizer",
    "UK_PASSPORT": "UkPassportRecognizer",
    "UK_POSTCODE": "UkPostcodeRecognizer",
    "UK_VEHICLE_REGISTRATION": "UkVehicleRegistrationRecognizer",
    "URL": "UrlRecognizer",
    "US_BANK_NUMBER": "UsBankRecognizer",
    "US_DRIVER_LICENSE": "UsLicenseRecognizer",
    "US_HEALTH_INSURANCE_MEMBER_ID": "UsHealthInsuranceMemberIdRecognizer",
    "US_ITIN": "UsItinRecognizer",
    "US_MBI": "UsMbiRecognizer",
    "US_NPI": "UsNpiRecognizer",
    "US_PASSPORT": "UsPassportRecognizer",
    "US_SSN": "UsSsnRecognizer",
    "UUID": "UuidRecognizer",
    "ZA_ID_NUMBER": "ZaIdNumberRecognizer",
}

# Presidio's own lists hold "us", "check", "save" and "number", which stand before any number in a support log.
CONTEXT = {
    "US_BANK_NUMBER": ["account", "accounts", "account#", "acct", "bank", "banking", "checking", "savings", "debit"],
    "US_PASSPORT": ["passport", "passports", "passport#"],
}


Test = Callable[[str], object]

_HEXADECIMAL = re.compile(r"\d|::|:[A-Fa-f]{1,4}:|[A-Fa-f]{1,4}([:.-])[A-Fa-f]{1,4}\1")


# What a text must contain for a recognizer to find anything at all; a type that is not named here always runs.
_NEEDS: dict[str, Test] = {
    "CREDIT_CARD": DIGIT.search,
    "CRYPTO": DIGIT.search,
    "EMAIL_ADDRESS": re.compile("@").search,
    "IBAN_CODE": DIGIT.search,
    "IP_ADDRESS": _HEXADECIMAL.search,
    "MAC_ADDRESS": _HEXADECIMAL.search,
    "MEDICAL_LICENSE": DIGIT.search,
    "PHONE_NUMBER": many_digits,
    "UK_NHS": DIGIT.search,
    "UK_NINO": DIGIT.search,
    "US_BANK_NUMBER": DIGIT.search,
    "US_DRIVER_LICENSE": DIGIT.search,
    "US_ITIN": DIGIT.search,
    "US_PASSPORT": DIGIT.search,
    "US_SSN": DIGIT.search,
}


@dataclass(frozen=True)
class Recognizers:
    """What detection runs on a text.

    Attributes:
        each: [(recognizer, test)]; the recognizer finds nothing where the test is false.
        artifacts: text -> its tokens, as Presidio wants them to look for context words.
        enhance: raises the score of results that stand after a context word.
    """

    each: Sequence[tuple[Any, Test | None]]
    artifacts: Callable[[str], Any]
    enhance: Callable[..., list[Any]]


@cache
def build(entities: tuple[str, ...], patterns: tuple[tuple[str, str], ...], deny: tuple[tuple[str, str], ...]) -> Any:
    """The recognizers of one set of rules, once per process: loading Presidio takes seconds.

    Args:
        entities: names out of `PREDEFINED`.
        patterns: (type, regular expression) of the pipeline file.
        deny: (type, value) of the pipeline file.
    Returns:
        `Recognizers`.
    """
    _silence()
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer

    each: list[tuple[Any, Test | None]] = []
    for entity in entities:
        each.append((_predefined(entity), _NEEDS.get(entity)))
    each += [(custom(entity, expression), None) for entity, expression in patterns]
    denied: dict[str, list[str]] = {}
    for entity, value in deny:
        denied.setdefault(entity, []).append(value)
    for entity, values in denied.items():
        longest = sorted(values, key=len, reverse=True)
        each.append((PatternRecognizer(supported_entity=entity, deny_list=longest), None))
    enhancer = LemmaContextAwareEnhancer(context_matching_mode="whole_word")
    return Recognizers(each, _tokenizer(), enhancer.enhance_using_context)


def _silence() -> None:
    """Presidio logs the text of what it cannot check: its logger gets no record out of this process."""
    logger = logging.getLogger("presidio-analyzer")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


def _tokenizer() -> Callable[[str], Any]:
    import spacy
    from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine

    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    blank = spacy.blank("en")
    engine.nlp = {"en": blank}  # in place of `load`, which would download a model

    def artifacts(text: str) -> Any:
        document = blank(text)
        words = [token.text for token in document]
        # A blank pipeline leaves the lemmas empty, and Presidio would find no context word in them: words stand in.
        return NlpArtifacts([], words, [token.idx for token in document], words, engine, "en")

    return artifacts


def _predefined(entity: str) -> Any:
    from presidio_analyzer import predefined_recognizers

    made = {"EMAIL_ADDRESS": email, "IBAN_CODE": iban, "PHONE_NUMBER": phone}.get(entity)
    if made is not None:
        return made()
    recognizer = getattr(predefined_recognizers, PREDEFINED[entity])
    return recognizer(context=CONTEXT[entity]) if entity in CONTEXT else recognizer()
