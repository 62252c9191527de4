"""Parameters as data: declared once, read by forms, serializers, `/api/info`, docs and the engine. No torch, no Django.

The declarations themselves are in parameters.py; this file says what a parameter is and which values it takes."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

ParamType = Literal["int", "float", "enum", "bool", "string", "string_list"]


class BadParam(ValueError):
    """A value that cannot be used; the message names the parameter, the value and the bound."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Param:
    """One knob. `step` is the control's step, `unit` is shown behind the number, `label` is the plain word for it.
    `labels` are plain words for the choices, in their order, where the choices themselves are none."""

    name: str
    type: ParamType
    default: Any
    label: str
    help: str
    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: tuple[Any, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = ""
    expert: bool = False

    def clean(self, value: Any) -> Any:
        """The value in its type, or BadParam. None means the default."""
        if value is None:
            return self.default
        return _CLEAN[self.type](self, value)

    def said(self, choice: Any) -> str:
        """A choice in plain words, with its unit."""
        word = self.labels[self.choices.index(choice)] if self.labels and choice in self.choices else choice
        return f"{word} {self.unit}".strip()

    def schema(self) -> dict[str, Any]:
        """As `/api/info` shows it (BEHAVIOUR: wired, options)."""
        data = {key: value for key, value in asdict(self).items() if key not in {"name", "choices", "labels"}}
        return {**data, "wired": True, **({"options": list(self.choices)} if self.choices else {})}


def _number(param: Param, value: Any) -> float:
    if isinstance(value, bool):
        raise BadParam(param.name, f"{param.name} must be a number, not {value!r}.")
    try:
        number = float(value.strip() if isinstance(value, str) else value)
    except OverflowError:
        raise BadParam(param.name, f"{param.name} is too large a number.") from None
    except (TypeError, ValueError):
        raise BadParam(param.name, f"{param.name} must be a number, not {value!r}.") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise BadParam(param.name, f"{param.name} must be a finite number.")
    if param.min is not None and number < param.min:
        raise BadParam(param.name, f"{param.name} is {value}, but must be at least {param.min:.10g}.")
    if param.max is not None and number > param.max:
        raise BadParam(param.name, f"{param.name} is {value}, but must be at most {param.max:.10g}.")
    return number


def _integer(param: Param, value: Any) -> int:
    number = _number(param, value)
    if not number.is_integer():
        raise BadParam(param.name, f"{param.name} must be a whole number, not {value}.")
    return int(number)


def _enum(param: Param, value: Any) -> Any:
    for option in param.choices:
        if option == value or str(option) == str(value):
            return option
    options = ", ".join(str(option) for option in param.choices)
    raise BadParam(param.name, f"{param.name} is {value!r}, but must be one of {options}.")


def _bool(param: Param, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in {"true", "on", "1"}:
        return True
    if str(value).lower() in {"false", "off", "0", ""}:
        return False
    raise BadParam(param.name, f"{param.name} must be true or false, not {value!r}.")


def _string(param: Param, value: Any) -> str:
    if not isinstance(value, str):
        raise BadParam(param.name, f"{param.name} must be text.")
    if param.max is not None and len(value) > param.max:
        raise BadParam(param.name, f"{param.name} has {len(value)} characters; at most {param.max:g} are allowed.")
    return value


def _strings(param: Param, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(line, str) for line in value):
        raise BadParam(param.name, f"{param.name} must be a list of lines.")
    return [line.strip() for line in value if line.strip()]


_CLEAN: dict[str, Any] = {
    "int": _integer,
    "float": _number,
    "enum": _enum,
    "bool": _bool,
    "string": _string,
    "string_list": _strings,
}


def clean_all(params: tuple[Param, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Every parameter with its value or default. BadParam: a value out of range, or a name that nothing reads."""
    known = {param.name for param in params}
    for name in values:
        if name not in known:
            raise BadParam(name, f"{name} is not a parameter here. Known: {', '.join(sorted(known))}.")
    return {param.name: param.clean(values.get(param.name)) for param in params}
