"""Sixty texts and requests that mean harm: to scripts, to paths, to headers, to whoever reads them."""

from __future__ import annotations

PLANT = "window.planted=1"

TEXTS = (
    f"<script>{PLANT}</script>",
    f"<img src=x onerror={PLANT}>",
    f"<svg onload={PLANT}>",
    f'"><script>{PLANT}</script>',
    f"'onmouseover='{PLANT}",
    f"javascript:{PLANT}",
    f"data:text/html,<script>{PLANT}</script>",
    f"</script><script>{PLANT}</script>",
    f"<!--<script>{PLANT}</script>-->",
    f"]]><script>{PLANT}</script>",
    f"<iframe srcdoc='<script>parent.{PLANT}</script>'>",
    f"<a href='javascript:{PLANT}'>x</a>",
    f"<style>@import 'http://evil.example/x.css'</style><script>{PLANT}</script>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<img src=http://evil.example/leak.png>",
    f"<base href=http://evil.example/><script>{PLANT}</script>",
    f"<meta http-equiv=refresh content='0;javascript:{PLANT}'>",
    f"<form action=javascript:{PLANT}><button autofocus onfocus={PLANT}>",
    f"<details open ontoggle={PLANT}>x",
    f"<math><mtext></p><img src=x onerror={PLANT}>",
    f"${{{PLANT}}}",
    f"{{{{constructor.constructor('{PLANT}')()}}}}",
    "__proto__",
    "constructor",
    "toString",
    "'; drop table entities; --",
    "\u202egnp.exe",
    "a\u2028b\u2029c",
    "\x01\x1b[31m\x7f",
    "zero\u200bwidth\ufeff",
    "\ufdd0\U000e0001",
    "%00%2e%2e%2f",
    "../../etc/passwd",
    "..\\..\\x",
    "~/.ssh/id_rsa",
    "x" * 20_000,
    "a\u0301" * 2_000,
)
"""Labels, names and texts."""

SVGS = (
    f"<svg xmlns='http://www.w3.org/2000/svg' onload='{PLANT}'/>",
    f"<svg xmlns='http://www.w3.org/2000/svg'><script>parent.{PLANT}</script></svg>",
    "<svg xmlns='http://www.w3.org/2000/svg'><image href='http://evil.example/leak.png'/></svg>",
    "<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg xmlns='http://www.w3.org/2000/svg'><text>&x;</text></svg>",
    f"<html xmlns='http://www.w3.org/1999/xhtml'><script>{PLANT}</script></html>",
)
"""Contents of files, under names that promise pictures, pages and texts."""

PATHS = (
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252fetc%252fpasswd",
    "....//....//etc/passwd",
    "..%5c..%5cetc%5cpasswd",
    "%00",
    "etc/passwd%00.png",
    "%c0%ae%c0%ae/etc/passwd",
    "%ff%fe",
    "/etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "objects",
    "_runs",
    "index.html%00.js",
    "app.js%2f..%2f..%2fapp.py",
    "a" * 5_000,
    "%e2%80%ae",
    "http:%2f%2fevil.example%2f",
    "CON",
    ".",
    "..",
)
"""What follows a route."""

assert len(TEXTS) + len(SVGS) + len(PATHS) >= 60
