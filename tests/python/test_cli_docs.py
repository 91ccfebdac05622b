"""docs/cli.md and --help name every command and option; shells complete them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli_helpers import run
from persisting.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
GROUP = typer.main.get_command(app)


def test_the_page_names_every_command_and_option():
    missing = []
    for name, command in GROUP.commands.items():
        heading = f"### {name}\n"
        if heading not in PAGE:
            missing.append(name)
            continue
        section = PAGE.split(heading, 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
        assert f"persisting {name}" in section, f"{name} has no example"
        for option in command.params:
            names = option.opts if option.param_type_name == "option" else [option.metavar]
            missing += [f"{name} {each}" for each in names if f"`{each}" not in section]
    for option in GROUP.params:
        missing += [each for each in option.opts if f"`{each}`" not in PAGE]
    assert missing == []


def test_the_page_names_no_option_that_is_none():
    known = {each for command in GROUP.commands.values() for p in command.params for each in p.opts}
    known |= {each for option in GROUP.params for each in option.opts} | {"--help"}
    blocks = re.findall(r"^    persisting .*|`(--?[a-z-]+)", PAGE, re.MULTILINE)
    assert {each for each in blocks if each} <= known


def test_the_commands_of_the_page_parse():
    examples = re.findall(r"^\$ (persisting .*)$", PAGE, re.MULTILINE)
    assert len(examples) > len(GROUP.commands)
    for example in examples:
        words = shlex.split(example.split(" | ")[-1 if example.startswith("zcat") else 0])
        check_parses(words[1:])


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_help_has_an_example_that_parses(name):
    ended = run(name, "--help")
    assert (ended.status, ended.err) == (0, "")
    text = " ".join(ended.out.split())
    example = re.search(r"Example: persisting (.*)$", text)[1]
    words = shlex.split(example.split(" | ")[0])
    assert words[0] == name
    check_parses(words)


def check_parses(words):
    name, *arguments = [each for each in words if each != "--debug"]
    if name.startswith("--"):
        return
    GROUP.commands[name].make_context(name, arguments, resilient_parsing=False).close()


def test_help_lists_every_command_in_full():
    text = run("--help").out
    for name in GROUP.commands:
        (line,) = [each for each in text.splitlines() if each.split()[:1] == [name]]
        assert not line.endswith("...")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell):
    """The script that typer makes; bash runs it."""
    folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    script = subprocess.run(
        ["persisting"],
        env={**environment, "_PERSISTING_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "_PERSISTING_COMPLETE=complete_" + shell in script
    if shell == "bash":
        function = re.search(r"^(_\w+)\(\)", script, re.MULTILINE)[1]
        program = (
            f"{script}\nCOMP_WORDS=(persisting ser); COMP_CWORD=1\n{function} persisting\n"
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        found = subprocess.run(
            ["bash", "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert found.stdout.split() == ["serve-metrics"]


def test_completion_of_zsh_words():
    found = subprocess.run(
        [Path(sys.executable).parent / "persisting"],
        env={
            **os.environ,
            "_PERSISTING_COMPLETE": "complete_zsh",
            "_TYPER_COMPLETE_ARGS": "persisting ver",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "verify" in found.stdout
    assert "recover" not in found.stdout
