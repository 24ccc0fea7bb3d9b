"""How tests speak: somebody at a desk, and changes as people would fill them in."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts.models import User

FULL: dict[str, Any] = {
    "summary": "Search: refresh the product index every 5 s",
    "reason": "New products are found 20 minutes late; the campaign of October needs them at once.",
    "components": ["search"],
    "risk": "medium",
    "implementation_steps": "1. Deploy search 3.2\n2. Switch the refresh interval to 5 s",
    "rollback_plan": "Set the interval back to 20 min\nRedeploy search 3.1",
    "rollback_tested": {
        "what": "Redeployed 3.1 over 3.2",
        "where": "staging",
        "when": "2026-09-30",
        "link": "https://ci.example.com/1",
    },
    "rollback_minutes": 15,
    "testing_plan": "Index 1,000 products, look for the newest.",
    "dependencies": "none",
    "strategy": "rolling",
    "downtime_required": False,
    "users_affected": False,
    "user_impact": "None expected.",
    "performance_impact": "Two per cent more CPU on the index nodes.",
    "security_impact": "none",
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "requested_date": "2026-10-01",
    "estimated_minutes": 30,
}


def fields(priority: str = "P2", **more: Any) -> dict[str, Any]:
    """A complete change of that priority."""
    emergency = (
        {"emergency_kind": "outage", "emergency_reference": "INC-2291"} if priority == "P0" else {}
    )
    return {**FULL, "priority": priority, **emergency, **more}


TICKS = {
    "technical": ["T1", "T2", "T3", "T4", "T5", "T6"],
    "security": ["S1", "S2", "S3", "S4"],
    "business": ["B1", "B2", "B3", "B4"],
    "sign_off": [],
    "emergency": [],
}


def html_of(answer: Any) -> str:
    """A page on one line: a run of blanks is one, and none stands just inside a tag or an element's
    edges.
    """
    line = re.sub(r"\s+", " ", answer.content.decode())
    line = re.sub(r" (?=>|</|<br>)", "", line)
    return re.sub(r"(<[a-z][^<>]*>) ", r"\1", line)


class Desk:
    """One person with a browser session, speaking to the API."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client()
        self.client.force_login(user)

    def call(
        self, method: str, path: str, body: Any = None, *, expect: int | None = None, **headers: str
    ) -> Any:
        extra = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        data = body if isinstance(body, (bytes, str)) else None
        content = data if data is not None else _json(body)

        def ask() -> HttpResponse:
            return self.client.generic(
                method, f"/api/v1{path}", content, content_type="application/json", **extra
            )

        response = ask()
        if (
            response.status_code == 401
        ):  # tests travel in time and take back what they did; a session does not survive either
            self.client.force_login(self.user)
            response = ask()
        answer = (
            response.json()
            if "json" in response.headers.get("Content-Type", "")
            else response.content.decode()
        )
        if expect is not None:
            assert response.status_code == expect, (
                f"{method} {path} as {self.user.username}: {response.status_code}, not {expect}:"
                f" {answer}"
            )
        self.status = response.status_code
        return answer

    def get(self, path: str, expect: int = 200) -> Any:
        return self.call("GET", path, expect=expect)

    def post(self, path: str, body: Any = None, expect: int = 200, **headers: str) -> Any:
        return self.call("POST", path, body if body is not None else {}, expect=expect, **headers)

    def patch(self, path: str, body: Any, expect: int = 200) -> Any:
        return self.call("PATCH", path, body, expect=expect)

    def put(self, path: str, body: Any, expect: int = 200) -> Any:
        return self.call("PUT", path, body, expect=expect)

    # --- what people do ---------------------------------------------------------------------------

    def create(self, priority: str = "P2", **more: Any) -> dict[str, Any]:
        return self.post("/changes", fields(priority, **more), expect=201)

    def submit(self, priority: str = "P2", **more: Any) -> dict[str, Any]:
        change = self.create(priority, **more)
        return self.post(f"/changes/{change['id']}/submit")

    def steps(self, number: str, state: str | None = None) -> list[dict[str, Any]]:
        items = self.get(f"/changes/{number}/steps")["items"]
        return [item for item in items if state is None or item["state"] == state]

    def decide(
        self, number: str, kind: str, verdict: str = "approve", expect: int = 200, **more: Any
    ) -> Any:
        step = next(s for s in self.steps(number) if s["kind"] == kind and s["state"] != "stale")
        version = more.pop("version", None) or self.get(f"/changes/{number}")["version"]
        ticks = {item["key"]: True for item in step["checklist"]}
        body = {"verdict": verdict, "version": version, "checklist": ticks, **more}
        return self.post(f"/changes/{number}/steps/{step['id']}/decision", body, expect=expect)

    def tick_off(self, number: str, *phases: str) -> None:
        for item in self.get(f"/changes/{number}/checklist")["items"]:
            if item["phase"] in phases and item["state"] == "open":
                self.patch(f"/changes/{number}/checklist/{item['id']}", {"state": "done"})


def _json(body: Any) -> bytes:
    import json

    return b"" if body is None else json.dumps(body).encode()
