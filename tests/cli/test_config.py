"""Options from files and from the environment: which one counts, what is refused, and what `firstbyte config` shows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from firstbyte.cli import main
from firstbyte.cli.commands import COMMANDS, cli
from firstbyte.cli.config import ConfigGroup, config_option
from firstbyte.cli.option_types import Size
from firstbyte.cli.sources import _NO_OPTIONS
from firstbyte.cli.toml import read_document
from firstbyte.errors import ConfigurationError

CONTEXT = click.Context(cli)


def parameters(name: str) -> list[click.Parameter]:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    return command.params


SERVING = [name for name in COMMANDS if any(each.name == "config" for each in parameters(name))]
SOURCES = Path(__file__).parent.parent.parent / "src" / "firstbyte"


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Runs `firstbyte` in a folder of its own, in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capture = capture

    def __call__(self, *arguments: str) -> Result:
        self._patch.setattr(sys, "argv", ["firstbyte", *arguments])
        code = main()
        return Result(code, *self._capture.readouterr())

    def options(self, *arguments: str) -> dict[str, tuple[Any, str]]:
        """What `firstbyte config ARGUMENTS --json` says: value and place of each option."""
        code, out, err = self("config", *arguments, "--json")
        assert (code, err) == (0, "")
        return {key: (each["value"], each["from"]) for key, each in json.loads(out)["options"].items()}


@pytest.fixture
def firstbyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def write(text: str, name: str = "firstbyte.toml") -> None:
    Path(name).write_bytes(text.encode())


def test_the_command_line_then_the_environment_then_the_file_then_the_default(
    firstbyte: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert firstbyte.options()["port"] == (8000, "default")
    write("\nport = 8001\n")
    assert firstbyte.options()["port"] == (8001, "firstbyte.toml:2")
    write("port = 8001\n[run]\nport = 8002\n[demo]\nport = 8003\n")
    assert firstbyte.options("run")["port"] == (8002, "firstbyte.toml:3")
    assert firstbyte.options("demo")["port"] == (8003, "firstbyte.toml:5")
    assert firstbyte.options("folder")["port"] == (8001, "firstbyte.toml:1")
    monkeypatch.setenv("FIRSTBYTE_PORT", "8004")
    assert firstbyte.options()["port"] == (8004, "FIRSTBYTE_PORT")
    assert firstbyte.options("--port", "8005")["port"] == (8005, "command line")
    assert firstbyte.options("folder", "8006")["port"] == (8006, "command line")


def serving_options() -> list[Any]:
    return [
        pytest.param(name, each, id=f"{name}-{each.name}")
        for name in SERVING
        for each in parameters(name)
        if each.name != "config"
    ]


def test_all_serving_commands_take_part() -> None:
    assert set(SERVING) >= {"run", "folder", "demo"}


@pytest.mark.parametrize(("command", "param"), serving_options())
def test_every_option_has_a_key_and_a_variable(
    firstbyte: Shell, monkeypatch: pytest.MonkeyPatch, command: str, param: click.Parameter
) -> None:
    """Whatever the type is: its default, or a value that suits it, is read back from file and environment."""
    assert param.name is not None
    key = next((each[2:] for each in param.opts if each.startswith("--")), param.name)
    value = firstbyte.options(command)[key][0]
    if getattr(param, "multiple", False) or param.nargs == -1:
        value = ["one", "two"]
    elif value is None:
        value = 80 if isinstance(param.type, click.IntRange) else "27" if key == "umask" else "some"
    shown = "********" if "password" in key or key == "auth" else value
    write(f"[{command}]\n{key} = {json.dumps(value)}\n")
    assert firstbyte.options(command)[key] == (shown, "firstbyte.toml:2")
    variable = "FIRSTBYTE_" + key.upper().replace("-", "_")
    text = " ".join(value) if isinstance(value, list) else str(value)
    monkeypatch.setenv(variable, text.lower() if isinstance(value, bool) else text)
    assert firstbyte.options(command)[key] == (shown, variable)


def test_values_are_read_as_on_the_command_line(firstbyte: Shell) -> None:
    write(
        """
