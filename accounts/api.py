"""Who am I."""

from __future__ import annotations

from typing import Any

from ninja import Router

from accounts.models import Duty
from web.http import Request

router = Router(tags=["Me"])


@router.get("/me", operation_id="get_me")
def me(request: Request) -> Any:
    user = request.user
    duties = [
        {"kind": d.kind, "since": d.starts_at, "until": d.ends_at, "order": d.order}
        for d in Duty.objects.current().filter(user=user)
    ]
    return {
        "user": user.username,
        "name": str(user),
        "roles": sorted(user.roles),
        "duties": duties,
        "training": [],
    }
