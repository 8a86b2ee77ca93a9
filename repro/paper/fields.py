"""The kinds of a field in `paper.toml`: what each one accepts, and what it says of anything else."""

import math
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, PlainValidator

from repro.files import Many

T = TypeVar("T")


class Printed(float):
    """A number that keeps its digits as text: 92.10 has four significant digits, 92.1 three."""

    text: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {value!r}; write it without quotes")
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number, not {value}; leave the field out where nothing is known")
    return value


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; say it in a few words")
    return text


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise ValueError("must be a list of different names; write one at least, and none twice")
    return names


def once(field: str) -> AfterValidator:
    """Of a list of entries: none has the same ``field`` as another."""

    def check(entries: tuple[T, ...]) -> tuple[T, ...]:
        values = [getattr(entry, field) for entry in entries]
        if twice := [value for value in values if values.count(value) > 1]:
            raise ValueError(f"{field} {twice[0]!r} stands twice; give one of them another {field}")
        return entries

    return AfterValidator(check)


Number = Annotated[float, PlainValidator(number)]
Words = Annotated[str, AfterValidator(_words)]
Names = Annotated[Many[Words], AfterValidator(_different)]


def with_unit(value: float | str, unit: str) -> str:
    return f"{value} {unit}" if unit else str(value)
