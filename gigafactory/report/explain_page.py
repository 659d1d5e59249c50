"""The page of `giga explain --html`: one file with every operator, resource and byte of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.catalog.files import write_whole
from gigafactory.plan.attribution import resource_times
from gigafactory.plan.explain import bound_sentence
from gigafactory.report import plots, step
from gigafactory.report.explain import (
    as_sentence,
    operator_sheets,
    published_sheets,
    rates_sentence,
)
from gigafactory.report.html import document, figure, paragraph, table

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.report.explained import Explained


def write_explanation(told: Explained, path: Path | str) -> None:
    """Write an explanation as one page that needs nothing else, whole or not at all.

    Raises:
        MissingExtra: matplotlib is not installed.
        CatalogError: The file cannot be written.
    """
    write_whole(path, explanation_page(told))


def explanation_page(told: Explained) -> str:
    """Return the page's text; nothing is left out of its tables.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    prediction = told.prediction
    by_operator, by_resource = operator_sheets(told, whole=True)
    body = [
        paragraph(as_sentence(bound_sentence(prediction))),
        *map(table, published_sheets(told, whole=True)),
        table(step.layout_sheet(told.case.layout)),
        table(step.advice_sheet(prediction)),
        figure(plots.breakdown_svg(prediction), "Exposed time of one step by cause"),
        table(by_resource),
        figure(plots.resources_svg(resource_times(told.operators)),
               "Exposed and hidden time of every resource"),
        table(by_operator),
        table(step.memory_sheet(prediction)),
        figure(plots.memory_svg(prediction), "Memory of every pipeline stage"),
        table(step.assumptions_sheet(prediction.assumptions)),
    ]  # fmt: skip
    return document(told.title, f"{rates_sentence(prediction)}.", body)
