"""Check the wording of documentation, messages and code: phrases, names and docstrings that the style rules out."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROSE = (".md", ".html", ".css", ".yaml", ".yml", ".sh", ".toml")
DATA = ("tasks/scrub/tagger/frames/", "examples/support/scenarios/", "tests/test_prose.py", "LICENSE")
SAMPLES = ("examples/", "tests/", "benchmarks/")  # string literals there are sample texts; only docstrings count

# What to avoid -> what to write instead.
PHRASES = {
    r"\bwhole way\b": "end to end, the entire pipeline",
    r"\bis a reject\b|\bas a reject\b|\ba reject,": "is rejected",
    r"\bone (format|suite|file|process|class) a \w+": "one ... per ...",
    r"\b(can|cannot|can't|could|to) (not )?be had\b": "is (not) available, is (not) installed",
    r"\bif it may\b": "if it has permission",
    r"\basks? nothing\b": "passwordless",
    r"\bslips\b": "typos",
    r"\bidle repl(y|ies)\b": "uninformative replies",
    r"\blearns? nothing\b|\bwhat it learned\b|\blearnt?ed anew\b": "has nothing to fit, the artifact",
    r"\bof the arithmetic\b": "compute dtype",
    r"\bputs? something else\b": "replace",
    r"(?<!already\s)\bin use\b": "the champion, current, active",
    r"\btaken? out of use\b": "rolled back",
    r"\btaken? out\b|\btakes out\b": "rejected, removed",
    r"\bheld (back|against|together)\b|\b(is|are|was|were|be|been) held\b(?!\sout)": "blocked, compared, stored",
    r"\banew\b|\bafresh\b": "again, recomputed, refitted",
    r"\bproven on\b|\bparts it\b": "verified, split",
    r"\blooks? (it|them) over\b": "review",
    r"\bMind\b": "Caveats, note that",
    r"\band nothing else\b|\bby nothing else\b": "only",
    r"\b(is|are|was|were) told\b|\btold of\b|\btold before\b": "is notified, receives, reports",
    r"\b(comes?|came) to the same\b|\bwhat there is\b|\bgoes on\b|\bwent on\b": "results in, available, continues",
    r"\bstands? (in|on|beside|above|with) (the|a|it|its)\b": "is in",
    r"\b(who|what)ever (has|is|can|runs|wants|asks|reads)\b": "a plain statement",
}
PATTERN = {
    re.compile(phrase.replace(" ", r"\s+"), 0 if "M" in phrase else re.IGNORECASE): better
    for phrase, better in PHRASES.items()
}
NAMES = frozenset({"one", "found", "kept", "told", "some", "own", "held", "what", "given"})


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if not name.startswith(DATA)]


if not (ROOT / ".git").exists():
    pytest.skip("needs a git checkout", allow_module_level=True)
FILES = tracked()
CODE = [name for name in FILES if name.endswith(".py") and not name.startswith("tests/")]


def prose(name: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of a file's prose; of Python, its comments, docstrings and messages of several words."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if not name.endswith(".py"):
        yield 1, text
        return
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        node.body[0].lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_string = tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE")
        counts = token.start[0] in docstrings or (not name.startswith(SAMPLES) and len(token.string.split()) > 2)
        if token.type == tokenize.COMMENT or (is_string and counts):
            yield token.start[0], token.string


def local_names(name: str) -> Iterator[tuple[int, str]]:
    """(line number, name) of every variable and parameter with a name that says nothing about its content."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = [field.target for node in classes for field in node.body if isinstance(field, ast.AnnAssign)]
    for node in ast.walk(tree):
        if node in fields:  # the name is an interface, such as an expectation's argument
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg) and node.arg in NAMES:
            yield node.lineno, node.arg


def noun_docstrings(name: str) -> Iterator[tuple[int, str]]:
    """(line number, docstring) of functions, properties aside, whose docstring starts with "What" or "Whether"."""
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
            summary = (ast.get_docstring(node) or "").splitlines()[:1]
            if not is_property and summary and summary[0].startswith(("What ", "Whether ")):
                yield node.lineno, summary[0]


def test_no_phrase_to_avoid() -> None:
    hits = [
        f"{name}:{line + text.count(chr(10), 0, match.start())}: {match[0]!r}; write: {better}"
        for name in FILES
        if name.endswith((".py", *PROSE)) or name in ("Makefile", "NOTICE", ".ci/run")
        for line, text in prose(name)
        for pattern, better in PATTERN.items()
        for match in pattern.finditer(text)
    ]
    assert not hits, "\n" + "\n".join(hits)


def test_names_say_what_they_hold() -> None:
    hits = [f"{name}:{line}: {word}" for name in CODE for line, word in local_names(name)]
    assert not hits, "\n" + "\n".join(hits)


def test_docstrings_of_functions_say_what_they_do() -> None:
    hits = [f"{name}:{line}: {text}" for name in CODE for line, text in noun_docstrings(name)]
    assert not hits, "\n" + "\n".join(hits)


def test_the_patterns_find_their_phrases() -> None:
    sentence = "Mind: what cannot be had is a reject, held back and made anew; the model in use was taken out of use."
    found_by = {match[0] for pattern in PATTERN for match in pattern.finditer(sentence)}
    assert {"Mind", "cannot be had", "is a reject", "held back", "anew", "in use", "taken out of use"} <= found_by
    assert not [pattern for pattern in PATTERN if pattern.search("address already in use; remind me; shareholders")]