# dashes and underscores are the same
limit-body = "1M"
limit_head = 4096
timeout-body = inf
timeout-head = 3
no_access_log = true
debug = true
threads = "5"
"""
    )
    options = firstbyte.options("run")
    assert {key: options[key] for key in options if options[key][1] != "default"} == {
        "config": ("firstbyte.toml", "current folder"),
        "limit-body": (1 << 20, "firstbyte.toml:3"),
        "limit-head": (4096, "firstbyte.toml:4"),
        "timeout-body": ("inf", "firstbyte.toml:5"),
        "timeout-head": (3.0, "firstbyte.toml:6"),
        "no-access-log": (True, "firstbyte.toml:7"),
        "debug": (True, "firstbyte.toml:8"),
        "threads": (5, "firstbyte.toml:9"),
    }
    assert re.search("^timeout-body +inf +", firstbyte("config").out, re.MULTILINE)


def test_an_option_with_two_names_has_two_keys(firstbyte: Shell) -> None:
    write('host = "::1"\n')
    assert firstbyte.options("folder")["bind"] == firstbyte.options("run")["host"] == ("::1", "firstbyte.toml:1")
    write('host = "::1"\n[folder]\nbind = "::2"\n')
    assert firstbyte.options("folder")["bind"] == ("::2", "firstbyte.toml:3")


def test_what_the_commands_get(firstbyte: Shell) -> None:
    write('app = "nowhere:app"\n[folder]\ndirectory = "gone"\n')
    assert "there is no module 'nowhere'" in firstbyte("run").err
    assert "there is no module 'there'" in firstbyte("run", "there:app").err
    assert firstbyte("folder").err == "firstbyte: there is no folder gone to serve\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_line_of_a_key(firstbyte: Shell, line_end: str) -> None:
    text = """
