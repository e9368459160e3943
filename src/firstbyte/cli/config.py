"""Options from a TOML file and from FIRSTBYTE_* variables, and the command that shows which are in force.

Everything is derived from the parameters of the serving commands, which are those that have --config: a new option has
its key and its variable by itself.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from firstbyte.cli.sources import FILE, LAST_RESORT, PREFIX, VARIABLE, file_here, option_variables
from firstbyte.cli.toml import Document, read_document
from firstbyte.errors import ConfigurationError

_SECRET = {"password", "passphrase", "secret", "token", "auth"}  # words of a key
_MASK = "********"
_HELP = "`firstbyte run --help` lists the options"
# In a context's meta: the file's name, or None; the name of a parameter -> where its value is from.
_FILE, _PLACES = "firstbyte.config.file", "firstbyte.config.places"


class ConfigOption(click.Option):
    """--config, which fills in what the command line does not say; a command that has it is a serving command."""


class Entry(NamedTuple):
    """A value, as TOML has it or as the text of a variable, and its place: "firstbyte.toml:3", or the variable."""

    key: str
    value: Any
    place: str
    is_text: bool = False


_Keys = Mapping[str, Mapping[str, click.Parameter]]  # of each serving command


def config_option(command: Any) -> Any:
    """Decorator: adds --config, and with it the file's and the environment's values for every other parameter.

    The command line weighs more than the environment, that more than the file. Raises ConfigurationError for a key or a
    variable that is unknown, with the nearest one, and for a value that the parameter refuses, with its place.
    """
    return click.option(
        "--config",
        cls=ConfigOption,
        metavar="FILE",
        is_eager=True,  # before the parameters that it fills in
        expose_value=False,
        callback=_configure,
        help=f"Options as TOML; by default what {VARIABLE} names, {FILE} in the current folder, or [tool.firstbyte] "
        f"in {LAST_RESORT}.",
    )(command)


class ConfigGroup(click.Group):
    """`firstbyte config [COMMAND] [OPTIONS]`: for each serving command one that prints the options of that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Makes the commands; without one, the line is about `run`."""
        self.commands = {name: _showing(name, command) for name, command in _serving_commands(ctx).items()}
        about_none = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        if about_none and not ctx.resilient_parsing:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ConfigGroup)
def config() -> None:
    """Print the options in force and where each comes from, of `firstbyte run` unless another COMMAND is named."""


def _showing(name: str, command: click.Command) -> click.Command:
    """A command with the parameters of the other, none of them required, and --json."""
    parameters = [copy.copy(each) for each in command.params]
    for each in parameters:
        each.required = False
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object.")
    about = f"Print the options in force for `firstbyte {name}`, and where each is from."
    return click.Command(name, params=[*parameters, as_json], callback=_show, help=about)


def _configure(ctx: click.Context, param: click.Parameter, given: str | None) -> None:
    """Sets the defaults of `ctx` from the file and the environment, and notes where each is from."""
    if ctx.resilient_parsing:  # a shell asks for completions
        return
    name = str(ctx.command.name)
    origin = "command line" if given else VARIABLE if os.environ.get(VARIABLE) else "current folder"
    given = given or os.environ.get(VARIABLE)
    if given and not Path(given).exists():
        raise ConfigurationError(f"{origin}: there is no file {given}")
    document = _find_document(given)
    # All of the commands are asked, since a file is for all; but not where there is nothing to ask them for.
    asked = document is not None or option_variables()
    keys = {name: _keys(command) for name, command in _serving_commands(ctx).items()} if asked else {name: {}}
    levels = [*(_file_levels(document, keys, name) if document else ()), _environment(keys)]
    entries: dict[str, Entry] = {}
    for level in levels:
        entries |= _take(ctx, level, keys[name])
    ctx.default_map = {name: entry.value for name, entry in entries.items()}
    ctx.meta[_FILE] = document.name if document else None
    ctx.meta[_PLACES] = {name: entry.place for name, entry in entries.items()}
    if document is not None:
        ctx.meta[_PLACES][param.name] = origin


def _show(as_json: bool, **_: Any) -> None:
    """Prints each option in force, with where its value is from."""
    ctx = click.get_current_context()
    rows = [_row(ctx, each) for each in ctx.command.params if each.name != "as_json"]
    if as_json:
        import msgspec

        # JSON has no infinity; TOML writes it so.
        options = {key: {"value": "inf" if value == inf else value, "from": place} for key, value, place in rows}
        encoded = msgspec.json.encode({"command": ctx.command.name, "options": options}, enc_hook=str)
        click.echo(msgspec.json.format(encoded, indent=2))
        return
    table = [("option", "value", "from"), *((key, _as_text(value), place) for key, value, place in rows)]
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    for key, text, place in table:
        click.echo(f"{key:{widths[0]}}  {text:{widths[1]}}  {place}")


def _row(ctx: click.Context, param: click.Parameter) -> tuple[str, Any, str]:
    """Key, value and place."""
    key, name = _spellings(param)[0], str(param.name)
    value = ctx.meta[_FILE] if isinstance(param, ConfigOption) else ctx.params.get(name)
    if value not in (None, ()) and _is_secret(key):
        value = _MASK
    if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        return key, value, "command line"
    return key, value, ctx.meta[_PLACES].get(name, "default")


def _as_text(value: Any) -> str:
    """As one would write it in the file, but for the quotes; "-" for nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_as_text, value)) or "-"
    return "-" if value is None else str(value)


