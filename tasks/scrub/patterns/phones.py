"""Find the phone numbers that python-phonenumbers finds in several regions, but check each candidate once.

The candidates in a text do not depend on the region as long as none of them is valid. One pass over the text collects
them; another pass follows only for regions in which one of them is valid.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from tasks.scrub.patterns.numbering import least_digits, may_be_valid, shortest_international

Judge = Callable[[str], frozenset[str]]
Spans = list[tuple[int, int]]

CANDIDATES = 4096  # cached verdicts: the same number often occurs in the next text as well

_DIGIT = re.compile(r"\d")
_PLUS = re.compile("[+\uff0b]")


def judge(regions: Sequence[str], leniency: int, least: int = 0) -> tuple[Judge, int]:
    """Return a function from a candidate to the regions in which it is valid, and the minimum digits of a number.

    Args:
        regions: such as `US`; each is assumed in turn for numbers without a country code.
        leniency: of `phonenumbers.Leniency`, POSSIBLE or VALID.
        least: additional minimum of digits.
    """
    from phonenumbers import NumberParseException, parse
    from phonenumbers.phonenumbermatcher import _verify

    bounds = {region: max(least, least_digits(region) if leniency else 2) for region in regions}

    unused: Any = None  # the matcher, which only stricter leniencies use

    def valid(candidate: str, region: str | None) -> bool | None:
        try:
            number = parse(candidate, region, keep_raw_input=True)
        except NumberParseException:
            return None
        return bool(_verify(leniency, number, candidate, unused))

    @lru_cache(CANDIDATES)
    def accepted(candidate: str) -> frozenset[str]:
        digits = len(_DIGIT.findall(candidate))
        if digits < least:
            return frozenset()
        if _PLUS.search(candidate):
            # It contains its country code, so the result is the same for every region.
            anywhere = valid(candidate, None)
            if anywhere is not None:
                return frozenset(regions if anywhere else ())
            return frozenset(region for region in regions if valid(candidate, region))
        asked = [region for region in regions if digits >= bounds[region]]
        if leniency:
            asked = [region for region in asked if may_be_valid(candidate, region)]
        return frozenset(region for region in asked if valid(candidate, region))

    shortest = shortest_international() if leniency else 2
    return accepted, max(least, min([*bounds.values(), shortest]))


def find(text: str, leniency: int, accepted: Judge) -> Spans:
    """Return the sorted spans of the numbers in a text, for all regions, without duplicates."""
    matcher = _matcher()
    seen: dict[tuple[int, str], tuple[frozenset[str], int]] = {}
    matcher(text, leniency, accepted, None, seen).places()
    spans: set[tuple[int, int]] = set()
    for region in frozenset().union(*(regions for regions, _ in seen.values())):
        spans.update(matcher(text, leniency, accepted, region, seen).places())
    return sorted(spans)


@cache
def _matcher() -> Any:
    from phonenumbers import PhoneNumber, PhoneNumberMatch, PhoneNumberMatcher
    from phonenumbers.phonenumbermatcher import _LEAD_PATTERN, _MATCHING_BRACKETS, _PUB_PAGES, Leniency

    class Matcher(PhoneNumberMatcher):
        """phonenumbers' matcher with cached verdicts instead of parsing; its rules for the surroundings still apply.

        Args:
            accepted: function from a candidate to its regions.
            region: the region to match; None: match nothing, but record in `seen` the regions of all candidates in
                each stretch of text, and the tries that failing there takes.
            seen: (offset, stretch) -> regions and tries; stretches without the region are skipped.
        """

        def __init__(self, text: str, leniency: int, accepted: Judge, region: str | None, seen: dict[Any, Any]) -> None:
            super().__init__(text, region, leniency=leniency)
            self._accepted, self._region, self._seen = accepted, region, seen
            self._met: set[str] = set()

        def places(self) -> Spans:
            return [(match.start, match.end) for match in self]

        def _extract_match(self, candidate: str, offset: int) -> Any:
            before = self._max_tries
            if self._region is None:
                self._met = set()
                super()._extract_match(candidate, offset)
                self._seen[offset, candidate] = frozenset(self._met), before - self._max_tries
                return None
            regions, tries = self._seen.get((offset, candidate), (None, 0))
            if regions is None or self._region in regions:
                return super()._extract_match(candidate, offset)
            self._max_tries -= tries
            return None

        def _parse_and_verify(self, candidate: str, offset: int) -> Any:
            regions = self._accepted(candidate)
            if not regions or (self._region is not None and self._region not in regions):
                return None
            if not _MATCHING_BRACKETS.fullmatch(candidate) or _PUB_PAGES.search(candidate):
                return None
            if self.leniency >= Leniency.VALID:
                end = offset + len(candidate)
                if offset > 0 and not _LEAD_PATTERN.match(candidate) and self._bars(self.text[offset - 1]):
                    return None
                if end < len(self.text) and self._bars(self.text[end]):
                    return None
            self._met |= regions
            return None if self._region is None else PhoneNumberMatch(offset, candidate, PhoneNumber())

        def _bars(self, character: str) -> bool:
            return bool(self._is_invalid_punctuation_symbol(character) or self._is_latin_letter(character))

    return Matcher
