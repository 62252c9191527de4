"""The generate form: who, what, how strongly, and every knob the base reads."""

from typing import Any

from django import forms
from django.conf import settings

from generation import grid, shapes, styles, wearing, wildcards
from generation.composing import MAX_PROMPT, SEED_MODES
from generation.given import Given
from generation.services import MAX_BATCHES, MAX_COUNT
from generation.shapes import Shape
from generation.wearing import Worn
from isengard.engine import catalog, samplers, tools
from isengard.engine.guides import found
from isengard.engine.params import Param
from isengard.forms import field_for, values

# Shown in the form's own words; the rest of the base's knobs are behind "more".
OWN = ("lora_strength", "count", "width", "height", "seed")
COUNTS = (1, 2, 4, MAX_COUNT)
SIDES = tuple(f"expand_{side}" for side in tools.SIDES)
# Rows for LoRAs beside the first one.
MORE_LORAS = (2, 3, 4)
CUSTOM = "custom"
GONE = "This LoRA was deleted or is for another base. Choose another one."
# Which axis comes first, and what to write into it.
GRID_ORDER = ("strength", "lora", "steps", "guidance_scale", "sampler", "seed", "replace", "prompt")
GRID_HINTS = {
    "strength": "Numbers with commas between: 0.6, 0.8, 1",
    "prompt": "One a line; each takes the place of the prompt above.",
    "replace": "With commas: the first stands in the prompt and is replaced by the others: red hat, blue cap",
    "seed": "Numbers with commas between: 1, 2, 3",
    "steps": "Numbers with commas between: 10, 20, 30",
    "guidance_scale": "Numbers with commas between: 2, 3.5, 5",
}


