"""What is wrong with a page as it stands, for eyes and for readers."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe


def faults(page: Any) -> list[Any]:
    """Serious and critical violations of WCAG 2.2 AA by axe, and how far the page scrolls
    sideways.
    """
    found: list[Any] = []
    sideways = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    if sideways > 0:
        found.append(f"scrolls {sideways} px sideways")
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            found.append((violation["id"], [node["html"][:120] for node in violation["nodes"][:3]]))
    return found
