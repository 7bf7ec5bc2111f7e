"""``tilth data``: the registered datasets, their terms, and getting them."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def _names(incomplete: str) -> list[tuple[str, str]]:
    """Offer the datasets' names to the shell."""
    from tilth.core.datasets import info, names

    return [(n, info(n).title) for n in names() if n.startswith(incomplete)]


_NAME = typer.Argument(help="Name of the dataset.", autocompletion=_names)


@app.callback()
def data() -> None:
    """Show the registered datasets and their terms; get and check them."""


@app.command("list")
def list_datasets() -> None:
    """List the datasets, their licence, whether at hand."""
    from tilth.cli.display import print_table
    from tilth.core import datasets
    from tilth.core.typeset import bytes_text

    rows = []
    for name in datasets.names():
        about = datasets.info(name)
        rows.append(
            (
                name,
                about.licence,
                bytes_text(about.size) if about.size else "not known",
                "yes" if _folder(name) else "no",
                about.title,
            )
        )
    columns = ("name", "licence", "size", "at hand", "what")
    print_table(columns, rows, numeric=("size",))
    typer.echo("Terms and citation of one: tilth data info NAME")


@app.command()
def info(name: str = _NAME) -> None:
    """Show licence, citation, source, files and folder of one."""
    from tilth.core import datasets
    from tilth.core.typeset import bytes_text

    about = datasets.info(name)
    size = bytes_text(about.size) if about.size else "size not known"
    lines = {
        "name": about.name,
        "what": about.title,
        "licence": about.licence,
        "redistribution": about.redistribution,
        "citation": about.citation,
        "homepage": about.homepage,
        "files": f"{len(about.files)}, {size}",
        "how to get it": about.obtained,
        "lies at": str(_folder(name) or "not at hand"),
    }
    width = max(map(len, lines))
    for label, text in lines.items():
        typer.echo(f"{label:<{width}}  {' '.join(str(text).split())}")
    for file in about.files:
        typer.echo(_file_line(file.path, file.size, file.licence, file.note, width))


def _file_line(
    path: str, size: int | None, licence: str | None, note: str, width: int
) -> str:
    """Say what one file is, under the column of the texts."""
    from tilth.core.typeset import bytes_text

    remarks = [bytes_text(size) if size else "", licence or "", note]
    about = "; ".join(" ".join(text.split()) for text in remarks if text)
    return f"{'':<{width}}  {path}" + (f" ({about})" if about else "")


@app.command()
def fetch(name: str = _NAME) -> None:
    """Download one where not at hand, check it, print its folder."""
    from tilth.core import datasets

    folder = datasets.fetch(name)
    about = datasets.info(name)
    typer.echo(f"licence: {about.licence}", err=True)
    typer.echo(f"please cite: {' '.join(about.citation.split())}", err=True)
    typer.echo(folder)


@app.command()
def verify(name: str = _NAME) -> None:
    """Compare every file of one with its registered checksum."""
    from tilth.core import datasets

    folder = datasets.verify(name)
    count = len(datasets.info(name).files)
    typer.echo(f"{name}: {count} files as registered, in {folder}")


def _folder(name: str) -> str | None:
    """Return where a dataset lies, or None if it is not at hand."""
    from tilth.core.datasets import locate
    from tilth.core.errors import DatasetError

    try:
        return str(locate(name, download=False))
    except DatasetError:
        return None
