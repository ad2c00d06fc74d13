"""Every refusal of a request has a public problem code, and every code is documented under its status."""

import ast
from pathlib import Path

import pytest

from outbox import requests
from outbox.intake.api import openapi
from outbox.web.problem_codes import ProblemCode, of_request_error
from outbox.web.problem_details import Problem

ROOM = Path(requests.__file__).parent


def codes_of_requests() -> set[str]:
    """The literal codes with which outbox/requests refuses; without one a refusal is just `refused`."""
    calls = (node for file in ROOM.rglob("*.py") for node in ast.walk(ast.parse(file.read_text())))
    refusals = [
        call
        for call in calls
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "RefusedError"
    ]
    codes = [word.value for call in refusals for word in call.keywords if word.arg == "code"]
    return {"refused"} | {str(code.value) for code in codes if isinstance(code, ast.Constant)}


def test_every_refusal_of_a_request_has_a_public_code() -> None:
    codes = codes_of_requests()

    assert len(codes) > 15, "the refusals moved: look for them where they are now"
    assert {of_request_error(code) for code in codes} <= set(ProblemCode)


@pytest.mark.parametrize("problem", ProblemCode, ids=lambda problem: problem.code)
def test_a_problem_carries_the_type_title_and_status_of_its_code(problem: ProblemCode) -> None:
    document = Problem(problem, "a sentence").document

    assert document == {
        "type": f"urn:payment-fleet:problem:{problem.code}",
        "title": problem.value.title,
        "status": problem.value.status,
        "detail": "a sentence",
    }


@pytest.mark.parametrize("problem", ProblemCode, ids=lambda problem: problem.code)
def test_the_openapi_document_explains_the_code_under_its_status(problem: ProblemCode) -> None:
    described = openapi.document()["components"]["responses"][str(problem.status)]["description"]

    assert f"| `{problem.code}` | {problem.value.meaning} |" in described


def test_no_two_codes_share_a_title() -> None:
    titles = [problem.value.title for problem in ProblemCode]

    assert len(set(titles)) == len(titles)
