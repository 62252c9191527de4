"""The knobs of each base model, declared once. Only what trainer or sampler truly read is here (a test proves it).

Defaults: for FLUX.1-dev the middle of published practice (rank = alpha 16, 1e-4, sigmoid timesteps, guidance 1.0 in
training, sampling at 3.5); for Pocket what was measured on it. Imports no torch."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isengard.engine import samplers
from isengard.engine.params import BadParam, Param

if TYPE_CHECKING:
    from isengard.engine.catalog import Base

MAX_SEED = 2**31 - 1

STEPS = Param(
    name="steps",
    type="int",
    default=1000,
    min=100,
    max=10000,
    step=50,
    label="Steps",
    help="How long it learns. Too few: little likeness. Too many: every picture looks like a training photo.",
)
LEARNING_RATE = Param(
    name="learning_rate",
    type="float",
    default=1e-4,
    min=1e-6,
    max=1,
    step=1e-6,
    label="Learning rate",
    help="How much each step changes. Higher learns faster and breaks sooner. At most 0.01, but for Prodigy, which "
    "finds the rate itself: there it is a factor of what was found, and 1 is right.",
)
LORA_RANK = Param(
    name="lora_rank",
    type="enum",
    default=16,
    choices=(4, 8, 16, 32, 64, 128),
    label="LoRA rank",
    help="How much the LoRA can hold, and how large its file is. 16 is enough for one face.",
)
LORA_ALPHA = Param(
    name="lora_alpha",
    type="float",
    default=0.0,
    min=0,
    max=256,
    step=1,
    label="LoRA alpha",
    help="What the LoRA learns counts alpha ÷ rank: half the rank is as half the learning rate. 0: the same as the "
    "rank. The finished file has it worked in, so a strength of 1 is always what was trained.",
    expert=True,
)
LORA_LAYERS = Param(
    name="lora_layers",
    type="enum",
    default="blocks",
    choices=("attention", "blocks", "blocks and prompt"),
    label="Layers",
    help="What the LoRA changes. attention: a small file and a quick step, and less likeness. blocks: attention and "
    "MLP, as is usual. blocks and prompt: also the two layers where the whole prompt enters; the trigger word is told "
    "from other names much sooner, but fewer tools know such files.",
    expert=True,
)
STEPS_PER_IMAGE = Param(
    name="steps_per_image",
    type="int",
    default=0,
    min=0,
    max=500,
    step=5,
    unit="steps",
    label="Steps per photo",
    help="Sets the number of steps from the number of photos, instead of Steps: 100 is the middle of what is published "
    "for one face. 0: Steps counts.",
    expert=True,
)
OPTIMIZER = Param(
    name="optimizer",
    type="enum",
    default="adamw",
    choices=("adamw", "adamw8bit", "prodigy", "adafactor"),
    label="Optimizer",
    help="How a step is made of what was seen. adamw: usual and quick. adamw8bit: a quarter of its memory. prodigy: "
    "finds the learning rate itself (set it to 1). adafactor: least memory; some lose likeness with it.",
    expert=True,
)
WEIGHT_DECAY = Param(
    name="weight_decay",
    type="float",
    default=1e-4,
    min=0,
    max=1,
    step=1e-5,
    label="Weight decay",
    help="How strongly each step pulls the LoRA back towards no change.",
    expert=True,
)
TIMESTEP_SAMPLING = Param(
    name="timestep_sampling",
    type="enum",
    default="sigmoid",
    choices=("sigmoid", "uniform", "shift"),
    label="Noise levels",
    help="Which noise levels it learns at. sigmoid: mostly the middle ones, where a face takes shape. uniform: all "
    "alike. shift: as in drawing at this size, more of the strong ones, where the composition is made.",
    expert=True,
)
TRAINING_GUIDANCE = Param(
    name="training_guidance",
    type="float",
    default=1.0,
    min=1,
    max=10,
    step=0.5,
    label="Guidance in training",
    help="The guidance scale that the model is told while it learns. Nearly everybody trains with 1 and draws with 3 "
    "to 4.",
    expert=True,
)
EMA_DECAY = Param(
    name="ema_decay",
    type="float",
    default=0.0,
    min=0,
    max=0.9999,
    step=0.001,
    label="Average over steps (EMA)",
    help="Previews, checkpoints and the LoRA are a running average of the last steps: 0.99 is about the last hundred, "
    "and steadier than the last step alone. 0: the last step as it is.",
    expert=True,
)
GRADIENT_CHECKPOINTING = Param(
    name="gradient_checkpointing",
    type="enum",
    default="auto",
    choices=("auto", "on", "off"),
    label="Gradient checkpointing",
    help="Computes parts of a step twice instead of keeping them in memory: a third slower, far less memory. auto: "
    "only where memory asks for it.",
    expert=True,
)
QUANTIZE = Param(
    name="quantize",
    type="enum",
    default="none",
    choices=("none", "int8"),
    label="Quantised base",
    help="Keeps the base's large layers in 8 bits while it learns: half the memory of bf16, a little slower, hardly a "
    "difference in the LoRA. The LoRA fits the base as it is.",
    expert=True,
)
RESOLUTION = Param(
    name="resolution",
    type="enum",
    default=1024,
    choices=(512, 768, 1024),
    unit="px",
    label="Resolution",
    help="The side of the square whose area each photo is scaled to. Smaller is faster and needs less memory.",
)
BATCH_SIZE = Param(
    name="batch_size",
    type="enum",
    default=1,
    choices=(1, 2, 4),
    label="Batch size",
    help="Photos per step. More is steadier and slower, and needs more memory.",
)
SAMPLE_EVERY = Param(
    name="sample_every_n_steps",
    type="int",
    default=100,
    min=50,
    max=1000,
    step=10,
    unit="steps",
    label="Sample every",
    help="How often pictures are drawn to watch it learn.",
)
SAMPLE_COUNT = Param(
    name="sample_count",
    type="int",
    default=3,
    min=1,
    max=5,
    step=1,
    label="Pictures per sample",
    help="How many of the sample prompts are drawn each time.",
)
SAMPLE_PROMPTS = Param(
    name="sample_prompts",
    type="string_list",
    default=(),
    label="Sample prompts",
    help="One a line; {trigger_word} stands for the trigger word. Empty: a set of portraits.",
)
CHECKPOINT_EVERY = Param(
    name="checkpoint_every_n_steps",
    type="int",
    default=250,
    min=100,
    max=2000,
    step=50,
    unit="steps",
    label="Checkpoint every",
    help="How often the LoRA is kept as it is then. A training that is interrupted goes on from the last one.",
)
MAX_CHECKPOINTS = Param(
    name="max_checkpoints",
    type="int",
    default=2,
    min=1,
    max=20,
    step=1,
    label="Checkpoints to keep",
    help="The newest, the one with the lowest loss, and others spread over the training. Pinned ones come on top; the "
    "finished LoRA is always kept.",
)
SEED = Param(
    name="seed",
    type="int",
    default=42,
    min=0,
    max=MAX_SEED,
    step=1,
    label="Seed",
    help="The same photos, settings and seed give the same LoRA.",
    expert=True,
)
WARMUP_STEPS = Param(
    name="warmup_steps",
    type="int",
    default=50,
    min=0,
    max=1000,
    step=10,
    unit="steps",
    label="Warm-up",
    help="The learning rate rises from zero over so many steps, so that the first ones break nothing.",
    expert=True,
)
LR_SCHEDULE = Param(
    name="lr_schedule",
    type="enum",
    default="constant",
    choices=("constant", "linear", "cosine"),
    label="Rate over time",
    help="How the learning rate goes on after the warm-up. constant stays; linear falls from the half of the steps on; "
    "cosine falls gently all the way. A falling rate ends on cleaner pictures.",
    expert=True,
)
GRADIENT_ACCUMULATION = Param(
    name="gradient_accumulation",
    type="int",
    default=1,
    min=1,
    max=8,
    step=1,
    label="Gradient accumulation",
    help="Batches that are added up before one step: the effect of a larger batch without its memory.",
    expert=True,
)
CAPTION_DROPOUT = Param(
    name="caption_dropout",
    type="float",
    default=0.05,
    min=0,
    max=0.5,
    step=0.01,
    label="Caption dropout",
    help="The share of photos that are shown without their caption.",
    expert=True,
)
CLASS_IMAGES = Param(
    name="class_images",
    type="int",
    default=0,
    min=0,
    max=128,
    step=8,
    label="Class pictures",
    help="Pictures of other people, drawn by the base itself and mixed into half of each batch, so that only the "
    "trigger word calls the face. 0: none. Preservation keeps others better, but takes longer for each step.",
    expert=True,
)
MASKED_LOSS = Param(
    name="masked_loss",
    type="float",
    default=1.0,
    min=0,
    max=1,
    step=0.05,
    label="Weight of the background (masked loss)",
    help="How much of what lies outside a photo's mask is learnt: 0.1 learns the person and hardly the room, 1 learns "
    "all of the photo alike. Only photos that have a mask are changed by it.",
    expert=True,
)
PRESERVATION = Param(
    name="preservation",
    type="float",
    default=0.0,
    min=0,
    max=10,
    step=0.1,
    label="Keep others",
    help="How strongly everybody without the trigger word is held to what the base makes of them. 0: not at all, and a "
    "step is about two and a half times as quick; too high: the face comes late.",
    expert=True,
)
PRECISION = Param(
    name="precision",
    type="enum",
    default="bf16",
    choices=("bf16", "fp32"),
    label="Precision",
    help="The number format of the base model. bf16 halves the memory; fp32 is for machines without bf16.",
    expert=True,
)

TRAINING = (
    STEPS,
    LEARNING_RATE,
    LORA_RANK,
    LORA_LAYERS,
    RESOLUTION,
    BATCH_SIZE,
    SAMPLE_EVERY,
    SAMPLE_COUNT,
    SAMPLE_PROMPTS,
    CHECKPOINT_EVERY,
    MAX_CHECKPOINTS,
    SEED,
    WARMUP_STEPS,
    LR_SCHEDULE,
    GRADIENT_ACCUMULATION,
    CAPTION_DROPOUT,
    CLASS_IMAGES,
    MASKED_LOSS,
    PRESERVATION,
    LORA_ALPHA,
    STEPS_PER_IMAGE,
    OPTIMIZER,
    WEIGHT_DECAY,
    TIMESTEP_SAMPLING,
    EMA_DECAY,
    GRADIENT_CHECKPOINTING,
)
# What a training meant that was stored before these knobs existed.
BEFORE = {
    "lora_layers": "blocks",
    "lr_schedule": "constant",
    "preservation": 0.0,
    "lora_alpha": 0.0,
    "steps_per_image": 0,
    "optimizer": "adamw",
    "weight_decay": 1e-4,
    "timestep_sampling": "sigmoid",
    "training_guidance": 1.0,
    "ema_decay": 0.0,
    "gradient_checkpointing": "auto",
    "quantize": "none",
}
HIGHEST_RATE = 1e-2
LEAST_FACTOR = 0.01  # of the rate that Prodigy finds


def flux_training(base: "Base") -> tuple[Param, ...]:
    """Those that train another's weights: bf16, a guidance input to answer to, a size that may not fit."""
    own = (TRAINING_GUIDANCE,) if base.guidance == "embedded" else ()
    return (*TRAINING, *own, PRECISION, QUANTIZE)


