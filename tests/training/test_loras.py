"""LoRA versions: which is active, what deleting one leaves, which base it fits."""

from typing import Any

import pytest

from characters.models import Character
from isengard import storage
from isengard.engine import catalog
from isengard.errors import Invalid
from tests.people import make_lora
from training import loras, services
from training.models import Lora


def test_making_an_older_version_active_puts_the_other_down(mira: Character) -> None:
    old = make_lora(mira, 1, active=False)
    new = make_lora(mira, 2)
    services.set_active(lora=old)
    assert [lora.version for lora in Lora.objects.active()] == [1]
    new.refresh_from_db()
    assert not new.is_active


def test_deleting_the_active_one_deletes_its_files_and_activates_the_newest_left(
    mira: Character, django_capture_on_commit_callbacks: Any
) -> None:
    for version in (1, 2):
        make_lora(mira, version, active=False)
    gone = make_lora(mira, 3)
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_lora(lora=gone)
    assert not storage.absolute(gone.file).exists()
    assert [lora.version for lora in Lora.objects.active()] == [2]


def test_deleting_an_inactive_one_changes_nothing_else(mira: Character) -> None:
    make_lora(mira, 2)
    services.delete_lora(lora=make_lora(mira, 1, active=False))
    assert [lora.version for lora in Lora.objects.active()] == [2]


def test_a_lora_of_another_base_is_refused_naming_both(mira: Character) -> None:
    with pytest.raises(Invalid, match=r"Pocket and does not fit FLUX\.1-dev") as caught:
        loras.require_usable(make_lora(mira), "flux-dev")
    assert caught.value.code == "wrong_base"


def test_dev_and_schnell_share_their_loras() -> None:
    assert catalog.shared("flux-dev", "flux-schnell") and not catalog.shared("pocket", "flux-dev")


def test_a_lora_of_earlier_weights_is_refused_and_not_offered(mira: Character) -> None:
    lora = make_lora(mira)
    lora.base_version = catalog.get("pocket").version - 1
    lora.save(update_fields=["base_version"])
    with pytest.raises(Invalid, match="Train Mira again"):
        loras.require_usable(lora, "pocket")
    assert not Lora.objects.worn_by("pocket").exists()


def test_a_lora_without_its_file_is_refused(mira: Character) -> None:
    lora = make_lora(mira)
    storage.remove(lora.file)
    with pytest.raises(Invalid, match="gone"):
        loras.require_usable(lora, "pocket")
