"""Writes problems.json: what pydantic 2 says of bodies for /execute, /jobs/x/fork
and parameters, wrapped as FastAPI wraps it. The models are those of the contract.
Run: python3 problems.py > problems.json (pydantic 2.13 was used)."""

import json
import sys
from typing import Annotated, Any, Optional

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

JOB_TYPE = r"^[a-zA-Z0-9_-]+(@[a-zA-Z0-9_.@:-]+)?$"


class Execute(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=100_000)
    input_data: dict[str, Any] = Field(default_factory=dict)
    timeout: Optional[int] = Field(default=None, ge=1, le=86400)
    startup_timeout: Optional[int] = Field(default=None, ge=10, le=600)
    job_type: Optional[str] = Field(default=None, max_length=128, pattern=JOB_TYPE)
    idempotency_key: Optional[str] = Field(default=None, min_length=8, max_length=255, pattern=r"^[a-zA-Z0-9_-]+$")
    requirements: Optional[list[str]] = Field(default=None, max_length=50)
    cancel_on_disconnect: Optional[bool] = None

    @field_validator("code")
    @classmethod
    def not_blank(cls, v: str) -> str:
        if not v.strip():
            raise ValueError("Code cannot be empty")
        return v


PARAMETERS = {
    "limit": Annotated[int, Field(ge=1, le=1000)],
    "offset": Annotated[int, Field(ge=0)],
    "wait": bool,
    "timeout": Annotated[float, Field(ge=1.0, le=300.0)],
    "entry_id": int,
}


def problems(adapter: TypeAdapter, value: Any, loc: tuple, **kw: Any) -> list:
    try:
        adapter.validate_python(value, **kw)
        return []
    except ValidationError as e:
        out = []
        for p in e.errors(include_url=False):
            p["loc"] = [*loc, *p["loc"]]
            if "ctx" in p and "error" in p["ctx"]:
                p["ctx"]["error"] = {}
            out.append({k: p[k] for k in ("type", "loc", "msg", "input", "ctx") if k in p})
        return out


def code(**more: Any) -> dict:
    return {"code": "x", **more}


BODIES = [
    {}, {"code": None}, {"code": ""}, {"code": " \n\t"}, {"code": "\u00a0\u2028\u001c"}, {"code": 5}, {"code": ["x"]}, {"code": {"a": 1}}, {"code": True},
    [], [code()], "text", 5, True,
    code(input_data=None), code(input_data=[]), code(input_data="{}"), code(input_data=1),
    code(timeout=0), code(timeout=-1), code(timeout=86401), code(timeout=10**40), code(timeout=-(10**40)), code(timeout="x"), code(timeout="0"),
    code(timeout=""), code(timeout=" 5 "), code(timeout="5.0"), code(timeout="5."), code(timeout="5.1"), code(timeout="1_0"), code(timeout="1__0"),
    code(timeout="_1"), code(timeout="+7"), code(timeout="+-7"), code(timeout="- 7"), code(timeout="-7"), code(timeout="007"), code(timeout="1e2"), code(timeout="0x10"),
    code(timeout="\u0665"), code(timeout="9" * 30), code(timeout="9" * 4400), code(timeout=True), code(timeout=False), code(timeout=2.0), code(timeout=2.5), code(timeout=1e300),
    code(timeout=[]), code(timeout={}), code(timeout=" 1_0.00 "), code(timeout="-0"), code(timeout="0.0"), code(timeout=".5"), code(timeout="1.0_0"), code(timeout="\u00a05"),
    code(startup_timeout=9), code(startup_timeout=601), code(startup_timeout=None), code(startup_timeout="ten"),
    code(job_type=""), code(job_type="a b"), code(job_type="a@"), code(job_type="a@b@c"), code(job_type="x" * 129), code(job_type="a\n"), code(job_type=1), code(job_type="é"),
    code(idempotency_key="short"), code(idempotency_key="k" * 256), code(idempotency_key="not all right"), code(idempotency_key=12345678),
    code(requirements="numpy"), code(requirements={}), code(requirements=["a", 1, None, ["b"]]), code(requirements=["a"] * 51), code(requirements=[1] + ["a"] * 51), code(requirements=[1] * 51), code(requirements=0),
    code(cancel_on_disconnect="maybe"), code(cancel_on_disconnect="YES"), code(cancel_on_disconnect=" true "), code(cancel_on_disconnect=2), code(cancel_on_disconnect=1), code(cancel_on_disconnect=1.0),
    code(cancel_on_disconnect=2.0), code(cancel_on_disconnect=0.5), code(cancel_on_disconnect=[]), code(cancel_on_disconnect=""), code(cancel_on_disconnect="T"), code(cancel_on_disconnect="tRUE"), code(cancel_on_disconnect=-1),
    code(cancel_on_disconnect=10**40),
    code(extra=1), code(Code="y"), code(z=1, y={"b": [1]}, x=None), {"extra": 1},
    {"timeout": 0, "code": "", "unknown": [], "startup_timeout": "x", "requirements": {}, "another": 1, "input_data": []},
]

TEXTS = {
    "limit": ["0", "1001", "x", "", "1.5", "1.0", " 7 ", "-1", "9" * 25, "1e3", "true", "\u0661", "1\x00"],
    "offset": ["-1", "x", "0.1", "-0", "+0"],
    "wait": ["maybe", "", "2", "1", "ON", "off ", "nO", "Y", "t", "1.0", "null"],
    "timeout": ["0.5", "301", "x", "", "nan", "inf", "-inf", "1e2", "1_0", ".5e1", "5.", "0x10", " 5 ", "NaN", "Infinity", "+3", "1e999", "infinit", "1__0", "_1", "1_", "1e1_0", "1._5", "1_.5", "\u0665", "-nan", "1 0"],
    "entry_id": ["x", "", "1.5", "1.0", "-3", "0x1", "7", "1_0", "9" * 15],
}


def main() -> None:
    body = TypeAdapter(Annotated[Execute, Field()])
    out: dict = {"bodies": [], "parameters": []}
    for b in BODIES:
        out["bodies"].append({"body": b, "detail": problems(body, b, ("body",), from_attributes=True)})
    for name, texts in TEXTS.items():
        where = "path" if name == "entry_id" else "query"
        adapter = TypeAdapter(PARAMETERS[name])
        for text in texts:
            out["parameters"].append({"name": name, "text": text, "detail": problems(adapter, text, (where, name))})
    json.dump(out, sys.stdout, indent=1, ensure_ascii=True)
    print()


main()