def settled(params: dict[str, Any], pictures: int) -> dict[str, Any]:
    """The parameters of a training on so many pictures (crops count), `steps` being what will be taken.

    Asked twice it gives the same. BadParam: values that contradict each other."""
    params = {**params, "steps": steps_of(params, pictures)}
    _refuse_contradictions(params)
    return params


def steps_of(params: dict[str, Any], pictures: int) -> int:
    """How many steps a training on so many pictures takes: `steps_per_image` of each, where it is set."""
    wanted = int(params.get("steps_per_image", 0)) * pictures
    return min(wanted, int(STEPS.max or wanted)) if wanted else int(params["steps"])


def _refuse_contradictions(params: dict[str, Any]) -> None:
    rate, warmup, steps = params["learning_rate"], params["warmup_steps"], params["steps"]
    if params.get("optimizer") == "prodigy":
        if rate < LEAST_FACTOR:
            text = (
                f"learning_rate is {rate:g}, but Prodigy finds the rate and takes this as a factor of it: set it to 1."
            )
            raise BadParam("learning_rate", text)
    elif rate > HIGHEST_RATE:
        raise BadParam("learning_rate", f"learning_rate is {rate:g}, but must be at most {HIGHEST_RATE:g}.")
    if warmup >= steps:
        text = f"warmup_steps is {warmup}, but the training has only {steps} steps. Choose fewer, about a tenth."
        raise BadParam("warmup_steps", text)


