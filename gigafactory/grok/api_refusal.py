"""Requests that are refused, in the words of the OpenAI API."""

from __future__ import annotations

from typing import Any, Final

_TYPES: Final = {401: "authentication_error", 429: "rate_limit_error"}


class RequestError(Exception):
    """A request that is refused.

    Attributes:
        status: HTTP status.
        param: The field at fault, when one is.
        code: The API's name of the fault, when it has one.
        retry_after_s: When to ask again, when that may help.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str] | None:
        """Headers of the refusal."""
        if self.status == 401:
            return {"WWW-Authenticate": "Bearer"}
        return None if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


def error_table(
    message: str, status: int, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return an error object; its type follows from the HTTP status."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
