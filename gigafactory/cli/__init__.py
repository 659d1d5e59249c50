"""The command `giga`: verbs only. Heavy imports stand inside the commands, so help is instant."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from gigafactory.cli import (
    build,
    calibrate,
    catalog,
    chat,
    compare,
    explain,
    export,
    feed,
    plan,
    predict,
    run,
    search,
    serve,
    simulate,
    watch,
)
from gigafactory.errors import DoesNotFit, GigafactoryError, SpecError

app = typer.Typer(
    name="giga",
    help="Plan AI training on a supercomputer, from a laptop to 100,000 GPUs. A run is a file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("plan")(plan.plan)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("simulate")(simulate.simulate)
app.command("export")(export.export)
app.command("run")(run.run)
app.command("watch")(watch.watch)
app.command("compare")(compare.compare)
app.command("calibrate")(calibrate.calibrate)
app.command("build")(build.build)
app.add_typer(feed.feed, name="feed")
app.command("search")(search.search)
app.command("chat")(chat.chat)
app.command("serve")(serve.serve)
app.command("catalog")(catalog.command)


def main() -> NoReturn:
    """Run the command line: exit 0 answered, 1 nothing fits, 2 the user's mistake."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except GigafactoryError as error:
        sys.exit(_report(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as left:
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        # The reader left (`giga … | head`); nothing is wrong and there is no one to tell. Typer
        # and rich would exit 1, which here means that nothing fits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        sys.exit(_usage(error))


def _usage(error: Exception) -> int:
    """Print a usage error of typer's in our own manner; raise any other again."""
    words = getattr(error, "format_message", None)
    if words is None:
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(words(), err=True)
        return 2
    parameter = getattr(error, "param", None)
    return _report(SpecError(words(), field=getattr(parameter, "name", None) or ""))


def _report(error: GigafactoryError) -> int:
    """Print an expected failure: one line on stderr, with --json its object on stdout."""
    typer.echo(f"giga: {' '.join(str(error).split())}", err=True)
    if "--json" in sys.argv:
        from gigafactory.report import as_json

        if isinstance(error, DoesNotFit):
            typer.echo(as_json.one_line(as_json.nothing_fits_json(error)))
        else:
            typer.echo(as_json.one_line(as_json.error_json(error)))
    return 1 if isinstance(error, DoesNotFit) else 2
