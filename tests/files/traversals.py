"""Paths that try to leave a folder, each the raw path of a request that would lead to the file SECRET if it worked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

SECRET = "secret.txt"  # one folder above the root

# One step up, as it is, encoded once and twice, over-long, in other widths and alphabets, with what parsers drop.
UP = (
    "..", "%2e%2e", ".%2e", "%2e.", "%2E%2E", "%252e%252e", "%25252e%25252e", "..%00", "%00..", "..;", "..;x=y",
    "..%20", "%20..", "...", "....", "..%09", "%c0%ae%c0%ae", "%c0%2e%c0%2e", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae",
    "%uff0e%uff0e", "%u002e%u002e", "．．", "%ef%bc%8e%ef%bc%8e", "‥", "%e2%80%a5", "․․", "..%e2%80%8b", "..%c2%a0",
    "%80%2e%80%2e", "..%ff", "..::$DATA", "..:", "%2e%2e%3b", "..%0d%0a", "..#", "x%2f..%2f..", "./..", "..%2e",
)  # fmt: skip
BETWEEN = (
    "/", "%2f", "%2F", "%5c", "%5C", "\\", "//", "/./", "/%2e/", "%252f", "%255c", "%c0%af", "%c1%9c", "%e0%80%af",
    "%u2215", "∕", "%u2216", "／", "%ef%bc%8f", "%e2%88%95", "＼", "/%00/", "%2f%2f", "%5c/", "/;/", "/%20/", "\\/",
)  # fmt: skip
BEFORE = ("/", "/sub/", "//", "/sub/x/", "/sub%2f", "/./", "/index.html/")
AFTER = ("", "%00", "%00.html", "%20", ".", "%2e", "/", "::$DATA", ":x", ";.js", "?", "%23", "/.", "%2f", "~1", "%0a")

# Absolute paths, drives, network shares, devices and other roots, each with what leads on.
ELSEWHERE = (
    "/{above}/secret.txt", "//{above}/secret.txt", "/%2f{above}/secret.txt", "/file:/{above}/secret.txt",
    "/file:///{above}/secret.txt", "/%5c%5c{above}%5csecret.txt", "/sub/{above}/secret.txt", "/C:{above}/secret.txt",
    "/c:%5c{above}%5csecret.txt", "/c|{above}/secret.txt", "//?/{above}/secret.txt", "/%3f/{above}/secret.txt",
    "/%5c%5c.%5c{above}%5csecret.txt", "/%5c%5c%3f%5c{above}%5csecret.txt", "/~/secret.txt", "/~root/secret.txt",
    "/proc/self/root{above}/secret.txt", "/proc/self/cwd/secret.txt", "/dev/fd/0", "/dev/null", "/CON", "/NUL.txt",
    "/aux.html", "/COM1", "/sub/lpt9.txt", "/index.html::$DATA", "/index.html:secret", "/SECRET~1.TXT", "/out",
    "/out%00",
    "/up/secret.txt", "/up", "/up/", "/loop/secret.txt", "/.hidden", "/%2ehidden", "/.git/config", "/sub/.env", "/.",
    "/.well-known/../../secret.txt", "/..", "/%2e%2e", "/../", "/sub/../../", "/*", "/%2a", "/sub/%", "/%zz", "/%",
)  # fmt: skip


def traversals(above: str) -> Iterator[str]:
    """Each of them; `above` is the absolute path of the folder that SECRET is in, without its first slash."""
    for elsewhere in ELSEWHERE:
        yield elsewhere.format(above=above)
    for before, up, between, depth in product(BEFORE, UP, BETWEEN, (1, 2)):
        yield before + between.join([up] * depth) + between + SECRET
    for before, up, after in product(BEFORE, UP, AFTER):
        yield f"{before}{up}/{SECRET}{after}"
