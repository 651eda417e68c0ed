"""Rule out digits that cannot be a phone number of a region, from python-phonenumbers' metadata, without parsing.

Each rule is a necessary condition of `is_valid_number` after `parse`.
"""

import re
from functools import cache
from typing import Any, NamedTuple

_DIGIT = re.compile(r"\d")
_PLAIN = re.compile(r"[0-9 ().\[\]/-]+")  # no extension can begin with any of these
_NOT_DIGIT = re.compile(r"[^0-9]+")
_TYPES = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan",
    "voicemail",
)  # fmt: skip


class _Plan(NamedTuple):
    """The numbering plan of a region.

    Attributes:
        abroad: matches the international prefix.
        national: matches a national number of any region with the same country code.
        before: matches what may precede it: the country code, national prefixes; None: anything.
    """

    abroad: re.Pattern[str]
    national: re.Pattern[str]
    before: re.Pattern[str] | None


def may_be_valid(candidate: str, region: str) -> bool:
    """Check whether a candidate without a `+` may be a valid number when dialled in a region.

    `parse` only strips the country code and the national prefix; the rest must match one of the number types of the
    region, or of another region with the same country code.
    """
    if not _PLAIN.fullmatch(candidate):
        return True
    digits = _NOT_DIGIT.sub("", candidate)
    plan = _plan(region)
    if plan.abroad.match(digits):
        return True
    return any(
        plan.national.fullmatch(digits, start)
        for start in range(len(digits))
        if start == 0 or plan.before is None or plan.before.fullmatch(digits, 0, start)
    )


@cache
def _plan(region: str) -> _Plan:
    from phonenumbers import PhoneMetadata
    from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE

    metadata_of_region: Any = PhoneMetadata.metadata_for_region(region)
    code = metadata_of_region.country_code
    main: Any = PhoneMetadata.metadata_for_region(COUNTRY_CODE_TO_REGION_CODE[code][0])
    patterns = {
        desc.national_number_pattern
        for metadata in _all(code)
        for desc in (getattr(metadata, name) for name in _TYPES)
        if desc is not None and desc.national_number_pattern
    }
    prefixes = {metadata.national_prefix_for_parsing for metadata in (metadata_of_region, main)} - {None}
    before = None
    if not metadata_of_region.national_prefix_transform_rule and not main.national_prefix_transform_rule:
        prefix = "|".join(f"(?:{prefix})" for prefix in sorted(prefixes)) or "(?!)"
        before = re.compile(rf"(?:{code})?(?:{prefix}){{0,2}}")
    national = "|".join(f"(?:{pattern})" for pattern in sorted(patterns))
    return _Plan(re.compile(metadata_of_region.international_prefix), re.compile(national), before)


def _all(code: int) -> list[Any]:
    """Return the metadata of every region with a country code."""
    from phonenumbers import PhoneMetadata
    from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE

    return [
        PhoneMetadata.metadata_for_nongeo_region(code) if region == "001" else PhoneMetadata.metadata_for_region(region)
        for region in COUNTRY_CODE_TO_REGION_CODE[code]
    ]


@cache
def least_digits(region: str) -> int:
    """Return the minimum digits of a valid number in a region that does not begin with `+`."""
    from phonenumbers import PhoneMetadata

    metadata: Any = PhoneMetadata.metadata_for_region(region)
    prefix = 2  # minimum digits of an international prefix: 00, 011
    return min(_shortest_national(metadata.country_code), prefix + shortest_international())


@cache
def shortest_international() -> int:
    """Return the minimum digits of a valid number of any region, country code included."""
    from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE

    return min(len(str(code)) + _shortest_national(code) for code in COUNTRY_CODE_TO_REGION_CODE)


@cache
def _shortest_national(code: int) -> int:
    """Return the minimum digits of a national number of a country code, without those that a rule may prepend."""
    return min(
        min(metadata.general_desc.possible_length)
        - len(_DIGIT.findall(re.sub(r"\\\d", "", metadata.national_prefix_transform_rule or "")))
        for metadata in _all(code)
    )
