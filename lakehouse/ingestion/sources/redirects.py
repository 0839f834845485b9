"""Where a web server leads: what is allowed on one host must not be fetched from another by way of a redirect.

The library that reads from web servers follows redirects by itself and does not tell. So each address is asked first,
with a HEAD of which nothing is followed. A server that answers HEAD and GET differently is not found out so: places
that `allow` names are to be trusted that far.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from lakehouse.errors import RejectedInputError

MOST = 5
TIMEOUT_S = 30.0
AS_IT_IS = "/:@!$&'()+,;="
"""Characters of a path that the library that reads leaves as they are: both must ask for the same."""
WEB = ("http://", "https://")


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def check_redirects(place: str, is_allowed: Callable[[str], bool]) -> None:
    """Check that an address of a web server leads only to places that are allowed.

    Args:
        place: URI, http or https, with its path as it is written.
        is_allowed: Whether a file may be at an address.

    Raises:
        RejectedInputError: not_allowed, or unreachable where it cannot be asked.
    """
    scheme, _, rest = place.partition("://")
    host, _, path = rest.partition("/")
    url = f"{scheme}://{host}/{urllib.parse.quote(path, safe=AS_IT_IS)}"
    for _ in range(MOST):
        onwards = _leads_to(url)
        if onwards is None:
            return
        # As the standard for URLs reads \, and so may whoever follows: \\host/x leads to another host.
        url = urllib.parse.urljoin(url, onwards.replace("\\", "/"))
        steps = urllib.parse.unquote(url.partition("?")[0].partition("://")[2]).split("/")
        if not url.startswith(WEB) or ".." in steps or not is_allowed(url):
            reason = f"is redirected to {url.partition('?')[0]}, a place that `allow` does not name"
            raise RejectedInputError("not_allowed", reason)
    raise RejectedInputError("unreachable", f"is redirected more than {MOST} times")


def _leads_to(url: str) -> str | None:
    """Return where an address redirects; None: it does not, or answers no HEAD, which whoever reads it finds out."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.build_opener(_Stays).open(request, timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return error.headers.get("Location") if 300 <= error.code < 400 else None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RejectedInputError("unreachable", f"cannot be looked at now: {error}") from error
