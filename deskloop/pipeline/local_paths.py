"""Paths of this machine, distinguished from URLs, which would otherwise become folders named `s3:`."""

import re

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")


def check_local(place: str) -> str:
    """Return a local path unchanged.

    Raises:
        ValueError: it is a URL, or written like one (`s3:/bucket`, `file:...`, `C:\\...`), or needs a shell (`~`).
    """
    if scheme := _SCHEME.match(place):
        raise ValueError(
            f"expected a local path, found one that begins with a URL's scheme or a drive ({scheme[1].lower()}:); "
            "other locations are not supported. Write ./ before a name that has a colon"
        )
    if place.lstrip().startswith("~"):
        raise ValueError("expected an absolute path or one relative to this file, as `~` is not expanded")
    if "\0" in place:
        raise ValueError("expected a path, found a NUL character")
    return place