class GenerateForm(forms.Form):
    """Built for one base; the LoRAs offered are those that fit it."""

    prompt = forms.CharField(
        max_length=MAX_PROMPT,
        error_messages={"required": "Describe the picture in a few words."},
        widget=forms.Textarea(
            {
                "class": "form-control",
                "rows": 3,
                "data-search": "",
                "data-testid": "prompt-input",
                "data-enables": "#generate-button",
            }
        ),
    )
    batches = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_BATCHES,
        initial=1,
        help_text="So many requests like this one, each a job of its own; their seeds go on.",
        widget=forms.NumberInput({"class": "form-control"}),
    )
    seeds = forms.ChoiceField(required=False, choices=list(SEED_MODES.items()), initial="increment")

    def __init__(self, *args: Any, base: str, given: Given | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
        self.base, self.given = catalog.get(base), given or Given()
        self.tool, self.sized = self.given.facts, self.given.facts.sized == "request"
        self.params = tools.params(self.tool.key, self.base)
        self.guides = self._guides()
        self.offered = {worn.key: worn for worn in wearing.offered(base)}
        self.known_styles = styles.every()
        self.wildcards = wildcards.names()
        for param in (*self.params, *self.guide_params()):
            self.fields[param.name] = field_for(param)
        for name in SIDES:
            if name in self.fields:
                self.fields[name].help_text = ""
        self._add_wearing()
        self._add_choices()
        self._add_grid()

    def _guides(self) -> list[dict[str, Any]]:
        """Control and reference picture, each with the reason why it cannot be used here, if so."""
        rows = self.given.guides()
        return [row | {"reason": found.why_not(row["input"].name, self.base, settings.MODELS_DIR)} for row in rows]

    def guide_params(self) -> tuple[Param, ...]:
        """Knobs of the guides that can be used here."""
        return found.params({row["input"].name for row in self.guides if not row["reason"]})

    def guide_fields(self) -> list[forms.BoundField]:
        return [self[param.name] for param in self.guide_params()]

    def tool_fields(self) -> list[forms.BoundField]:
        """The tool's own knobs, the plain ones; the four sides stand together (`side_fields`)."""
        own = [param.name for param in tools.own_params(self.tool.key, self.base) if not param.expert]
        return [self[name] for name in own if name not in SIDES]

    def side_fields(self) -> list[forms.BoundField]:
        """How far a picture grows on each side, of the tool that does so."""
        return [self[name] for name in SIDES if name in self.fields]

    @property
    def source(self) -> dict[str, Any] | None:
        """The picture that the tool works on, once it is chosen."""
        return next((row for row in self.given.rows() if row["input"].name == "source" and row["key"]), None)

    @property
    def paints(self) -> bool:
        """Whether a mask is painted in this form."""
        return self.source is not None and any(one.kind == "mask" for one in self.tool.inputs)

    def tool_choices(self) -> list[tools.Tool]:
        return list(tools.TOOLS.values())

    def _add_wearing(self) -> None:
        self.fields["lora"] = _wearing_field(self.offered, f"Nobody: {self.base.label} alone")
        for number in MORE_LORAS:
            self.fields[f"lora_{number}"] = _wearing_field(self.offered, "None")
            self.fields[f"strength_{number}"] = forms.FloatField(
                required=False,
                min_value=0,
                max_value=wearing.STRONGEST,
                widget=forms.NumberInput({"class": "form-control", "step": "any", "placeholder": "as usual"}),
            )

    def _add_grid(self) -> None:
        """A field for each kind of axis; those that are filled count."""
        worn = [(key, one.name) for key, one in self.offered.items()]
        self.fields["grid_lora"] = _several("lora", worn, {"error_messages": {"invalid_choice": GONE}})
        ways = [(one.key, one.offer) for one in samplers.offered(self.base)]
        self.fields["grid_sampler"] = _several("sampler", ways)
        for kind, hint in GRID_HINTS.items():
            lines = forms.Textarea({"class": "form-control", "rows": 2}) if kind == "prompt" else None
            self.fields[f"grid_{kind}"] = forms.CharField(
                label=grid.KINDS[kind],
                required=False,
                max_length=10_000,
                help_text=hint,
                widget=lines or forms.TextInput({"class": "form-control"}),
            )

    def grid_fields(self) -> list[forms.BoundField]:
        known = {param.name for param in self.params}
        left_out = () if self.offered else ("lora", "strength")
        absent = {kind for kind in grid.KNOBS if kind not in known}
        return [self[f"grid_{kind}"] for kind in GRID_ORDER if kind not in (*left_out, *absent)]

    def grid_wrong(self) -> bool:
        return any(field.errors or field.value() for field in self.grid_fields())

    most_cells = grid.MOST_CELLS

    def axes(self) -> list[grid.Axis]:
        """The axes that a right form names, in their order."""
        found = [(kind, self.cleaned_data.get(f"grid_{kind}")) for kind in GRID_ORDER]
        return [grid.Axis(kind, _axis_values(kind, value)) for kind, value in found if value]

    def _add_choices(self) -> None:
        ratios = [(shape.ratio, shape.ratio) for shape in shapes.shapes_for(self.base)]
        self.fields["shape"] = forms.ChoiceField(required=False, choices=[*ratios, (CUSTOM, "Custom")])
        tiers = [(one.key, one.label) for one in shapes.QUALITIES]
        self.fields["quality"] = forms.ChoiceField(required=False, choices=tiers)
        names = [(style.name, style.name) for style in self.known_styles]
        self.fields["styles"] = forms.MultipleChoiceField(
            required=False, choices=names, widget=forms.CheckboxSelectMultiple()
        )
        # The quality says how many steps, unless somebody does.
        steps = self.fields["steps"]
        steps.initial, steps.widget.attrs["placeholder"] = None, str(shapes.steps_of(self.base, self.tier()))

    def tier(self) -> str:
        """The quality that the form means now."""
        asked = str(self["quality"].value() or "")
        return asked if asked in {one.key for one in shapes.QUALITIES} else shapes.USUAL

    def more_fields(self) -> list[forms.BoundField]:
        shown = {*OWN, *SIDES, *(field.name for field in self.tool_fields())}
        return [self[param.name] for param in self.params if param.name not in shown]

    def more_wrong(self) -> bool:
        """A section with an error must not be shut."""
        size = (self["width"], self["height"]) if self.sized else ()
        own = (*size, self["seed"], self["seeds"], self["batches"])
        return any(field.errors for field in (*own, *self.more_fields()))

    def second_row(self) -> tuple[forms.BoundField, forms.BoundField] | None:
        """The other character, of a tool that needs two."""
        return self._lora_row(MORE_LORAS[0]) if self.tool.loras > 1 else None

    def lora_rows(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return [self._lora_row(number) for number in MORE_LORAS[1 if self.second_row() else 0 :]]

    def _lora_row(self, number: int) -> tuple[forms.BoundField, forms.BoundField]:
        return self[f"lora_{number}"], self[f"strength_{number}"]

    def loras_wrong(self) -> bool:
        return any(field.errors for row in self.lora_rows() for field in row)

    def shape_choices(self) -> list[dict[str, Any]]:
        """The shapes in the quality's sizes, with the one that the form means marked."""
        asked = str(self["shape"].value() or "")
        if not self.sized:
            return []
        size = (str(self["width"].value()), str(self["height"].value()))
        offered = shapes.shapes_for(self.base, self.tier())
        here = [shape for shape in offered if asked == shape.ratio or (not asked and size == _sides(shape))]
        return [{"shape": shape, "checked": shape in here[:1]} for shape in offered]

    def is_custom(self) -> bool:
        return not any(choice["checked"] for choice in self.shape_choices())

    def chosen_shape(self) -> Shape | None:
        return next((choice["shape"] for choice in self.shape_choices() if choice["checked"]), None)

    def quality_choices(self) -> list[dict[str, Any]]:
        return [{"quality": one, "checked": one.key == self.tier()} for one in shapes.QUALITIES]

    def quality_steps(self) -> int:
        return shapes.steps_of(self.base, self.tier())

    def counts(self) -> list[dict[str, Any]]:
        chosen = str(self["count"].value())
        known = {str(count) for count in COUNTS}
        return [
            {"count": count, "checked": str(count) == chosen or (chosen not in known and count == 1)}
            for count in COUNTS
        ]

    def asked(self) -> dict[str, Any]:
        """What the service is asked, of a form that is right."""
        cleaned = self.cleaned_data
        shape = cleaned["shape"]
        return {
            "prompt": cleaned["prompt"],
            "worn": self.offered.get(cleaned["lora"]),
            "strength": cleaned["lora_strength"],
            "more": self._more(),
            "styles": cleaned["styles"],
            "count": cleaned["count"] or 1,
            "batches": cleaned["batches"] or 1,
            "seed": cleaned["seed"],
            "seeds": cleaned["seeds"] or "increment",
            "aspect_ratio": "" if shape == CUSTOM else shape,
            "quality": cleaned["quality"],
            "values": self.picture_values(),
            "tool": self.tool.key,
            "inputs": self.given.keys,
            "source": self.given.origin,
        }

    def _more(self) -> list[tuple[Worn, float | None]]:
        rows = [(self.cleaned_data[f"lora_{at}"], self.cleaned_data[f"strength_{at}"]) for at in MORE_LORAS]
        return [(self.offered[key], strength) for key, strength in rows if key]

    def picture_values(self) -> dict[str, Any]:
        """The knobs of the pictures themselves, without those that the service takes by name.

        A named shape says the size; only a custom one is given by number."""
        others = {"seed", "count", "lora_strength"}
        if self.cleaned_data["shape"] not in ("", CUSTOM):
            others |= {"width", "height"}
        known = (*self.params, *found.params(set(self.given.keys)))
        return {name: value for name, value in values(known, self.cleaned_data).items() if name not in others}


def _axis_values(kind: str, value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else value.splitlines() if kind == "prompt" else value.split(",")
    return tuple(part.strip() for part in parts if part.strip())


def _several(kind: str, choices: list[tuple[str, str]], more: dict[str, Any] | None = None) -> forms.Field:
    label, widget = grid.KINDS[kind], forms.CheckboxSelectMultiple()
    return forms.MultipleChoiceField(label=label, required=False, choices=choices, widget=widget, **(more or {}))


def _sides(shape: Shape) -> tuple[str, str]:
    return str(shape.width), str(shape.height)


def _wearing_field(offered: dict[str, Worn], nobody: str) -> forms.ChoiceField:
    loras = [(worn.key, f"{worn.name} ({worn.trigger})") for worn in offered.values() if worn.lora]
    saved = [(worn.key, worn.name) for worn in offered.values() if not worn.lora]
    groups = [("Checkpoints", saved)] if saved else []
    return forms.ChoiceField(
        choices=[("", nobody), *loras, *groups],
        required=False,
        error_messages={"invalid_choice": GONE},
        widget=forms.Select({"class": "form-select"}),
    )
