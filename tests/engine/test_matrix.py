"""What the studio says it can do, and which test holds each of it to its word.

An entry of `/api/info` without a test, a tool that nobody uses in a browser, a test that is gone: each fails here."""

import ast
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from isengard.engine import catalog, offers, samplers, tools

ROOT = Path(__file__).resolve().parents[2]
TOOLS = "tests/engine/test_drawing_tools.py"
GUIDES = "tests/engine/test_guides.py"
JOB = "tests/generation/test_main_job.py"
SAMPLING = "tests/engine/test_sampling.py"
SAMPLERS = "tests/engine/test_samplers.py::test_each_draws_the_picture_of_many_euler_steps"
REFUSED = "tests/generation/test_api.py::test_a_feature_that_is_not_there_is_400_with_the_reason"
# Entry of the capability matrix → the test that does the thing, or that asks for it and is told why not.
EXERCISED = {
    "base.pocket": f"{SAMPLING}::test_pocket_draws_a_picture",
    "base.flux-dev": f"{SAMPLING}::test_embedded_guidance_draws_exactly_what_diffusers_draws",
    "base.flux-schnell": f"{SAMPLING}::test_a_base_without_a_guidance_input_draws_exactly_what_diffusers_draws",
    "feature.image_generation": f"{JOB}::test_pictures_with_the_characters_lora_end_as_files",
    "feature.training.lora": "tests/engine/test_trainer.py::test_pocket_trains_and_its_lora_changes_its_pictures",
    "feature.training.full_finetune": "tests/engine/test_matrix.py::test_what_is_never_there_says_what_is",
    "feature.video_generation": "tests/api/test_studio.py::test_video_says_that_it_is_not_built_yet",
    "guide.control.canny": f"{GUIDES}::test_a_controlnet_steers_as_in_diffusers",
    "guide.control.depth": f"{GUIDES}::test_depth_and_pose_are_found_by_their_models",
    "guide.control.pose": f"{GUIDES}::test_depth_and_pose_are_found_by_their_models",
    "guide.reference": f"{GUIDES}::test_a_reference_steers_as_in_diffusers",
    "sampler.euler": SAMPLERS,
    "sampler.heun": SAMPLERS,
    "sampler.dpmpp_2m": SAMPLERS,
    "sampler.unipc": SAMPLERS,
    "speed.exact": "tests/engine/test_speed.py::test_exact_again_is_exactly_as_before",
    "speed.fast": "tests/engine/test_speed.py::test_beyond_the_limit_blocks_are_compiled_anew",
    "speed.draft": "tests/engine/test_speed.py::test_draft_loses_something",
    "toggle.use_upscale": REFUSED,
    "toggle.use_facedetailer": REFUSED,
    "toggle.use_ipadapter": REFUSED,
    "toggle.use_controlnet": REFUSED,
    "tool.draw": f"{SAMPLING}::test_the_same_seed_gives_the_same_picture",
    "tool.hires": "tests/engine/test_drawing_pocket.py::test_hires_fix_keeps_the_one_face_that_was_drawn",
    "tool.image_to_image": "tests/engine/test_drawing_pocket.py::"
    "test_a_picture_is_changed_the_more_the_further_it_may_go",
    "tool.inpaint": f"{TOOLS}::test_inpainting_changes_nothing_outside_the_mask",
    "tool.outpaint": f"{TOOLS}::test_outpainting_keeps_the_old_picture_but_for_its_soft_edge",
    "tool.upscale": f"{TOOLS}::test_an_upscaling_model_is_used_where_there_is_one_and_told",
    "tool.face_refine": f"{TOOLS}::test_refining_a_face_leaves_the_rest_of_the_picture",
    "tool.pair": f"{TOOLS}::test_each_of_two_faces_is_drawn_with_its_own_lora_alone",
}
GOING_ON = "tests/browser/test_compose.py::test_a_tool_goes_on_with_a_picture"
# Tool → the test that uses it as a person does.
BROWSED = {
    "draw": "tests/browser/test_compose.py::test_choices_and_quality_make_pictures",
    "hires": "tests/browser/test_compose.py::test_hires_fix_draws_larger",
    "image_to_image": GOING_ON,
    "inpaint": "tests/browser/test_compose.py::test_a_painted_part_is_drawn_anew",
    "outpaint": GOING_ON,
    "upscale": GOING_ON,
    "face_refine": GOING_ON,
    "pair": "tests/browser/test_compose.py::test_two_characters_meet_in_one_picture",
}
# What people and programs send by mistake or on purpose → the tests that see it refused with a sentence.
BAD_INPUT = {
    "a prompt of 50,000 characters": [
        "tests/pages/test_generate_pages.py::test_far_too_much_is_refused_in_the_form",
        "tests/generation/test_api.py::test_a_request_of_another_shape_is_422",
    ],
    "emoji and markup": ["tests/pages/test_generate_pages.py::test_markup_and_emoji_in_a_prompt_stay_words"],
    "17 x 99999 pixels": ["tests/generation/test_tools.py::test_requests_that_lead_nowhere_are_refused"],
    "a LoRA deleted while it waits": [
        "tests/generation/test_handlers.py::test_queued_pictures_of_a_deleted_lora_fail_with_its_name",
        "tests/generation/test_grid.py::test_a_lora_of_a_cell_deleted_while_queued_is_named",
    ],
    "a mask of another size": ["tests/generation/test_tools.py::test_masks_that_do_not_fit_are_refused"],
    "a broken control image": [
        "tests/generation/test_tools.py::test_a_broken_file_is_said_in_the_form",
        f"{GUIDES}::test_a_broken_picture_is_a_sentence",
    ],
    "a strength of 100": [
        "tests/generation/test_guides.py::test_a_strength_out_of_bounds_is_refused",
        "tests/generation/test_grid.py::test_a_strength_of_a_hundred_is_refused_in_a_cell",
        "tests/generation/test_wearing.py::test_impossible_strengths_are_refused",
    ],
    "a picture whose recipe is hostile": [
        "tests/engine/test_recalled.py::test_hostile_recipes_are_no_recipes",
        "tests/generation/test_recall.py::test_markup_in_a_recipe_stays_text",
    ],
}


