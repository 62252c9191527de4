"""No secret is written: by the shape of a value, by the name of its key, and nothing innocent is lost."""

from typing import Any

import pytest

from isengard.logs.redaction import MASK, PATTERNS, SENSITIVE_KEYS, redact, redact_text

PAIRS = [
    ("token hf_abcdefghijklmnop1234", "token hf_***REDACTED***"),
    ("key sk-proj-1234-abcd5678", "key sk-***REDACTED***"),
    ("ghp_abcdefghij1234567890", "ghp_***REDACTED***"),
    ("rpa_ABCDEFGH1234567890", "rpa_***REDACTED***"),
    ("/Users/ada/models/x", "/[HOME]/models/x"),
    ("/home/ada/models/x", "/[HOME]/models/x"),
    ("https://h/x?token=abc123&page=2", "https://h/x?token=***&page=2"),
    ("password=hunter2 next", "password=*** next"),
    ("api_key=abc&x=1", "api_key=***&x=1"),
    ("Api-Key=abc", "Api-Key=***"),
    ('{"password": "a\\"b"}', '{"password": "***"}'),
    ('{"token":"abc", "api_key": "x"}', '{"token":"***", "api_key": "***"}'),
    ("Bearer abc.DEF-1", "Bearer ***REDACTED***"),
    ("authorization: bearer abc", "authorization: bearer ***REDACTED***"),
    ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ***REDACTED***"),
    ("redis://user:p@ss@cache:6379/0", "redis://***@cache:6379/0"),
    ("AKIAABCDEFGHIJKLMNOP", "AKIA***REDACTED***"),
    ("aws_secret_access_key=abc/def", "aws_secret_access_key=***"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "jwt:***REDACTED***"),
]
INNOCENT = [
    "Training step 100 of 500, loss 0.123",
    "a task-force of sk-learn authors",
    "hf_hub_download and hf_transfer are installed",
    "5 tokens=12 in the prompt",
    "https://example.org/path?x=1#@a",
    "mail ada@example.org",
    "/srv/home-made/x",
]


@pytest.mark.parametrize(("text", "clean"), PAIRS)
def test_a_secret_is_masked_and_the_rest_is_kept(text: str, clean: str) -> None:
    assert redact_text(text) == clean


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_text_is_unchanged(text: str) -> None:
    assert redact_text(text) == text


def test_several_secrets_in_one_text_are_all_masked() -> None:
    clean = redact_text("hf_abcdefghij and sk-abcdefghij and password=x")
    assert clean == "hf_***REDACTED*** and sk-***REDACTED*** and password=***"


@pytest.mark.parametrize(
    "key", sorted({*SENSITIVE_KEYS, "Authorization", "X-API-KEY", "hfToken", "set_cookie", "APIKEY"})
)
def test_a_value_under_a_sensitive_key_is_masked(key: str) -> None:
    assert redact({key: "abc"}) == {key: MASK}


@pytest.mark.parametrize("key", ["tokens", "author", "authentic", "monkey", "secretary", "cookiecutter", "max_tokens"])
def test_a_key_that_only_looks_sensitive_is_kept(key: str) -> None:
    assert redact({key: "abc"}) == {key: "abc"}


def test_a_list_is_redacted_item_by_item() -> None:
    assert redact({"tokens": ["hf_abcdefghij", "plain"]}) == {"tokens": ["hf_***REDACTED***", "plain"]}


def test_deep_down_a_secret_is_masked_and_a_known_token_keeps_its_form() -> None:
    data = {"a": {"b": {"secret": "hf_abcdefghij", "token": "hf_abcdefghij"}}}
    assert redact(data) == {"a": {"b": {"secret": MASK, "token": "hf_***REDACTED***"}}}


@pytest.mark.parametrize("value", [42, 1.5, True, None])
def test_a_value_that_is_no_text_is_kept(value: Any) -> None:
    assert redact({"count": value, "token_count": value}) == {"count": value, "token_count": value}


def test_a_container_under_a_sensitive_key_is_masked_whole() -> None:
    assert redact({"cookies": {"a": "b"}, "auth": ["x"]}) == {"cookies": MASK, "auth": MASK}


def test_a_circle_and_a_deep_tree_end() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    text = str(redact(circle))
    assert text.count("again") == 10
    assert "_truncated" in text


def test_a_long_text_is_cut_and_its_length_told() -> None:
    assert redact_text("x" * 20_000).endswith("(20000 characters)")


def test_patterns_are_compiled_and_replace_with_something() -> None:
    assert all(hasattr(pattern, "sub") and replacement for pattern, replacement in PATTERNS)
