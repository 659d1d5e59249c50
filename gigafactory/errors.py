"""Every error this package raises on purpose.

* GigafactoryError
  x SpecError        (a user's model, cluster, job, layout or file makes no sense; also ValueError)
    - CatalogError   (a catalog or plan file is missing, unreadable or breaks the schema)
  x DoesNotFit       (every layout needs more memory than the accelerator has; exit 1)
  x MissingExtra     (an optional dependency is not installed; says which extra to install)
"""

from __future__ import annotations


class GigafactoryError(Exception):
    """Base class: `except GigafactoryError` catches every expected failure."""


class SpecError(GigafactoryError, ValueError):
    """A user-supplied description makes no sense.

    Attributes:
        field: The field, column or option at fault, when one is.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class CatalogError(SpecError):
    """A catalog or plan file is missing, unreadable or breaks the schema."""


class DoesNotFit(GigafactoryError):
    """No layout answers the question: nothing fits the memory, or no size meets the limit."""


class MissingExtra(GigafactoryError):
    """An optional dependency is not installed."""
