"""The HTTP client below the openai package: it takes nothing of the environment that is not documented."""

from typing import TYPE_CHECKING

from autointerp.errors import EndpointError, one_line
from autointerp.lmm.route import headers_for, proxy_for, trusted_certificates

if TYPE_CHECKING:
    import httpx2

_KEPT = {
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
}
"""Headers that the openai package may set; others it takes from OPENAI_CUSTOM_HEADERS, or tells of this machine."""


def http_client(base_url: str, key: str) -> "httpx2.Client":
    """A client for one endpoint.

    Args:
        base_url: of the endpoint.
        key: sent to its host and port alone.

    Raises:
        SettingsError: the environment names a proxy or certificates that cannot be used.
    """
    import httpx2

    own_place = httpx2.URL(base_url)
    own = {name: value for name, value in headers_for(base_url, key).items() if name != "Accept"}
    proxy = proxy_for(base_url)

    def our_headers(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in _KEPT]:
            del request.headers[name]
        if all(getattr(request.url, part) == getattr(own_place, part) for part in ("scheme", "host", "port")):
            request.headers.update(own)

    def no_redirect(response: httpx2.Response) -> None:
        # Results may lie elsewhere; what is sent, with all pictures, goes to no host that the user did not name.
        if response.has_redirect_location and response.request.method != "GET":
            target = one_line(response.headers["Location"].partition("?")[0])
            raise EndpointError(
                f"{base_url} answers with a redirect (status {response.status_code}) to {target}; if that is where the "
                "questions should go, record the command anew with its address as --base-url"
            )

    return httpx2.Client(
        verify=trusted_certificates() if base_url.startswith("https:") else True,
        trust_env=False,
        proxy=None if proxy is None else httpx2.Proxy(proxy.url, auth=proxy.login),
        follow_redirects=True,
        event_hooks={"request": [our_headers], "response": [no_redirect]},
    )