# port = 1
"host" = '''
[run]
port = 1
'''
threads = \\
"""
    text = text.replace("threads = \\\n", 'unix = """a\\\n  b"""\n[ "run" ] # [demo]\ndebug = true\n[demo]\nport = 3\n')
    write(text.replace("\n", line_end))
    options = firstbyte.options("run")
    assert options["host"][1] == "firstbyte.toml:3"
    assert options["unix"] == ("ab", "firstbyte.toml:7")
    assert options["debug"][1] == "firstbyte.toml:10"
    assert firstbyte.options("demo")["port"] == (3, "firstbyte.toml:12")
    write('run.port = 5\nrun.host = "x"\ndemo = {debug = true, port = 6}'.replace("\n", line_end))
    assert firstbyte.options("run")["host"] == ("x", "firstbyte.toml:2")
    assert firstbyte.options("demo")["port"] == (6, "firstbyte.toml:3")


def test_the_lines_of_a_larger_file() -> None:
    path = SOURCES.parent.parent / "pyproject.toml"
    lines = path.read_text().splitlines()
    document = read_document(path)
    assert len(document.lines) > 50
    for key, line in document.lines.items():
        assert key[-1] in lines[line - 1]


def test_the_shell_completes(
    firstbyte: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("prot = 1\n")
    monkeypatch.setenv("_FIRSTBYTE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_CWORD", "2")
    for words, expected in (("firstbyte config ", "plain,folder"), ("firstbyte run --por", "plain,--port")):
        monkeypatch.setenv("COMP_WORDS", words)
        with pytest.raises(SystemExit):
            firstbyte()
        assert expected in capsys.readouterr().out.splitlines()


def test_the_file(firstbyte: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert firstbyte.options()["config"] == (None, "default")
    write("[tool.other]\nport = 1\n[tool.firstbyte]\nport = 2\n[tool.firstbyte.run]\nthreads = 3\n", "pyproject.toml")
    assert firstbyte.options()["port"] == (2, "pyproject.toml:4")
    assert firstbyte.options()["threads"] == (3, "pyproject.toml:6")
    write("port = 3\n")
    assert firstbyte.options()["port"] == (3, "firstbyte.toml:1")
    assert firstbyte.options()["config"] == ("firstbyte.toml", "current folder")
    Path("etc").mkdir()
    write("port = 4\n", "etc/server.toml")
    monkeypatch.setenv("FIRSTBYTE_CONFIG", "etc/server.toml")
    assert firstbyte.options()["port"] == (4, "etc/server.toml:1")
    assert firstbyte.options()["config"] == ("etc/server.toml", "FIRSTBYTE_CONFIG")
    options = firstbyte.options("--config", "pyproject.toml")
    assert (options["port"][0], options["config"][1]) == (2, "command line")
    assert firstbyte.options("--config", "/dev/null")["port"] == (8000, "default")


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "[project]\nname = 'firstbyte'\n", "[tool]\nother = [\n"])
def test_a_pyproject_of_others_is_left_alone(firstbyte: Shell, text: str) -> None:
    write(text, "pyproject.toml")
    assert firstbyte.options()["config"] == (None, "default")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nprot = 1\n", "2: there is no option 'prot': did you mean port?"),
        ("[run]\nlimit-bdy = 1\n", "2: there is no option 'limit-bdy' of run: did you mean limit-body?"),
        ("no-debug = true\n", "1: there is no option 'no-debug': did you mean debug?"),
        ("config = 'x'\n", "1: there is no option 'config': `firstbyte run --help` lists the options"),
        ("[run]\ndirectory = 'x'\n", "2: there is no option 'directory' of run: it is one of folder and serve"),
        ("# of others too\n[foldr]\n", "2: there is no section [foldr]: did you mean [folder]?"),
        ("[xyz]\n", f"1: there is no section [xyz]: there are {', '.join(SERVING)}"),
        ("[folder]\ndirectori = 'x'\n", "2: there is no option 'directori' of folder: did you mean directory?"),
        ("run = 1\n", "1: run is a section: write [run]"),
        ("[[run]]\n", "1: run is a section: write [run]"),
        ("access-log = 'a'\naccess_log = 'b'\n", "2: access-log is set by firstbyte.toml:1 already"),
        ("port = 70000\n", "1: port: 70000 is not in the range 0<=x<=65535"),
        ("port = 'abc'\n", "1: port: expected a whole number, not 'abc'"),
        ("port = 80.5\n", "1: port: expected a whole number, not a decimal number"),
        ("port = true\n", "1: port: expected a whole number, not true or false"),
        ("port = [1]\n", "1: port: expected a whole number, not a list"),
        ("port = {a = 1}\n", "1: port: expected a whole number, not a table"),
        ("port = 1979-05-27\n", "1: port: expected a whole number, not a date or time"),
        ("host = 1\n", "1: host: expected a string, not a whole number"),
        ("no-access-log = 'no'\n", "1: no-access-log: expected true or false, not a string"),
        ("no-access-log = 0\n", "1: no-access-log: expected true or false, not a whole number"),
        ("limit-body = 'much'\n", "1: limit-body: 'much' is no size: write a number, with k, M or G if you like"),
        ("limit-body = -1\n", "1: limit-body: '-1' is no size: write a number, with k, M or G if you like"),
        ("timeout-head = 0\n", "1: timeout-head: 0 s: it must be above zero"),
        ("timeout-head = nan\n", "1: timeout-head: nan s: it must be above zero"),
        ("timeout-head = 'soon'\n", "1: timeout-head: 'soon' is no number of seconds"),
        ("log-format = 'xml'\n", "1: log-format: 'xml' is not one of 'text', 'json'"),
        ("log-format = true\n", "1: log-format: expected a string or a number, not true or false"),
    ],
)
def test_a_wrong_file(firstbyte: Shell, text: str, message: str) -> None:
    write(text)
    for arguments in (["run", "hello:app"], ["config"]):
        assert firstbyte(*arguments) == (1, "", f"firstbyte: firstbyte.toml:{message}\n")


@pytest.mark.parametrize("text", ["port = ", "port = [1,", "port", "host = 'y'", 'host = "a'])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_that_is_no_toml(firstbyte: Shell, text: str, end: str) -> None:
    write("host = 'x'\n" + text + end)  # the parser's words and its column are its own, and change with its version
    code, _, error = firstbyte("run", "hello:app")
    assert code == 1
    place = re.fullmatch(r"firstbyte: firstbyte\.toml:2:(\d+): not TOML: \w.*\n", error, re.DOTALL)
    assert place, error
    assert 1 <= int(place[1]) <= len(text) + 2


def test_a_file_that_cannot_be_read(firstbyte: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("latin.toml").write_bytes(b"port = 1\n# caf\xe9\n")
    assert "latin.toml:2: not UTF-8, as TOML must be" in firstbyte("run", "x", "--config", "latin.toml").err
    assert firstbyte("run", "x", "--config", ".").err == "firstbyte: . cannot be read: Is a directory\n"
    assert firstbyte("run", "x", "--config", "no.toml").err == "firstbyte: command line: there is no file no.toml\n"
    monkeypatch.setenv("FIRSTBYTE_CONFIG", "no.toml")
    assert firstbyte("run", "x").err == "firstbyte: FIRSTBYTE_CONFIG: there is no file no.toml\n"
    write("[tool.other]\n", "pyproject.toml")
    error = firstbyte("config", "--config", "pyproject.toml").err
    assert error == "firstbyte: pyproject.toml has no table [tool.firstbyte]\n"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PRT", "1", "FIRSTBYTE_PRT is no variable of firstbyte: did you mean FIRSTBYTE_PORT?"),
        ("LIMITS_BODY", "1", "FIRSTBYTE_LIMITS_BODY is no variable of firstbyte: did you mean FIRSTBYTE_LIMIT_BODY?"),
        ("port", "1", "FIRSTBYTE_port is no variable of firstbyte: did you mean FIRSTBYTE_PORT?"),
        ("QQQ", "", "FIRSTBYTE_QQQ is no variable of firstbyte: `firstbyte run --help` lists the options"),
        ("PORT", "abc", "FIRSTBYTE_PORT: expected a whole number, not 'abc'"),
        ("PORT", "70000", "FIRSTBYTE_PORT: 70000 is not in the range 0<=x<=65535"),
        ("DEBUG", "perhaps", "FIRSTBYTE_DEBUG: expected true or false, not 'perhaps'"),
        ("LIMIT_HEAD", "x", "FIRSTBYTE_LIMIT_HEAD: 'x' is no size: write a number, with k, M or G if you like"),
    ],
)
def test_a_wrong_variable(
    firstbyte: Shell, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"FIRSTBYTE_{variable}", value)
    assert firstbyte("run", "hello:app") == (1, "", f"firstbyte: {message}\n")


def test_two_variables_for_one_option(firstbyte: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBYTE_HOST", "::1")
    monkeypatch.setenv("FIRSTBYTE_BIND", "::1")
    assert re.search(r"FIRSTBYTE_\w+: \w+ is set by FIRSTBYTE_\w+ already", firstbyte("config", "folder").err)
    assert firstbyte.options("run")["host"] == ("::1", "FIRSTBYTE_HOST")


def test_variables_that_are_no_options(firstbyte: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PURE", "REQUIRE_COMPILED", "POLLER", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"FIRSTBYTE_{name}", "1")
    monkeypatch.setenv("FIRSTBYTE_PORT", "")  # as if it were not there
    assert {place for _, place in firstbyte.options().values()} == {"default"}


def test_no_variable_that_the_package_reads_is_taken_for_an_option() -> None:
    read = {
        name for path in SOURCES.rglob("*.py") for name in re.findall(r"\bFIRSTBYTE_[A-Z_]*[A-Z]\b", path.read_text())
    }
    assert "FIRSTBYTE_POLLER" in read
    assert {name for name in read if not _NO_OPTIONS.fullmatch(name)} == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "x", "--prot", "1"], "'--port'"),
        (["config", "--prot", "1"], "'--port'"),
        (["config", "rnu"], "No such command 'rnu'"),
        (["config", "run", "--limit-body", "much"], "Invalid value for '--limit-body': 'much' is no size"),
    ],
)
def test_wrong_usage(firstbyte: Shell, arguments: list[str], message: str) -> None:
    code, _, error = firstbyte(*arguments)
    assert code == 2
    assert message in error


def test_help(firstbyte: Shell) -> None:
    text = firstbyte("config", "--help").out
    assert {"run", "demo", "folder"} <= set(re.findall(r"^  (\w+) ", text, re.MULTILINE))
    assert "--json" in firstbyte("config", "run", "--help").out
    write("prot = 1")
    assert "FIRSTBYTE_CONFIG" in firstbyte("run", "--help").out


# Options of kinds that the commands above need not have.


def _positive(ctx: click.Context, param: click.Parameter, value: tuple[int, ...]) -> tuple[int, ...]:
    if any(each <= 0 for each in value):
        raise click.BadParameter("must be above zero")
    return value


@click.group()
def tool() -> None:
    pass


@tool.command()
@click.argument("paths", nargs=-1)
@click.option("--weight", multiple=True, type=Size(), callback=_positive)
@click.option("--pair", nargs=2, type=int)
@click.option("--tls-key-password")
@click.option("--auth", type=click.IntRange(1))
@click.option("--author")
@click.option("--work")
@config_option
def work(**options: Any) -> dict[str, Any]:
    return options


tool.add_command(ConfigGroup("config"))


def work_on(*arguments: str) -> dict[str, Any]:
    options: dict[str, Any] = tool.main(["work", *arguments], standalone_mode=False)
    return options


def test_lists(firstbyte: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    write('weight = ["1k",\n  2]\npair = [3, 4]\npaths = "a b"\n')
    options = work_on()
    assert (options["weight"], options["pair"], options["paths"]) == ((1024, 2), (3, 4), ("a b",))
    monkeypatch.setenv("FIRSTBYTE_WEIGHT", "5 6")
    monkeypatch.setenv("FIRSTBYTE_PATHS", "c d")
    assert (work_on()["weight"], work_on()["paths"]) == ((5, 6), ("c", "d"))
    assert (work_on("--weight", "7")["weight"], work_on("e")["paths"]) == ((7,), ("e",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weight = [1, true]", "weight: expected a string or a number, not true or false"),
        ("weight = [1, 'x']", "weight: 'x' is no size"),
        ("weight = [0]", "weight: must be above zero"),
        ("pair = 3", "pair: "),
        ("pair = [1, 2, 3]", "pair: "),
        ("auth = 'hidden'", "auth: expected a whole number; the value is secret and not shown"),
    ],
)
def test_wrong_lists_and_callbacks(firstbyte: Shell, text: str, message: str) -> None:
    write(text)
    with pytest.raises(ConfigurationError, match=re.escape(f"firstbyte.toml:1: {message}")) as caught:
        work_on()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_secrets_are_masked(
    firstbyte: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    write("auth = 12345\n")
    monkeypatch.setenv("FIRSTBYTE_TLS_KEY_PASSWORD", "open sesame")
    tool.main(["config", "work", "--author", "me", *form], standalone_mode=False)
    text = capsys.readouterr().out
    assert "sesame" not in text
    assert "12345" not in text
    assert text.count("********") == 2
    assert "me" in text


def test_the_table(firstbyte: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write("[work]\npair = [1, 2]\n")
    monkeypatch.setenv("FIRSTBYTE_WEIGHT", "1k")
    tool.main(["config", "work", "--author", "me"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [
        "option            value           from",
        "paths             -               default",
        "weight            1024            FIRSTBYTE_WEIGHT",
        "pair              1, 2            firstbyte.toml:2",
        "tls-key-password  -               default",
        "auth              -               default",
        "author            me              command line",
        "work              -               default",
        "config            firstbyte.toml  current folder",
    ]


def test_an_option_may_have_the_name_of_a_command(firstbyte: Shell) -> None:
    write('work = "hard"\n')
    assert work_on()["work"] == "hard"
    write('[work]\nwork = "harder"\n')
    assert work_on()["work"] == "harder"