def _serving_commands(ctx: click.Context) -> dict[str, click.Command]:
    root = ctx.find_root().command
    if isinstance(root, click.Group):
        commands = [(name, root.get_command(ctx, name)) for name in root.list_commands(ctx)]
    else:
        commands = [(str(root.name), root)]
    return {
        name: command
        for name, command in commands
        if command is not None and any(isinstance(each, ConfigOption) for each in command.params)
    }


def _keys(command: click.Command) -> dict[str, click.Parameter]:
    """The keys of a command, with what they set: each long option without its dashes, each argument by its name."""
    return {key: each for each in command.params if each.expose_value for key in _spellings(each)}


def _spellings(param: click.Parameter) -> list[str]:
    long = [option[2:] for option in param.opts if option.startswith("--")]
    return long or [str(param.name).replace("_", "-")]


def _find_document(given: str | None) -> Document | None:
    """The file that --config names, or else the one that is here; a pyproject.toml only if it says something of us."""
    if given:
        path = Path(given)
        document = read_document(path)
        if path.name != LAST_RESORT:
            return document
        ours = document.table("tool", "firstbyte")
        if ours is None:
            raise ConfigurationError(f"{given} has no table [tool.firstbyte]")
        return ours
    here = file_here()
    if here is None:
        return None
    document = read_document(here)
    return document.table("tool", "firstbyte") if here.name == LAST_RESORT else document


def _file_levels(document: Document, keys: _Keys, name: str) -> list[list[Entry]]:
    """The entries of the file for the command `name`: those at the top, then those of its section, which weigh more."""
    top: list[Entry] = []
    sections: dict[str, list[Entry]] = {}
    known = _union(keys)
    for key, value in document.values.items():
        place = document.place(key)
        is_table = isinstance(value, dict)
        if key in keys and is_table:
            inner = [(each, document.place(key, each)) for each in value]
            sections[key] = [Entry(_known(each, keys, where, key), value[each], where) for each, where in inner]
        elif key in keys and key not in known:
            raise ConfigurationError(f"{place}: {key} is a section: write [{key}]")
        elif is_table and key not in known:
            hint = _did_you_mean(key, keys, "[{}]".format, otherwise=f"there are {', '.join(keys)}")
            raise ConfigurationError(f"{place}: there is no section [{key}]: {hint}")
        else:
            top.append(Entry(_known(key, keys, place), value, place))
    return [top, sections.get(name, [])]


def _environment(keys: _Keys) -> list[Entry]:
    """The variables that are options. One that is empty is as if it were not there."""
    known = _union(keys)
    entries = []
    for variable, value in option_variables().items():
        key = variable.removeprefix(PREFIX).replace("_", "-").lower()
        if key not in known or variable != _variable(key):
            hint = _did_you_mean(key, known, _variable)
            raise ConfigurationError(f"{variable} is no variable of firstbyte: {hint}")
        if value:
            entries.append(Entry(key, value, variable, is_text=True))
    return entries


