"""How an API of its own is put together: errors by the table, every answer documented. No I/O.

`/v1`, `/jobrunner` and `/runner` are such applications below the main one, behind the same guard.
Each serves its OpenAPI document at `openapi.json`.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.routing import BaseRoute

from ... import __version__
from ...crd_like_specs.errors import CumulusError
from ..status import TABLE
from .answers import add_errors, answer
from .calls import of_whole_text


class ProblemBody(BaseModel):
    """One thing that is wrong with what was sent. path: of the field, such as `spec.gpu.memory`."""

    message: str
    path: str = ""


class ErrorFields(BaseModel):
    """What went wrong. reason: a word for programs, such as NOT_FOUND; message: for people; job_id:
    uid of the job concerned, or the name that was given, "" where there is none.
    """

    reason: str
    message: str
    job_id: str = ""
    problems: list[ProblemBody] = Field(default_factory=list)


class ErrorBody(BaseModel):
    """Every answer that is an error."""

    error: ErrorFields


class DetailedError(ErrorBody):
    """Every answer that is an error; detail: its message, where older clients look for it."""

    detail: str


_WORDS: Final = {
    400: "What was sent is wrong; `problems` names each field.",
    401: "No valid token was given.",
    403: "The token does not allow this.",
    404: "There is no such object, for this token.",
    405: "The path does not know this method.",
    409: "Something else is in the way, or was faster.",
    410: "The position is no longer kept: list again.",
    413: "More was sent than is taken.",
    416: "The range does not exist.",
    429: "Too many requests: wait as long as `Retry-After` says.",
    500: "A fault of the controller; its log says more.",
    502: "The platform refused.",
    503: "Not now: try again.",
}

_CODES: Final = sorted({row.http for row in TABLE.values()} | {405})


def errors(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Documentation of every error by the table, with bodies of this model."""
    return {code: {"model": model, "description": _WORDS.get(code, "Error.")} for code in _CODES}


class Face(FastAPI):
    """An application for one API. error: the body of its errors.

    FastAPI documents 422 for wrong parameters; those are 400 here, like everything that is wrong
    with what was sent.
    """

    def __init__(
        self,
        title: str,
        description: str,
        error: type[BaseModel] = ErrorBody,
        **options: Any,
    ) -> None:
        super().__init__(
            title=title,
            version=__version__,
            description=description,
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json",
            separate_input_output_schemas=False,
            responses=errors(error),
            dependencies=[Depends(of_whole_text)],
            generate_unique_id_function=_call_name,
            **options,
        )
        add_errors(self)

        @self.exception_handler(CumulusError)
        async def of_a_job(request: Request, error: CumulusError) -> Response:
            name = request.path_params.get("name", "")
            error.job_id = error.job_id or (name if "/jobs/" in request.url.path else "")
            return answer(error)

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document.get("paths", {}).values():
                for call in path.values():
                    call["responses"].pop("422", None)
            kinds = document.get("components", {}).get("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                kinds.pop(name, None)
        assert self.openapi_schema is not None
        return self.openapi_schema


def _call_name(route: BaseRoute) -> str:
    """As the handler is called: names of calls are short, and stay."""
    name = getattr(route, "name", "")
    head, *rest = str(name).split("_")
    return head + "".join(part.capitalize() for part in rest)
