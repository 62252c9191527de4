"""Addresses that nobody's page made: numbers of more digits than Python reads, filters that mean nothing."""

import pytest
from django.test import Client

from characters.models import Character

DIGITS = "9" * 5000
PAGES = (
    "/characters?before={}", "/training?before={}", "/loras?before={}", "/characters/{id}/captions?after={}",
    "/training/plan?steps={}", "/training/start?character={id}&preset=custom&steps={}",
    "/generate/results?before={}", "/generate?from=gen-000000000000&seed={}",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_thousands_of_digits_in_an_address_break_no_page(client: Client, mira: Character, page: str) -> None:
    assert client.get(page.replace("{id}", mira.public_id).replace("{}", DIGITS)).status_code == 200


@pytest.mark.parametrize("page", ["/photos/{id}/look", "/api/images/{id}/look"])
def test_a_picture_of_a_size_that_no_base_has_is_refused(client: Client, mira: Character, page: str) -> None:
    image = mira.images.earliest("pk")
    assert client.get(page.replace("{id}", image.public_id), {"resolution": DIGITS}).status_code == 400
