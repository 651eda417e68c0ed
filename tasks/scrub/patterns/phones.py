"""Phone numbers as python-phonenumbers finds them in several regions, each candidate judged once.

The candidates in a text do not depend on the region as long as none of them is a number, so one walk over the text
collects them; another follows only for the regions in which one of them is valid.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from tasks.scrub.patterns.numbering import least_digits, may_be_valid, shortest_international

Judge = Callable[[str], frozenset[str]]
Found = list[tuple[int, int]]

CANDIDATES = 4096  # verdicts that are remembered: the same number often stands in the next text, too

_DIGIT = re.compile(r"\d")
_PLUS = re.compile("[+\uff0b]")


def judge(regions: Sequence[str], leniency: int, least: int = 0) -> tuple[Judge, int]:
    """What tells the regions in which a candidate is a number, and the digits below which nothing is one.

    Args:
        regions: such as `US`; the region that is assumed for a number without a country code.
        leniency: of `phonenumbers.Leniency`, POSSIBLE or VALID.
        least: digits below which a candidate is passed over, at will.
    """
    from phonenumbers import NumberParseException, parse
    from phonenumbers.phonenumbermatcher import _verify

    bounds = {region: max(least, least_digits(region) if leniency else 2) for region in regions}

    unused: Any = None  # the matcher, which only stricter leniencies ask

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
            # Parsed without a region: the country code stands in it, so that every region gives the same.
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


def find(text: str, leniency: int, accepted: Judge) -> Found:
    """The places of the numbers in a text, over all regions, each once, ordered."""
    matcher = _matcher()
    seen: dict[tuple[int, str], tuple[frozenset[str], int]] = {}
    matcher(text, leniency, accepted, None, seen).places()
    found: set[tuple[int, int]] = set()
    for region in frozenset().union(*(regions for regions, _ in seen.values())):
        found.update(matcher(text, leniency, accepted, region, seen).places())
    return sorted(found)


@cache
def _matcher() -> Any:
    from phonenumbers import PhoneNumber, PhoneNumberMatch, PhoneNumberMatcher
    from phonenumbers.phonenumbermatcher import _LEAD_PATTERN, _MATCHING_BRACKETS, _PUB_PAGES, Leniency

    class Matcher(PhoneNumberMatcher):
        """phonenumbers' matcher, with a verdict in place of parsing; what may stand around a number is as there.

        Args:
            accepted: candidate -> regions.
            region: None: finds nothing, notes in `seen` what it meets: the regions of all that a stretch of text may
                be read as, and the tries that it takes to fail there.
            seen: (offset, stretch) -> regions and tries; a stretch without the region is passed over.
        """

        def __init__(self, text: str, leniency: int, accepted: Judge, region: str | None, seen: dict[Any, Any]) -> None:
            super().__init__(text, region, leniency=leniency)
            self._accepted, self._region, self._seen = accepted, region, seen
            self._met: set[str] = set()

        def places(self) -> Found:
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