def pocket_training(base: "Base") -> tuple[Param, ...]:
    """What its identity test found (docs/log.md): a high rate that falls, few steps, the prompt's own layers, and
    preservation, which makes class pictures pointless. Learnt at 64 px it is known as well at the native size,
    for two thirds of the time.

    No caption dropout: it is guided by the difference to the empty prompt, which must stay the base's."""
    own = {
        "steps": replace(STEPS, default=300, max=5000),
        "learning_rate": replace(LEARNING_RATE, default=2e-3, step=1e-5),
        "lora_layers": replace(LORA_LAYERS, default="blocks and prompt"),
        "resolution": replace(RESOLUTION, default=64, choices=base.sizes),
        "batch_size": replace(BATCH_SIZE, default=2, choices=(1, 2, 4, 8)),
        "sample_every_n_steps": replace(SAMPLE_EVERY, min=10),
        "checkpoint_every_n_steps": replace(CHECKPOINT_EVERY, min=50),
        "warmup_steps": replace(WARMUP_STEPS, default=20),
        "caption_dropout": replace(CAPTION_DROPOUT, default=0.0),
        "lr_schedule": replace(LR_SCHEDULE, default="linear"),
        "preservation": replace(PRESERVATION, default=8.0),
    }
    return tuple(own.get(param.name, param) for param in TRAINING)


