"""What the demonstration's changes are about."""

from __future__ import annotations

#: component → (summary, reason, steps, rollback)
STORIES: dict[str, list[tuple[str, str, str, str]]] = {
    "checkout": [
        (
            "Checkout: new address form behind a flag",
            "One in twelve carts is left at the address form; the new one has four fields less.",
            "Deploy checkout {v}\nSwitch the flag on for 10 %\nSwitch it on for all",
            "Switch the flag off\nRedeploy the version before",
        ),
        (
            "Checkout: keep the cart for 30 days",
            "Customers come back after payday and find an empty cart.",
            "Deploy checkout {v}\nRaise the cart's lifetime to 30 days",
            "Set the lifetime back to 7 days",
        ),
    ],
    "order-service": [
        (
            "Order service {v}: reserve stock before payment",
            "1.3 % of paid orders could not be shipped because the last unit was sold twice.",
            "Pause the order replay job\nDeploy order-service {v}\nResume the replay job",
            "Redeploy the version before\nRelease open reservations",
        ),
        (
            "Order service: split the order table by month",
            "The nightly export takes 3 h and locks the table.",
            "Create the partitions\nMove the rows in blocks\nSwitch the writes",
            "Switch the writes back\nDrop the partitions",
        ),
    ],
    "payments": [
        (
            "Payments: retry captures once when the gateway times out",
            "Every week about 40 captures are lost to time-outs and done by hand.",
            "Deploy payments {v}\nWatch the capture queue",
            "Redeploy the version before",
        ),
        (
            "Payments: rotate the sandbox certificate",
            "It ends on the last of the month.",
            "Upload the certificate\nReload the gateway",
            "Reload with the old certificate",
        ),
        (
            "Payments: drop TLS 1.1 on the callback listener",
            "No partner has used it for 90 days.",
            "Change the listener's ciphers\nReload it",
            "Restore the ciphers",
        ),
    ],
    "search": [
        (
            "Search: refresh the product index every 5 s",
            "New products are found 20 minutes late.",
            "Set the interval\nRestart the indexer",
            "Set the interval back",
        ),
        (
            "Search: synonyms for the autumn catalogue",
            "“Anorak” finds nothing although we sell 80 of them.",
            "Upload the synonyms\nReload the analyser",
            "Load the list before",
        ),
        (
            "Search: lower the log level of the indexer",
            "It writes 40 GB a day that nobody reads.",
            "Set the level\nRestart the indexer",
            "Set it back",
        ),
    ],
    "catalogue": [
        (
            "Catalogue: show sizes in centimetres beside inches",
            "A third of the returns are the wrong size.",
            "Deploy catalogue {v}",
            "Redeploy the version before",
        ),
        (
            "Catalogue: import the supplier's feed every hour",
            "Prices are up to a day old.",
            "Change the schedule\nRun it once by hand",
            "Change the schedule back",
        ),
    ],
    "accounts": [
        (
            "Accounts: sign in with a passkey",
            "Password resets are half of the support's work.",
            "Deploy accounts {v}\nSwitch it on for staff\nSwitch it on for all",
            "Switch it off",
        ),
    ],
    "warehouse-feed": [
        (
            "Warehouse feed: send stock every 5 minutes",
            "Stock is up to an hour old.",
            "Change the schedule",
            "Change it back",
        )
    ],
    "notifications": [
        (
            "Customer mail: new order confirmation",
            "Customers ask support what they have ordered.",
            "Deploy the template",
            "Restore the template",
        )
    ],
    "recommendations": [
        (
            "Recommendations: model of this month",
            "Clicks have fallen by 8 % since spring.",
            "Load the model\nSwitch traffic",
            "Switch traffic back",
        )
    ],
    "load-balancer": [
        (
            "Load balancer: raise idle time-out to 90 s",
            "Long exports break off at 60 s.",
            "Change the setting\nReload",
            "Change it back\nReload",
        )
    ],
    "monitoring": [
        (
            "Monitoring: alert on p95 of checkout",
            "The last two outages were seen by customers first.",
            "Add the rule\nSend a test alert",
            "Remove the rule",
        )
    ],
    "cdn": [
        (
            "CDN: cache product pictures for a week",
            "40 % of the traffic to the origin is pictures.",
            "Change the header\nPurge one folder and look",
            "Change the header back",
        )
    ],
    "orders-db": [
        (
            "Orders database: index on customer and date",
            "“My orders” takes 4 s for good customers.",
            "Create the index concurrently",
            "Drop the index",
        )
    ],
    "admin-tools": [
        (
            "Back office: refunds of more than one item",
            "Clerks do 200 of them one by one each week.",
            "Deploy admin-tools {v}",
            "Redeploy the version before",
        )
    ],
}
EMERGENCIES = [
    (
        "checkout",
        "Checkout answers 502 to card payments: restore gateway time-outs",
        "No card payment has gone through for minutes.",
    ),
    (
        "payments",
        "Payments: block replayed callbacks",
        "A partner's callbacks are being replayed; three orders were paid once and booked twice.",
    ),
    (
        "search",
        "Search returns nothing: roll the index back",
        "Every search is empty since the last index run.",
    ),
    (
        "accounts",
        "Accounts: revoke leaked session keys",
        "A log with session keys was readable for an hour.",
    ),
]
LESSONS = [
    "Release reservations as part of every rollback plan of the order service.",
    "Baselines taken at 02:00 are too calm for search.",
    "Announce flag changes to support the day before.",
    "Two minutes of waiting between pool switches would have shown it.",
    "The dry run on staging needs the production data's size.",
]
IMPROVEMENTS = [
    "The smoke tests now place one order per region.",
    "Archive jobs run in blocks of 5,000 rows.",
    "The runbook names the flag to switch off first.",
    "Alerts of the component are on the implementer's page during a run.",
]
ISSUES = [
    "Tax tables missing for two regions",
    "Archive job locked the captures table",
    "Quote call slower on the new version",
    "Pictures missing on the category page",
    "Error rate at 6 % after the switch",
    "Emails sent twice to some customers",
]
REASONS_TO_REJECT = [
    "The same is in the October release already.",
    "The gain does not pay for the downtime.",
    "This belongs into the supplier's system.",
]
