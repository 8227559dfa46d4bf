"""Runs of templates on the wire, both ways. Pure; called by the servicer and the SDK."""

from __future__ import annotations

import json

from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.template import Overrides
from .gen.cumulus.v1 import resources_pb2 as res
from .gen.cumulus.v1 import templates_pb2 as pb
from .templates import TemplateRun
from .walk import from_message, to_message


def run_to_proto(wanted: TemplateRun) -> pb.RunTemplateRequest:
    """What is asked for."""
    try:
        params = json.dumps(dict(wanted.params), allow_nan=False)
    except (ValueError, TypeError) as error:
        raise ValidationError([Problem(f"cannot be sent: {error}", "params")]) from error
    return pb.RunTemplateRequest(
        template=wanted.template,
        params_json=params,
        overrides=to_message(wanted.overrides, res.Overrides),
        name=wanted.name,
        labels=dict(wanted.labels),
        idempotency_key=wanted.idempotency_key,
    )


def run_from_proto(message: pb.RunTemplateRequest) -> TemplateRun:
    """The inverse. ValidationError."""
    try:
        params = json.loads(message.params_json or "{}")
    except (ValueError, RecursionError) as error:
        raise ValidationError([Problem(f"is not JSON: {error}", "params")]) from error
    if not isinstance(params, dict):
        raise ValidationError([Problem("expected an object of name → value", "params")])
    return TemplateRun(
        template=message.template,
        params=params,
        overrides=from_message(message.overrides, Overrides),
        name=message.name,
        labels=dict(message.labels),
        idempotency_key=message.idempotency_key,
    )