def _variable(key: str) -> str:
    return PREFIX + key.replace("-", "_").upper()


def _known(key: str, keys: _Keys, place: str, section: str = "") -> str:
    """The key as the command line spells it, if the section's command has it, or any for one outside of sections."""
    spelt = key.replace("_", "-")
    owners = [name for name in keys if spelt in keys[name]]
    if section in owners or (owners and not section):
        return spelt
    of = f" of {section}" if section else ""
    hint = f"it is one of {' and '.join(owners)}" if owners else _did_you_mean(spelt, keys.get(section) or _union(keys))
    raise ConfigurationError(f"{place}: there is no option {key!r}{of}: {hint}")


def _union(keys: _Keys) -> set[str]:
    return {key for each in keys.values() for key in each}


def _did_you_mean(name: str, known: Iterable[str], spell: Callable[[str], str] = str, otherwise: str = _HELP) -> str:
    import difflib  # when something is wrong, and not before

    nearest = difflib.get_close_matches(name, known, 1)
    return f"did you mean {spell(nearest[0])}?" if nearest else otherwise


def _take(ctx: click.Context, level: Iterable[Entry], keys: Mapping[str, click.Parameter]) -> dict[str, Entry]:
    """The entries of one level that are for this command, by the names of their parameters, checked."""
    taken: dict[str, Entry] = {}
    for entry in level:
        param = keys.get(entry.key)
        if param is None:
            continue  # another command's
        other = taken.get(str(param.name))
        if other is not None:
            raise ConfigurationError(f"{entry.place}: {entry.key} is set by {other.place} already")
        taken[str(param.name)] = entry._replace(value=_checked(ctx, param, entry))
    return taken


def _checked(ctx: click.Context, param: click.Parameter, entry: Entry) -> Any:
    """The value as the parameter takes it. Raises ConfigurationError if it does not."""
    value = entry.value
    many = param.nargs != 1 or getattr(param, "multiple", False)
    try:
        if entry.is_text:
            value = param.type.split_envvar_value(value) if many else value
        elif many:
            value = [_plain(param, each) for each in (value if isinstance(value, list) else [value])]
        else:
            value = _plain(param, value)
        param.process_value(ctx, value)
    except click.UsageError as error:
        hidden = f"expected {_expected(param)[1]}; the value is secret and not shown"
        why = hidden if _is_secret(entry.key) else _reason(param, error.message)
        what = entry.place if entry.is_text else f"{entry.place}: {entry.key}"
        raise ConfigurationError(f"{what}: {why}") from None
    return value


def _plain(param: click.Parameter, value: Any) -> Any:
    """A value of TOML in the form in which the parameter reads the command line: true, false or text."""
    accepted, expected = _expected(param)
    if not isinstance(value, accepted) or (isinstance(value, bool) and accepted is not bool):
        raise click.UsageError(f"expected {expected}, not {_NAMES.get(type(value), 'a date or time')}")
    return value if isinstance(value, bool) else str(value)


def _expected(param: click.Parameter) -> tuple[Any, str]:
    return next((accepted, what) for kind, accepted, what in _EXPECTED if isinstance(param.type, kind))


def _reason(param: click.Parameter, message: str) -> str:
    """The message of the parameter; of click's own "'x' is not a valid integer range." what was expected."""
    refused = re.fullmatch(r"('.*') is not a valid .*", message, re.DOTALL)
    return f"expected {_expected(param)[1]}, not {refused[1]}" if refused else message.rstrip(".")


def _is_secret(key: str) -> bool:
    return not _SECRET.isdisjoint(key.split("-"))


# What a TOML value must be for a parameter's type, first match first; texts are read as on the command line.
_EXPECTED: list[tuple[Any, Any, str]] = [
    (click.types.BoolParamType, bool, "true or false"),
    ((click.types.StringParamType, click.Path, click.File), str, "a string"),
    (click.types.IntParamType, (int, str), "a whole number"),
    (click.types.FloatParamType, (int, float, str), "a number"),
    (click.ParamType, (int, float, str), "a string or a number"),
]
_NAMES = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a decimal number",
    list: "a list",
    dict: "a table",
}
