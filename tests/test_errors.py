from __future__ import annotations

import inspect
import pickle
import re

import pytest
from sqlalchemy.exc import DontWrapMixin

from agentdb import errors
from agentdb.errors import AgentDBError

CLASSES: dict[str, type[AgentDBError]] = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, AgentDBError)
}
ARGUMENTS = {
    "constraint": "uq_users_email",
    "limit": 3,
    "lost": True,
    "reason": "expired",
    "table": "users",
    "column": "email",
}

every_class = pytest.mark.parametrize("name", sorted(CLASSES))


def made(name: str) -> AgentDBError:
    """Return an error with all that its class takes."""
    kind = CLASSES[name]
    taken = inspect.signature(kind.__init__).parameters
    return kind("a sentence", **{key: ARGUMENTS[key] for key in taken if key in ARGUMENTS})


def drawn() -> dict[str, str]:
    """Return the parent of each class as the tree in the docstring draws it."""
    lines = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    path: list[str] = []
    parents: dict[str, str] = {}
    for indent, name in lines:
        del path[len(indent) // 4 :]
        parents[name] = path[-1] if path else "Exception"
        path.append(name)
    return parents


def test_the_tree_of_errors_is_as_drawn() -> None:
    """The docstring of the module shows every class below its parent."""
    parents = {name: kind.__bases__[-1].__name__ for name, kind in CLASSES.items()}

    assert parents == drawn()


@every_class
def test_an_error_shows_its_sentence_alone(name: str) -> None:
    """Neither what it knows besides nor what caused it."""
    error = made(name)
    error.__cause__ = ValueError("sk-canary")
    error.__context__ = error.__cause__
    sentence = "users.email: a sentence" if hasattr(error, "column") else "a sentence"

    assert str(error) == sentence
    assert repr(error) == f"{name}({sentence!r})"


@every_class
def test_an_error_passes_sqlalchemy_unwrapped(name: str) -> None:
    """Raised in a type or an event, it arrives as it is, without the statement and the values."""
    assert issubclass(CLASSES[name], DontWrapMixin)


@every_class
def test_an_error_passes_between_processes(name: str) -> None:
    """A worker's error is raised in its parent with class, message and attributes."""
    error = made(name)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 -- pickled in the line before

    assert type(error) is type(again)
    assert (str(error), vars(error)) == (str(again), vars(again))


@every_class
def test_an_error_says_what_it_means(name: str) -> None:
    """The message is a sentence of ours; the column it is about stands in front."""
    error = made(name)
    place = "users.email: " if hasattr(error, "column") else ""

    assert f"{place}a sentence" == str(error)
    assert (CLASSES[name].__doc__ or "").strip()