def generation(base: "Base") -> tuple[Param, ...]:
    """Sizes from half to twice the base's own; a negative prompt and a guidance scale only where the base listens."""
    size = Param(
        name="width",
        type="int",
        default=base.native_size,
        min=base.native_size // 2,
        max=base.native_size * 2,
        step=base.multiple,
        unit="px",
        label="Width",
        help=f"A multiple of {base.multiple}. Best near {base.native_size}, the largest size this base learned.",
    )
    params = [
        size,
        replace(size, name="height", label="Height"),
        Param(
            name="steps",
            type="int",
            default=base.steps,
            min=1,
            max=100,
            step=1,
            label="Steps",
            help="How often the picture is refined. More is slower and, beyond the default, rarely better.",
        ),
    ]
    if len(ways := samplers.offered(base)) > 1:
        labels = tuple(one.offer for one in ways)
        params.append(replace(SAMPLER, choices=tuple(one.key for one in ways), labels=labels))
    if base.guidance != "none":
        params.append(_guidance(base))
    if base.guidance == "true_cfg":
        params.append(NEGATIVE_PROMPT)
    return (*params, *(() if base.key == "pocket" else LARGE), *REQUEST)


def _guidance(base: "Base") -> Param:
    return Param(
        name="guidance_scale",
        type="float",
        default=base.guidance_scale,
        min=1,
        max=20,
        step=0.5,
        label="Guidance",
        help="How closely the picture follows the prompt. Too high looks hard and over-coloured.",
    )


SAMPLER = Param(
    name="sampler",
    type="enum",
    default="euler",
    choices=("euler",),
    label="Sampler",
    help="How each step is taken. Euler draws as in training. Heun looks twice at every step. DPM++ 2M and UniPC also "
    "learn from the step before: the same time, and often fewer steps will do.",
)
NEGATIVE_PROMPT = Param(
    name="negative_prompt",
    type="string",
    default="",
    max=1000,
    label="Negative prompt",
    help="What should not be in the picture.",
    expert=True,
)
# How a large base computes; Pocket is always drawn as it is.
LARGE = (
    Param(
        name="speed",
        type="enum",
        default="exact",
        choices=("exact", "fast", "draft"),
        label="Speed",
        help="exact repeats training samples bit for bit. fast compiles the model first. draft also skips what changes "
        "little between steps and loses fine likeness. Each picture's recipe says which it was.",
    ),
    replace(
        PRECISION, help="The number format of the base model. A LoRA is drawn as in training with that of its own."
    ),
    replace(
        QUANTIZE,
        default="auto",
        choices=("auto", "none", "int8"),
        help="int8 keeps the base's large layers in 8 bits: half the memory, a little slower, small differences. auto: "
        "only where the whole base does not fit. Each picture's recipe says which it was.",
    ),
)
# Of the request rather than of one picture: the generation app turns them into seeds and an adapter.
REQUEST = (
    Param(
        name="seed",
        type="int",
        default=None,
        min=0,
        max=MAX_SEED,
        step=1,
        label="Seed",
        help="The same seed and settings give the same picture. Empty: a random one.",
    ),
    Param(
        name="count",
        type="int",
        default=1,
        min=1,
        max=8,
        step=1,
        label="Pictures",
        help="How many, with the seeds that follow one another.",
    ),
    Param(
        name="lora_strength",
        type="float",
        default=1.0,
        min=0,
        max=2,
        step=0.05,
        label="LoRA strength",
        help="How strongly the character's LoRA acts: 0 is the base alone, 1 is as trained.",
    ),
)
