"""Whether a policy is sound, and what it changes against another: pure rules over values (A2, A16,
A27).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accounts.roles import READ_ONLY_ROLES, Role, listed
from approvals.policy.policy import (
    COMPONENT,
    EMERGENCY,
    HIGH_RISK,
    HOURS,
    KIND_LABELS,
    MEDIUM_RISK,
    NO_SECURITY,
    SECURITY,
    SECURITY_ANSWERS,
    SIGN_OFF,
    TRIGGERS,
    trigger_words,
)
from approvals.policy.quorum import ALL, ANY, Quorum

Rules = Mapping[str, Any]
Rule = Mapping[str, Any]
PRIORITIES = ("P0", "P1", "P2", "P3")
DECIDING_ROLES = tuple(role for role in Role if role not in READ_ONLY_ROLES)
MOST_PEOPLE, MOST_ITEMS, LONGEST_ITEM, MOST_HOURS, MOST_STAGES, MOST_STEPS = 5, 20, 300, 2000, 5, 6


# --- sound ----------------------------------------------------------------------------------------


def problems(rules: Rules, components: Collection[str]) -> list[str]:
    """What must be mended before these rules can be published; empty if nothing. `components` are
    the slugs that there are.
    """
    return [
        f"{priority}: {text}"
        for priority in PRIORITIES
        for text in _problems(priority, rules[priority], components)
    ]


def _problems(priority: str, rules: Rules, components: Collection[str]) -> Iterator[str]:
    stages = rules["stages"]
    if not stages or any(not stage for stage in stages):
        yield "a stage without a step asks nobody; give it one, or remove it."
        return
    for stage in (*stages, rules["deferred"]):
        yield from (
            f"{KIND_LABELS[kind].lower()} stands twice in one stage; keep one."
            for kind, n in _kinds(stage).items()
            if n > 1
        )
        for step in stage:
            yield from (
                f"{KIND_LABELS[step['kind']].lower()}: {text}"
                for text in step_problems(step, components)
            )
    if not any(not step["when"] for step in stages[-1]):
        yield (
            "its last stage needs a step that is asked always; else some changes would pass with"
            " nobody's approval."
        )
    kinds = [_kinds(stage) for stage in stages]
    if priority == "P0":
        if kinds != [Counter([EMERGENCY])]:
            yield (
                "an emergency has one stage, the emergency authorisation alone; its reviews are"
                " owed afterwards."
            )
    elif any(EMERGENCY in found for found in kinds):
        yield "the emergency authorisation is for P0 alone."
    elif rules["deferred"]:
        yield "only an emergency's reviews may be owed after its implementation."
    if any(kind in (EMERGENCY, SIGN_OFF) for kind in _kinds(rules["deferred"])):
        yield "only reviews are owed after an emergency, neither an authorisation nor a sign-off."
    if not any(_asks_security(step) for stage in (*stages, rules["deferred"]) for step in stage):
        yield "a yes to a security question asks for the security review; that cannot be left out."


def _kinds(stage: list[Rule]) -> Counter[str]:
    return Counter(step["kind"] for step in stage)


def _asks_security(step: Rule) -> bool:
    return step["kind"] == SECURITY and (not step["when"] or SECURITY_ANSWERS in step["when"])


def step_problems(step: Rule, components: Collection[str]) -> Iterator[str]:
    """What is wrong with one step, as ends of a sentence that begins with its name."""
    roles, quorum = step["roles"], Quorum(step["mode"], tuple(step["roles"]), step["needed"])
    if not roles:
        yield "name at least one role."
    if unfit := [role for role in roles if role not in DECIDING_ROLES]:
        yield f"{', '.join(unfit)} decides nothing; choose another role."
    if not 1 <= step["needed"] <= MOST_PEOPLE or (quorum.mode == ALL and quorum.size > MOST_PEOPLE):
        yield f"between one and {MOST_PEOPLE} different people."
    if step["kind"] == EMERGENCY and (
        step["mode"] != ANY or step["needed"] != 1 or step["when"] or step["checklist"]
    ):
        yield "one person authorises an emergency, always, and ticks nothing."
    for trigger in step["when"]:
        if trigger.startswith(COMPONENT) and trigger.removeprefix(COMPONENT) not in components:
            yield f"there is no component {trigger.removeprefix(COMPONENT)}."
        elif not trigger.startswith(COMPONENT) and trigger not in TRIGGERS:
            yield f"there is no condition {trigger}."
    items = step["checklist"]
    if len(items) > MOST_ITEMS or any(not 0 < len(item["text"]) <= LONGEST_ITEM for item in items):
        yield f"at most {MOST_ITEMS} checklist items of at most {LONGEST_ITEM} letters."
    if any(item["key"] == NO_SECURITY["key"] for item in items):
        yield (
            f"{NO_SECURITY['key']} is the process's own item, “{NO_SECURITY['text']}”; give another"
            " key."
        )
    yield from (
        f"{key} stands twice in the checklist."
        for key, n in Counter(item["key"] for item in items).items()
        if n > 1
    )
    hours = [step[name] for name in HOURS if step[name] is not None]
    if any(not 1 <= count <= MOST_HOURS for count in hours):
        yield f"hours are between 1 and {MOST_HOURS}."
    if (
        step["remind_hours"]
        and step["escalate_hours"]
        and step["remind_hours"] >= step["escalate_hours"]
    ):
        yield "the reminder comes before the escalation; give it fewer hours."


# --- what changes ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """One thing that another policy does otherwise. What `widens` lets more through, or lets more
    people decide (A27).
    """

    text: str
    widens: bool = False


#: Where a step stands: its stage (0: owed afterwards), its kind, and which of that kind it is.
Place = tuple[bool, str, int]


def compare(old: Rules, new: Rules) -> list[Difference]:
    """Everything that `new` does otherwise than `old`, in the order of priorities."""
    return [
        Difference(f"{priority}: {found.text}", found.widens)
        for priority in PRIORITIES
        for found in _compare(old[priority], new[priority])
    ]


def _compare(old: Rules, new: Rules) -> Iterator[Difference]:
    was_alone, alone = old.get("starts_before", True), new.get("starts_before", True)
    if was_alone != alone:
        said = (
            "may start an emergency that nobody has authorised yet"
            if alone
            else "starts nothing that nobody has authorised"
        )
        yield Difference(f"the on-call engineer on duty {said}.", widens=alone)
    before, after = _places(old), _places(new)
    kept = [place for place in before if place in after]
    for place in before:
        if place not in after:
            yield Difference(f"the {_name(place)} is not asked any more.", widens=True)
    new_roles = {role for _, step in after.values() for role in step["roles"]} - {
        role for _, step in before.values() for role in step["roles"]
    }
    for place in after:
        if place not in before:
            yield Difference(f"also asks for the {_name(place)}, by {_people(after[place][1])}.")
    if new_roles:  # who decides on a change may see it where it is confidential, and lower its risk
        yield Difference(
            "lets one more role decide, and see what is confidential:"
            f" {listed(sorted(new_roles), 'and')}.",
            widens=True,
        )
    for place in kept:
        yield from (
            Difference(f"{_name(place)}: {found.text}", found.widens)
            for found in _changed(before[place][1], after[place][1])
        )
    was, now = _order(before, kept), _order(after, kept)
    moved = [place for place in kept if was[place] != now[place]]
    yield from (
        Difference(f"the {_name(place)} moves to another stage.", widens=True) for place in moved
    )


def _places(rules: Rules) -> dict[Place, tuple[int, Rule]]:
    """Every step by its place, with its stage."""
    found: dict[Place, tuple[int, Rule]] = {}
    for number, stage in enumerate((rules["deferred"], *rules["stages"])):
        for step in stage:
            deferred = number == 0
            nth = sum(place[:2] == (deferred, step["kind"]) for place in found)
            found[deferred, step["kind"], nth] = (number, step)
    return found


def _order(places: Mapping[Place, tuple[int, Rule]], kept: list[Place]) -> dict[Place, int]:
    """The stages of the kept steps, counted without those that hold none of them: what is put
    between them moves nobody.
    """
    stages = sorted({places[place][0] for place in kept})
    return {place: stages.index(places[place][0]) for place in kept}


def _name(place: Place) -> str:
    deferred, kind, nth = place
    return (
        ("owed " if deferred else "")
        + (f"{ORDINALS[nth]} " if nth else "")
        + KIND_LABELS[kind].lower()
    )


ORDINALS = ("first", "second", "third", "fourth", "fifth")  # as many as there may be stages


def _people(step: Rule) -> str:
    return Quorum(step["mode"], tuple(step["roles"]), step["needed"]).words()


def _who(step: Rule) -> tuple[str, frozenset[str], int]:
    """Who decides, whatever the order in which the roles were named; where all must agree, `needed`
    says nothing.
    """
    quorum = Quorum(step["mode"], tuple(step["roles"]), step["needed"])
    return quorum.mode, frozenset(quorum.roles), quorum.size


def _when(step: Rule) -> str:
    return (
        " or ".join(trigger_words(trigger) for trigger in step["when"])
        if step["when"]
        else "always"
    )


def _changed(old: Rule, new: Rule) -> Iterator[Difference]:
    if _who(old) != _who(new):
        yield Difference(
            f"by {_people(new)}, instead of {_people(old)}.", widens=not _as_strict(old, new)
        )
    if set(old["when"]) != set(new["when"]):
        asked = "asked always" if not new["when"] else f"asked when {_when(new)}"
        yield Difference(
            f"{asked}, instead of {'' if not old['when'] else 'when '}{_when(old)}.",
            widens=not _as_often(old, new),
        )
    before, after = (
        {item["key"]: item["text"] for item in step["checklist"]} for step in (old, new)
    )
    yield from (
        Difference(f"no longer asks {key} “{text}”.", widens=True)
        for key, text in before.items()
        if key not in after
    )
    yield from (
        Difference(f"also asks {key} “{text}”.") for key, text in after.items() if key not in before
    )
    for key in before:
        if key in after and before[key] != after[key]:
            yield Difference(f"{key} reads “{after[key]}” instead of “{before[key]}”.", widens=True)
    for name, word in zip(HOURS, ("due", "reminded", "escalated"), strict=True):
        if old[name] != new[name]:
            yield Difference(f"{word} {_after(new[name])}, instead of {_after(old[name])}.")


def _after(hours: int | None) -> str:
    return "never" if hours is None else f"after {hours} hour{'' if hours == 1 else 's'}"


def _as_strict(old: Rule, new: Rule) -> bool:
    """Whether whatever settles the new step would have settled the old one."""
    old_roles, new_roles = set(old["roles"]), set(new["roles"])
    alone = len(old["roles"]) == 1
    if old["mode"] == ALL and not alone:
        return new["mode"] == ALL and old_roles <= new_roles
    needed = 1 if old["mode"] == ALL else old["needed"]
    if new["mode"] == ALL:
        return len(old_roles & new_roles) >= needed
    return bool(new_roles) and new_roles <= old_roles and new["needed"] >= needed


def _as_often(old: Rule, new: Rule) -> bool:
    """Whether the new step is asked of every change of which the old one was."""
    if not new["when"]:
        return True
    covered = set(new["when"]) | ({HIGH_RISK} if MEDIUM_RISK in new["when"] else set())
    return bool(old["when"]) and set(old["when"]) <= covered