def entries(models: Path) -> set[str]:
    """Everything that the matrix names."""
    offered = offers.image("flux-dev", models)
    found = {f"base.{base['key']}" for base in offers.bases(models)} | {f"sampler.{key}" for key in samplers.SAMPLERS}
    found |= {f"feature.{name}" for name in offers.features(models)}
    for part in ("tools", "guides", "speeds", "toggles"):
        found |= {f"{part.removesuffix('s')}.{name}" for name in offered[part]}
    return found


@cache
def found_in(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")}


def runs(node_id: str) -> bool:
    """Whether there is such a test, and it is not skipped."""
    path, _, name = node_id.partition("::")
    found = found_in(ROOT / path).get(name)
    return found is not None and not any("skip" in ast.unparse(mark) for mark in found.decorator_list)


def test_every_entry_of_the_matrix_has_its_test(tmp_path: Path) -> None:
    assert set(EXERCISED) == entries(tmp_path)


def test_every_tool_is_used_in_a_browser() -> None:
    assert set(BROWSED) == set(tools.TOOLS)


@pytest.mark.parametrize("node_id", sorted({*EXERCISED.values(), *BROWSED.values(), *chain(*BAD_INPUT.values())}))
def test_the_test_is_there_and_runs(node_id: str) -> None:
    assert runs(node_id)


def test_a_test_that_is_gone_is_noticed() -> None:
    assert not runs("tests/engine/test_matrix.py::test_nothing") and not runs("tests/engine/gone.py::test_nothing")


def test_what_is_never_there_says_what_is(tmp_path: Path) -> None:
    answer = offers.features(tmp_path)["training.full_finetune"]
    assert not answer["supported"] and "LoRA" in answer["reason"]


@pytest.mark.parametrize("key", list(catalog.BASES))
def test_no_base_has_an_entry_of_its_own(tmp_path: Path, key: str) -> None:
    """So that the table above is the whole."""
    one, other = offers.image(key, tmp_path), offers.image("flux-dev", tmp_path)
    assert all(set(one[part]) == set(other[part]) for part in ("tools", "guides", "speeds", "toggles"))
