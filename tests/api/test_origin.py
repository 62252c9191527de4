"""Pages of other sites change nothing: by HTTP, with cookies, or through a socket."""

import asyncio
from typing import Any

import pytest
from django.test import Client

from isengard.origin import SameOriginWebsocket

FOREIGN = [
    "http://evil.example",
    "null",
    "http://testserver:9999",
    "https://testserver",
    "http://testserver.evil.example",
    "http://localhost:3000",
    "",
]
BODY = {"name": "Mira", "trigger_word": "ohwx"}


@pytest.fixture
def client(db: None) -> Client:
    return Client(enforce_csrf_checks=True)


def post(client: Client, **headers: str) -> Any:
    return client.post("/api/characters", BODY, content_type="application/json", headers=headers)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_changes_nothing(client: Client, origin: str) -> None:
    response = post(client, Origin=origin)
    assert (response.status_code, response.json()["code"]) == (403, "cross_origin")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_fetch_without_origin_changes_nothing(client: Client, site: str) -> None:
    assert post(client, **{"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_every_unsafe_method_is_guarded(client: Client, method: str) -> None:
    response = getattr(client, method)("/api/characters/char-00000000", headers={"Origin": "http://evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_page_and_a_program_may_post(client: Client, headers: dict[str, str]) -> None:
    assert post(client, **headers).status_code == 201


def test_a_foreign_page_may_be_linked_from(client: Client) -> None:
    assert client.get("/api/characters", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_no_answer_is_opened_to_another_origin(client: Client) -> None:
    response = client.options("/api/characters", headers={"Origin": "http://localhost:3000"})
    assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7"])
def test_a_rebound_host_is_refused_before_anything_is_read(client: Client, host: str) -> None:
    response = client.get("/api/characters", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (400, "wrong_host")


def test_a_browser_with_our_cookie_needs_its_token(client: Client) -> None:
    client.cookies["isengard_csrf"] = "a" * 32
    response = post(client)
    assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")


def test_a_browser_with_our_cookie_and_token_may_post(client: Client) -> None:
    client.cookies["isengard_csrf"] = "a" * 32
    assert post(client, **{"X-CSRFToken": "a" * 32}).status_code == 201


def opened(headers: dict[str, str], scheme: str = "ws") -> bool:
    """True when the socket's application was reached."""
    reached: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(True)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        assert message == {"type": "websocket.close", "code": 4403}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "scheme": scheme, "headers": raw}
    asyncio.run(SameOriginWebsocket(app)(scope, receive, send))
    return bool(reached)


@pytest.mark.parametrize("origin", [*FOREIGN, "http://127.0.0.1:9999", "http://localhost:8000"])
def test_a_socket_of_another_origin_is_closed(origin: str) -> None:
    assert not opened({"host": "127.0.0.1:8000", "origin": origin})


@pytest.mark.parametrize("headers", [{}, {"origin": "http://127.0.0.1:8000"}])
def test_a_socket_of_ours_or_of_a_program_is_opened(headers: dict[str, str]) -> None:
    assert opened({"host": "127.0.0.1:8000", **headers})


def test_a_socket_to_a_rebound_host_is_closed() -> None:
    assert not opened({"host": "evil.example", "origin": "http://evil.example"})
