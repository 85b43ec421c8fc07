"""The headers of every page: what it may load, who may show it in a frame, where its forms lead."""

from __future__ import annotations

from imitable.campaign import Campaign


class Policy:
    """One campaign's headers. Only the sites of [platform.mturk] may frame a page or be sent a form."""

    def __init__(self, config: Campaign) -> None:
        mturk = config.platform.mturk
        sites = mturk.sites if mturk is not None else []
        self.referrer = "strict-origin" if sites else "no-referrer"
        """Without any, a browser hides from a worker site which site submits to it. No path or query ever goes out."""
        self._frames = " ".join(sites) or "'none'"
        self._forms = " ".join(("'self'", *sites))
        self._always = {
            "Cache-Control": "no-store",
            "Referrer-Policy": self.referrer,
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }
        if sites:
            # A sandboxed frame has no origin of its own. Nothing is given away: no page here depends on a cookie.
            self._always["Access-Control-Allow-Origin"] = "null"

    def headers(self, nonce: str) -> dict[str, str]:
        """The headers of one page, whose scripts carry the nonce."""
        return self._always | {
            "Content-Security-Policy": (
                f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
                f"connect-src 'self'; form-action {self._forms}; base-uri 'none'; frame-ancestors {self._frames}"
            )
        }
