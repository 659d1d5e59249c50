"""Draws docs/picture.svg, the picture of the README: run it with `make readme`."""

import datetime as dt
from pathlib import Path

from gigafactory.catalog.files import write_whole
from gigafactory.cli.curves import curves
from gigafactory.cli.request import Options, understand
from gigafactory.plan.answer import answer
from gigafactory.report.plots import picture

request = understand(
    Options(model="grok-1", tokens="15e12", cluster="gigafactory"), dt.date(2025, 9, 30)
)
found = answer(request.question, request.job, request.around, request.limits)
write_whole(Path(__file__).with_name("picture.svg"), picture(found, curves(request)))
