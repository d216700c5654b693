"""The JSON Schema and the examples: what an editor accepts is what the service accepts."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from everlease.config.load import load
from everlease.config.schema import Document, json_schema

EXAMPLES = sorted((Path(__file__).parents[2] / "deploy" / "examples").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid_for_the_service_and_for_the_schema(path: Path) -> None:
    text = path.read_text()
    assert load(text).subnets
    VALIDATOR.validate(yaml.safe_load(text))


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES} >= {"home.yaml", "office.yaml", "campus.yaml", "relay.yaml"}


@pytest.mark.parametrize(
    "document",
    [
        {"valid-lifetim": "1h"},
        {"valid-lifetime": "soon"},
        {"subnets": [{"id": 1}]},
        {"subnets": [{"id": 1, "prefix": "10.0.0.0"}]},
        {"subnets": [{"id": 1, "prefix": "10.0.0.0/8", "state": "off"}]},
        {"subnets": [{"id": 1, "prefix": "10.0.0.0/8", "pools": [{"range": "10.0.0.1..10.0.0.9"}]}]},
        {"cluster": {"grace": "later"}},
        {"limits": {"packets-per-client": "many"}},
        {"authoritative": "yes"},
        {"client-classes": [{"name": "x"}]},
    ],
)
def test_the_schema_refuses_what_the_service_refuses(document: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(document))
    with pytest.raises(ValueError, match=r"."):
        Document.model_validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": 1, "valid-lifetime": "infinite", "offer-lifetime": 30},
        {"cluster": {"grace": "auto", "store-quota": "8GB", "clock-margin": "500ms"}},
        {"cluster": {"grace": "1h30m", "store-quota": 2147483648}},
        {"limits": {"packets-per-client": "off"}},
        {"subnets": [{"id": 1, "prefix": "10.0.0.0/8", "exclude": ["10.0.0.1", "10.0.1.0/24", "10.0.2.1 - 10.0.2.2"]}]},
    ],
)
def test_the_schema_accepts_what_the_service_accepts(document: dict[str, Any]) -> None:
    assert not list(VALIDATOR.iter_errors(document))
    Document.model_validate(document)


def test_every_mapping_of_the_schema_refuses_unknown_keys() -> None:
    models = [json_schema(), *json_schema()["$defs"].values()]
    assert all(model["additionalProperties"] is False for model in models)
