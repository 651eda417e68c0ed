"""Build Presidio's recognizers for unattended runs: without network access, models or log output."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from tasks.scrub import adapted
from tasks.scrub.patterns.file import load_recognizers, silence
from tasks.scrub.patterns.recognition import Engine

# Entity type -> class in presidio_analyzer.predefined_recognizers: all pattern recognizers for English.
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

# Presidio's own lists contain "us", "check", "save" and "number", which precede numbers of any kind in support logs.
CONTEXT = {
    "US_BANK_NUMBER": ["account", "accounts", "account#", "acct", "bank", "banking", "checking", "savings", "debit"],
    "US_PASSPORT": ["passport", "passports", "passport#"],
}


@dataclass(frozen=True)
class Rules:
    """The engines that detection runs on a text.

    Attributes:
        patterns: Presidio's recognizers, and the patterns of the pipeline file.
        denied: the deny lists of the pipeline file, whose values are personal regardless of `keep`.
    """

    patterns: Engine
    denied: Engine


@cache
def build(
    entities: tuple[str, ...],
    patterns: tuple[tuple[str, str], ...] = (),
    deny: tuple[tuple[str, str], ...] = (),
    file: str = "",
) -> Rules:
    """Build the engines for a set of rules, once per process, because loading Presidio takes seconds.

    Args:
        entities: names from `PREDEFINED`.
        patterns: (type, regular expression) of the pipeline file.
        deny: (type, value) of the pipeline file.
        file: path of a YAML file with recognizers in Presidio's format, or "".
    Raises:
        ConfigError: the file cannot be used.
    """
    silence()
    from presidio_analyzer import Pattern, PatternRecognizer
    from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer

    loaded = load_recognizers(file) if file else []
    patterned = [predefined(entity) for entity in entities]
    patterned += [PatternRecognizer(entity, patterns=[Pattern(entity, regex, 1.0)]) for entity, regex in patterns]
    patterned += [recognizer for recognizer in loaded if not recognizer.deny_list]
    values: dict[str, list[str]] = {}
    for entity, value in deny:
        values.setdefault(entity, []).append(value)
    denied = [
        PatternRecognizer(entity, deny_list=sorted(listed, key=len, reverse=True)) for entity, listed in values.items()
    ]
    denied += [recognizer for recognizer in loaded if recognizer.deny_list]
    enhancer = LemmaContextAwareEnhancer(context_matching_mode="whole_word")
    seconds = adapted.PATTERN_SECONDS
    return Rules(Engine(patterned, enhancer, seconds=seconds), Engine(denied, enhancer, seconds=seconds))


def predefined(entity: str) -> Any:
    """Return the recognizer of an entity type: our adaptation if there is one, else Presidio's own."""
    from presidio_analyzer import predefined_recognizers

    factory = {"EMAIL_ADDRESS": adapted.email, "IBAN_CODE": adapted.iban, "PHONE_NUMBER": adapted.phone}.get(entity)
    if factory is not None:
        return factory()
    recognizer = getattr(predefined_recognizers, PREDEFINED[entity])
    return recognizer(context=CONTEXT[entity]) if entity in CONTEXT else recognizer()
