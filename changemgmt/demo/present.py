"""Work waiting in every state, made by the same services that people use, at instants of the last
days.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from approvals.deciding import decisions
from approvals.models import Step
from approvals.policy import policy
from approvals.rounds import taking_back
from changemgmt import clock
from implementation.evidence import evidence
from implementation.run import verbs
from requests import changes
from requests.models import ChangeRequest
from windows.calendar.verdict import open_stretches
from windows.models import current_calendar

BASE: dict[str, Any] = {
    "risk": "medium",
    "rollback_tested": {
        "what": "The whole rollback plan",
        "where": "staging",
        "when": "last Friday",
        "link": "",
    },
    "rollback_minutes": 15,
    "testing_plan": "Contract tests, the smoke suite, and one order by hand.",
    "dependencies": "none",
    "strategy": "rolling",
    "downtime_required": False,
    "users_affected": False,
    "user_impact": "None expected.",
    "performance_impact": "Less than 1 % more CPU.",
    "security_impact": "None.",
    "affects_authentication": False,
    "affects_authorization": False,
    "affects_data_access": False,
    "affects_network": False,
    "estimated_minutes": 30,
}


class Present:
    """A few dozen changes on their way, so that every queue and page has something to show."""

    def __init__(self, people: dict[str, User]) -> None:
        self.people = people
        self.now = timezone.now().replace(microsecond=0)

    def make(self) -> int:
        stories: list[Callable[[], Any]] = [
            self.drafts,
            self.in_review,
            self.half_signed,
            self.changes_requested,
            self.edited_again,
            self.approved,
            self.scheduled,
            self.minor_booked,
            self.emergency_waiting,
            self.implementing_emergency,
            self.completed_awaiting_review,
            self.cancelled,
        ]
        for story in stories:
            story()
        return len(stories)

    # --- words ------------------------------------------------------------------------------------

    def at(self, **ago: float) -> Any:
        return clock.standing_at(self.now - timedelta(**ago))

    def submit(
        self,
        who: str,
        ago: timedelta,
        priority: str,
        summary: str,
        component: str,
        reason: str,
        steps: str,
        back: str,
        **more: Any,
    ) -> ChangeRequest:
        with clock.standing_at(self.now - ago):
            values = {
                **BASE,
                "priority": priority,
                "summary": summary,
                "components": [component],
                "reason": reason,
                "implementation_steps": steps,
                "rollback_plan": back,
                "requested_date": (self.now + timedelta(days=1)).date().isoformat(),
                **more,
            }
            change = changes.create(actor=self.people[who], values=values)
            return decisions.submit(actor=self.people[who], number=change.number)

    def decide(
        self,
        change: ChangeRequest,
        who: str,
        kind: str,
        ago: timedelta,
        verdict: str = "approve",
        comment: str = "",
    ) -> None:
        with clock.standing_at(self.now - ago):
            step = Step.objects.filter(change=change, kind=kind, state="open").latest("id")
            fresh = ChangeRequest.objects.get(pk=change.pk)
            ticks = {item["key"]: True for item in step.checklist}
            decisions.decide(
                actor=self.people[who],
                number=change.number,
                step_id=step.pk,
                verdict=verdict,
                version=fresh.version,
                comment=comment,
                checklist=ticks,
            )

    def approve(self, change: ChangeRequest, ago: timedelta) -> None:
        self.decide(change, "tech-lead", policy.TECHNICAL, ago)
        self.decide(change, "product-manager", policy.BUSINESS, ago)
        self.decide(change, "eng-manager", policy.SIGN_OFF, ago)
        self.decide(change, "devops-lead", policy.SIGN_OFF, ago)

    def next_windows(self) -> list[datetime]:
        found = open_stretches(
            "P1", self.now + timedelta(hours=25), self.now + timedelta(days=90), current_calendar()
        )
        return [start for start, _ in found]

    # --- stories ----------------------------------------------------------------------------------

    def drafts(self) -> None:
        with self.at(hours=3):
            changes.create(
                actor=self.people["engineer"],
                values={
                    "priority": "P3",
                    "summary": "Search: keep query logs for 30 days",
                    "components": ["search"],
                    "reason": "The relevance team compares month by month.",
                    "risk": "low",
                },
            )
            changes.create(
                actor=self.people["tech-lead"],
                values={
                    "priority": "P2",
                    "summary": "Checkout: address lookup v3",
                    "components": ["checkout"],
                },
            )

    def in_review(self) -> None:
        windows_ahead = self.next_windows()
        wanted = (
            {"requested_window": {"start": windows_ahead[0].isoformat()}} if windows_ahead else {}
        )
        self.submit(
            "engineer",
            timedelta(days=2, hours=5),
            "P2",
            "Payments: retry captures once when the gateway times out",
            "payments",
            "Every week about 40 captures are lost to time-outs and done by hand the next morning.",
            "Deploy payments 7.3\nWatch the capture queue for 10 minutes",
            "Redeploy payments 7.2 (4 min)\nEmpty the retry queue",
            **wanted,
        )
        self.submit(
            "engineer2",
            timedelta(days=1, hours=3),
            "P2",
            "Search: refresh the product index every 5 s, 12 shards",
            "search",
            "New products are found 20 minutes late; the campaign needs them at once.",
            "Set the interval to 5 s\nRestart the indexer",
            "Set the interval to 20 min",
        )
        self._order_service()

    def _order_service(self) -> None:
        change = self.submit(
            "engineer",
            timedelta(hours=9),
            "P1",
            "Order service 4.12: reserve stock before payment",
            "order-service",
            "1.3 % of paid orders in September could not be shipped because the last unit was sold"
            " twice.",
            "Announce in #operations and pause the order replay job\nDeploy 4.12 to the canary pool"
            " with 5 % of traffic\nRaise to 25 %, then 50 %\nRaise to 100 %, resume the replay job,"
            " run the smoke tests",
            "Send all traffic back to 4.11 (about 2 minutes)\nRelease open reservations with the"
            " release script\nCompare stock with the warehouse feed",
            risk="high",
            estimated_minutes=5,
            rollback_minutes=25,
            strategy="canary",
            affects_data_access=True,
            external_refs=[
                {
                    "system": "Jira",
                    "key": "SHOP-8841",
                    "url": "https://jira.example.com/browse/SHOP-8841",
                }
            ],
        )
        self.decide(change, "security", policy.SECURITY, timedelta(hours=5))
        self.decide(
            change,
            "product-manager",
            policy.BUSINESS,
            timedelta(hours=4),
            comment="Support will thank you.",
        )

    def half_signed(self) -> None:
        change = self.submit(
            "engineer2",
            timedelta(days=3),
            "P2",
            "Catalogue: show sizes in centimetres beside inches",
            "catalogue",
            "A third of the returns are the wrong size.",
            "Deploy catalogue 5.2",
            "Redeploy catalogue 5.1",
        )
        for who, kind in (
            ("tech-lead", policy.TECHNICAL),
            ("product-manager", policy.BUSINESS),
            ("devops-lead", policy.SIGN_OFF),
        ):
            self.decide(change, who, kind, timedelta(days=1))

    def changes_requested(self) -> None:
        change = self.submit(
            "engineer",
            timedelta(days=4),
            "P2",
            "Payments: drop TLS 1.1 on the callback listener",
            "payments",
            "No partner should use it any more; the auditors ask for it.",
            "Change the listener's ciphers\nReload it",
            "Restore the ciphers\nReload it",
            affects_network=True,
        )
        self.decide(
            change,
            "security",
            policy.SECURITY,
            timedelta(days=2),
            "request_changes",
            "Which partners still call us with 1.1? Please list them, and tell them first.",
        )

    def edited_again(self) -> None:
        change = self.submit(
            "engineer2",
            timedelta(days=2),
            "P1",
            "Storefront 8: new product page",
            "storefront",
            "Half of the visitors leave at the product page.",
            "Deploy storefront 8.0\nWarm the cache",
            "Redeploy storefront 7.9",
        )
        self.decide(change, "tech-lead", policy.TECHNICAL, timedelta(days=1))
        with self.at(hours=6):
            fresh = ChangeRequest.objects.get(pk=change.pk)
            taking_back.edit(
                actor=self.people["engineer2"],
                number=change.number,
                version=fresh.version,
                values={
                    "rollback_plan": (
                        "Redeploy storefront 7.9\nPurge the product pages from the CDN"
                    ),
                    "rollback_minutes": 20,
                },
            )

    def approved(self) -> None:
        change = self.submit(
            "engineer",
            timedelta(days=5),
            "P2",
            "Recommendations: model of this month",
            "recommendations",
            "Clicks have fallen by 8 % since spring.",
            "Load the model\nSwitch traffic",
            "Switch traffic back",
        )
        self.approve(change, timedelta(days=3))

    def scheduled(self) -> None:
        ahead = self.next_windows()
        for index, (who, summary, component) in enumerate(
            [
                ("tech-lead", "Checkout: new address form behind a flag", "checkout"),
                ("engineer2", "Customer mail: new order confirmation", "notifications"),
            ]
        ):
            wanted = (
                {"requested_window": {"start": ahead[min(index, len(ahead) - 1)].isoformat()}}
                if ahead
                else {}
            )
            change = self.submit(
                who,
                timedelta(days=6),
                "P2",
                summary,
                component,
                "One in twelve carts is left here.",
                "Deploy it\nSwitch the flag on",
                "Switch the flag off",
                **wanted,
            )
            reviewer = "senior-devops" if who == "tech-lead" else "tech-lead"
            self.decide(change, reviewer, policy.TECHNICAL, timedelta(days=4))
            self.decide(change, "product-manager", policy.BUSINESS, timedelta(days=4))
            self.decide(change, "eng-manager", policy.SIGN_OFF, timedelta(days=4))
            self.decide(change, "devops-lead", policy.SIGN_OFF, timedelta(days=4))

    def minor_booked(self) -> None:
        change = self.submit(
            "engineer",
            timedelta(days=2),
            "P3",
            "Search: lower the log level of the indexer",
            "search",
            "It writes 40 GB a day that nobody reads.",
            "Set the level to warning\nRestart the indexer",
            "Set it back to info",
            risk="low",
            estimated_minutes=10,
            rollback_minutes=5,
        )
        self.decide(change, "senior-devops", policy.TECHNICAL, timedelta(days=1))
        self.decide(change, "devops2", policy.SIGN_OFF, timedelta(days=1))

    def _emergency(
        self, ago: timedelta, summary: str, component: str, reason: str, reference: str
    ) -> ChangeRequest:
        return self.submit(
            "oncall",
            ago,
            "P0",
            summary,
            component,
            reason,
            "Restore the time-outs of the gateway to 8 s\nReload the gateway",
            "Set them back to 2 s",
            risk="high",
            emergency_kind="outage",
            emergency_reference=reference,
            requested_date=None,
        )

    def emergency_waiting(self) -> None:
        self._emergency(
            timedelta(minutes=6),
            "Checkout answers 502 to card payments: restore gateway time-outs",
            "checkout",
            "No card payment since 20 minutes ago.",
            "INC-2291",
        )

    def implementing_emergency(self) -> None:
        change = self._emergency(
            timedelta(minutes=50),
            "Warehouse feed stands still: restart the bus",
            "message-bus",
            "No stock update for 40 minutes; we sell what we do not have.",
            "INC-2288",
        )
        self.decide(change, "emergency-contact", policy.EMERGENCY, timedelta(minutes=45))
        with self.at(minutes=40):
            verbs.start(actor=self.people["oncall"], number=change.number)
        with self.at(minutes=20):
            evidence.open_issue(
                actor=self.people["oncall"],
                number=change.number,
                severity="P2",
                summary="Two consumers did not come back by themselves",
                link="fixed_by",
            )

    def completed_awaiting_review(self) -> None:
        change = self._emergency(
            timedelta(hours=12),
            "Accounts: revoke leaked session keys",
            "accounts",
            "A log with session keys was readable for an hour.",
            "SEC-77",
        )
        self.decide(change, "cto", policy.EMERGENCY, timedelta(hours=11, minutes=50))
        oncall = self.people["oncall"]
        with self.at(hours=11, minutes=45):
            verbs.start(actor=oncall, number=change.number)
            for item in change.checklist.filter(phase__in=["start", "during", "post"]):
                evidence.settle_item(
                    actor=oncall, number=change.number, item_id=item.pk, state="done"
                )
        with self.at(hours=11, minutes=10):
            verbs.finish(actor=oncall, number=change.number)
        with self.at(hours=10, minutes=30):
            verbs.complete(actor=oncall, number=change.number)

    def cancelled(self) -> None:
        change = self.submit(
            "engineer2",
            timedelta(days=9),
            "P3",
            "CDN: cache product pictures for a week",
            "cdn",
            "40 % of the traffic to the origin is pictures.",
            "Change the header",
            "Change it back",
            risk="low",
        )
        with self.at(days=8):
            taking_back.cancel(
                actor=self.people["engineer2"],
                number=change.number,
                reason="The supplier does it on their side.",
            )


def make_present(people: dict[str, User]) -> int:
    """Make them all; returns how many stories were told."""
    return Present(people).make()
