"""Page tokens: whatever a client sends back, it is a token of this API or a refusal that names the field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from everlease.admin.answers import Refusal
from everlease.admin.pages import LARGEST, Token, filters_of, read_token, size_of, write_token
from everlease.pb.admin.v1.lease_service_pb2 import ListLeasesRequest


@given(some.integers(0, 2**62), some.integers(-1, 2**32 - 1), some.integers(0, 2**32 - 1))
def test_a_token_comes_back_as_it_went_out(revision: int, after: int, filters: int) -> None:
    assert read_token(write_token(Token(revision, after, filters)), filters) == Token(revision, after, filters)


@given(some.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    if text:
        with pytest.raises(Refusal, match="page_token"):
            read_token(text, 1)


@pytest.mark.parametrize("token", [Token(-1, 0, 1), Token(0, -2, 1), Token(0, 1 << 32, 1)])
def test_a_token_beyond_the_address_space_is_refused(token: Token) -> None:
    with pytest.raises(Refusal):
        read_token(write_token(token), 1)


def test_filters_are_what_is_asked_for_and_not_the_page() -> None:
    first = ListLeasesRequest(subnet=1, page_size=10)
    assert filters_of(first) == filters_of(ListLeasesRequest(subnet=1, page_token="x"))
    assert filters_of(first) != filters_of(ListLeasesRequest(subnet=2))


def test_a_page_has_a_usual_size_and_a_largest() -> None:
    assert (size_of(0), size_of(7), size_of(10**6)) == (500, 7, LARGEST)
