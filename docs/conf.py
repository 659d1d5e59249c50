"""Sphinx settings. The list of public modules on the API page is read from the package itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import gigafactory

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parents[1]
PUBLIC_FLOORS: Final = ("plan", "cost", "spec")

project = "Gigafactory"
author = "The Gigafactory authors"
project_copyright = "2026, The Gigafactory authors"
release = version = gigafactory.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
# *-table.md files are generated and included by a page; README.in.md is the README's template.
exclude_patterns = ["_build", "README.in.md", "explanation/*-table.md"]

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

default_role = "code"
# A short name in a signature may belong to two modules: a plan's Answer, a question's Answer.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of a dataclass are described once, under its docstring
napoleon_custom_sections = ["Source", "Sources"]

html_theme = "furo"
html_title = f"Gigafactory {release}"
html_show_sphinx = False


def list_modules(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Put one automodule per public module where the API page says `MODULES`."""
    if docname != "reference/api":
        return
    lines = []
    for floor in PUBLIC_FLOORS:
        for path in sorted((ROOT / "gigafactory" / floor).glob("*.py")):
            if not path.stem.startswith("_"):
                name = f"gigafactory.{floor}.{path.stem}"
                lines += [f"## {name}", "```{eval-rst}"]
                lines += [f".. automodule:: {name}", "   :members:", "```", ""]
    source[0] = source[0].replace("MODULES", "\n".join(lines))


def setup(app: Sphinx) -> None:
    """Register the list of modules."""
    app.connect("source-read", list_modules)
