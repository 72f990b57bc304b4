"""Write docs/commands/*.md from the parser of the command line: python -m docs.command_pages"""

from pathlib import Path

import click

from rec_export.cli import PLACES, cli

FOLDER = Path(__file__).parent / "commands"
HEAD = "<!-- Made by `python -m docs.command_pages`. -->\n"


def pages() -> dict[str, str]:
    """The text of each page, by its file name."""
    context = click.Context(cli, info_name="rec-export")
    commands = {name: cli.get_command(context, name) for name in PLACES}
    made = {f"{name}.md": page(name, command, context) for name, command in commands.items() if command is not None}
    rows = [f"| [{name}]({name}.md) | {c.get_short_help_str(200)} |" for name, c in commands.items() if c is not None]
    made["index.md"] = "\n".join([HEAD, "# Commands", "", "| | |", "|---|---|", *rows, "", *everywhere()])
    return made


def page(name: str, command: click.Command, above: click.Context) -> str:
    """How to call a command, what it does, and its options."""
    context = click.Context(command, info_name=name, parent=above)
    usage = " ".join(["rec-export", name, *command.collect_usage_pieces(context)])
    said = "\n".join(line.strip() for line in (command.help or "").splitlines())
    lines = [HEAD, f"# {name}", "", "```", usage, "```", "", said, "", *table(command, context)]
    return "\n".join(lines) + "\n"


def table(command: click.Command, context: click.Context) -> list[str]:
    """A row for each option, as `--help` tells it."""
    told = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
    rows = [f"| `{cell(names)}` | {cell(text)} |" for names, text in filter(None, told)]
    return ["| option | |", "|---|---|", *rows] if rows else []


def cell(text: str) -> str:
    """Text inside a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def everywhere() -> list[str]:
    """The options before a command's name."""
    context = click.Context(cli, info_name="rec-export")
    return ["Before the name of any command:", "", *table(cli, context), ""]


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
