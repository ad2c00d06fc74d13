"""Words of our old dialect, each with the term to use instead, and the prose of each kind of public document.

Code stays out of it: wire names in backticks, commands in fenced blocks, expressions and tags of templates. What is
left is what a person reads.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

# A pattern, ignoring case, and what to write instead.
DIALECT: tuple[tuple[str, str], ...] = (
    (r"\bwish(es|ed)?\b", "request"),
    (r"(?<!dead )(?<!dead-)\bletters?\b", "dead letter"),
    (r"\bdesks?\b", "name the page or command"),
    (r"\bdoorbells?\b", "notification"),
    (r"\bstandstill\b|\bst(and|ands|ood|anding) still\b", "stuck"),
    (r"\bhow (it|they|[a-z]+ [a-z]+) stands?\b|\bst(ands|ood) (open|too long|between)\b", "state"),
    (r"\b(let|lets|letting) (it |them |[a-z]+ )?go\b", "release"),
    (r"\b(is|are|was|were|be|been|being) told\b|\btold again\b|\bfacts told\b", "published, or reported"),
    (r"\b(hear|hears|heard)\b", "receive"),
    (r"\bthe book (refus|know|say|hold|tell|told|has|agrees|and the bank)\w*", "the database, or the ledger"),
    (r"\brefused by the book\b", "constraint violation"),
    (r"\b(come|comes|came|coming) back\b", "return, retry or replay"),
    (r"\bcall(s|ed|ing)? (\w+ ){0,2}off\b", "cancel"),
    (r"\b(those|they) who ask\b|\bwhoever asks\b", "the caller"),
    (r"\b(give|gives|gave|given|giving) (\w+ ){0,2}back\b", "refund"),
    (r"\b(come|comes|came) to nothing\b", "fail"),
    (r"\bfour eyes\b", "a second operator must approve"),
    (r"\btakes? its time\b", "is processing"),
    (r"\bwell again\b", "resolved"),
    (r"\bdied of\b|\bdies of\b", "failure cause"),
    (r"\b(woke|wakes|woken)\b", "re-enqueue"),
    (r"\b(is|are|was|were) away\b", "unavailable"),
    (r"\bso many a second\b", "rate per second"),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of prose; `place` is a file and line, or a command."""

    place: str
    text: str


def dialect_in(sentences: Iterator[Sentence]) -> list[str]:
    """Each finding with its place and the term to use instead."""
    return [
        f"{sentence.place}: {found[0]!r} -> {instead}: {sentence.text.strip()[:120]}"
        for sentence in sentences
        for pattern, instead in DIALECT
        if (found := re.search(pattern, _without_code_spans(sentence.text), re.IGNORECASE))
    ]


def of_json(file: Path) -> Iterator[Sentence]:
    """The descriptions of an OpenAPI or AsyncAPI document or a JSON Schema, one value a line."""
    for place, line in _lines_of(file):
        if value := re.match(r'\s*"(?:summary|description|detail)": "(.*)",?$', line):
            yield Sentence(place, value[1])


def of_markdown(file: Path) -> Iterator[Sentence]:
    """All lines; of a fenced block only the comments behind its commands."""
    fenced = False
    for place, line in _lines_of(file):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        yield Sentence(place, line.partition(" # ")[2] if fenced else line)


def of_template(file: Path) -> Iterator[Sentence]:
    """Text, attributes that are read aloud or shown, and texts of several words that are given to macros."""
    source = file.read_text()
    for expression in re.finditer(r"\{[{%].*?[}%]\}", source, re.DOTALL):
        for literal in re.finditer(r'"([^"]* [^"]*)"', expression[0]):
            yield Sentence(_place(file, source, expression.start() + literal.start()), literal[1])
    bare = re.sub(r"\{[{%#].*?[}%#]\}", _blank, source, flags=re.DOTALL)
    for attribute in re.finditer(r'(?:title|placeholder|aria-label)="([^"]*)"', bare):
        yield Sentence(_place(file, bare, attribute.start()), attribute[1])
    for number, text in enumerate(re.sub(r"<[^>]*>", _blank, bare).splitlines(), start=1):
        yield Sentence(f"{file}:{number}", text)


def of_rules(file: Path) -> Iterator[Sentence]:
    """Summaries and descriptions of alerts."""
    for place, line in _lines_of(file):
        if value := re.match(r"\s*(?:summary|description): (.*)", line):
            yield Sentence(place, re.sub(r"\{\{.*?\}\}", " ", value[1]))


def of_log_lines(file: Path) -> Iterator[Sentence]:
    """The texts of calls such as `logger.info("...")`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"debug", "info", "warning", "error", "critical"}
            and "logger" in ast.unparse(node.func.value)
        ):
            yield Sentence(f"{file}:{node.lineno}", ast.unparse(node.args[0]))


def of_texts(file: Path) -> Iterator[Sentence]:
    """The docstrings and texts of several words of a Python file; what an f-string puts in is left out."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield Sentence(f"{file}:{node.lineno}", node.value)


def of_command(command: click.Command, name: str) -> Iterator[Sentence]:
    """The help of a command, of its options and arguments, and of all its subcommands."""
    yield Sentence(f"{name} --help", command.help or "")
    for parameter in command.params:
        yield Sentence(f"{name} --help, {parameter.name}", getattr(parameter, "help", None) or "")
    for subcommand_name, subcommand in getattr(command, "commands", {}).items():
        yield from of_command(subcommand, f"{name} {subcommand_name}")


def _lines_of(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        yield f"{file}:{number}", line


def _place(file: Path, source: str, position: int) -> str:
    return f"{file}:{source.count(chr(10), 0, position) + 1}"


def _blank(code: re.Match[str]) -> str:
    """Nothing of it, but as many lines."""
    return " " + "\n" * code[0].count("\n")


def _without_code_spans(text: str) -> str:
    return re.sub(r"`[^`]*`", " ", text)
