"""People, roles, duties, tokens and sign-in: an empty installation comes to life through its pages
(issue 2 item 2, A26).
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.cache import caches
from django.test import Client

from accounts.models import ApiToken, Duty, User
from audit.models import Event
from requests.models import Component
from tests.world import Desk, html_of

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
PERSON = {
    "username": "ines",
    "name": "Ines Maier",
    "email": "ines@example.com",
    "phone": "+49 30 1",
    "password": "a long first one",
    "is_active": "on",
}


@pytest.fixture
def root() -> Client:
    """An administrator in front of the pages: superuser, no role."""
    user = User.objects.create_superuser("root", "root@example.com", "rather secret")
    user.name = "Root"
    user.save()
    client = Client()
    client.force_login(user)
    return client


def signed_in(username: str, password: str) -> Client:
    client = Client()
    answer = client.post("/accounts/login/", {"login": username, "password": password})
    assert answer.status_code == 302, html_of(answer)
    return client


def told(client: Client, address: str, **values: Any) -> str:
    """Post a form that is refused: the errors that the page shows, with what was typed."""
    answer = client.post(address, values)
    assert answer.status_code == 422
    return html_of(answer)


def test_an_empty_installation_is_brought_to_life_without_a_shell(root: Client) -> None:
    """Issue 2 item 2: a person with roles, a duty, a component; the person signs in and changes the
    password.
    """
    assert (
        root.post(
            "/settings/people/new", PERSON | {"roles": ["on-call-engineer", "devops-engineer"]}
        ).status_code
        == 302
    )
    ines = User.objects.get(username="ines")
    assert ines.roles == {"on-call-engineer", "devops-engineer"}
    roster = {"kind": "on-call", "user": "ines", "starts_at": "2026-10-01T00:00Z", "order": "1"}
    assert root.post("/settings/duties/", roster).status_code == 302
    assert Duty.objects.filter(user=ines, kind="on-call").exists()
    client = signed_in("ines", "a long first one")
    changed = {
        "oldpassword": "a long first one",
        "password1": "another long one",
        "password2": "another long one",
    }
    assert client.post("/accounts/password/change/", changed).status_code == 302
    signed_in("ines", "another long one")
    assert (
        Client()
        .post("/accounts/login/", {"login": "ines", "password": "a long first one"})
        .status_code
        == 200
    )
    actions = list(Event.objects.order_by("id").values_list("action", flat=True))
    assert {"person.create", "duty.add"} <= set(actions)


def test_a_component_is_made_and_edited_on_its_page(desk: Sit) -> None:
    """Issue 2 item 3: the change manager keeps the catalogue, dependencies and the flag “security
    review always” included.
    """
    client = desk("change-manager").client
    client.force_login(User.objects.get(username="change-manager"))
    values = {
        "slug": "loyalty",
        "name": "Loyalty",
        "team": "Shop",
        "owner": "engineer",
        "depends_on": "search, orders-db",
        "security_review": "on",
    }
    wrong = told(client, "/settings/components/new", **(values | {"depends_on": "search, nowhere"}))
    assert "nowhere" in wrong
    assert 'value="Loyalty"' in wrong
    known = ", ".join(Component.objects.values_list("slug", flat=True)[:2])
    assert (
        client.post("/settings/components/new", values | {"depends_on": known}).status_code == 302
    )
    made = Component.objects.get(slug="loyalty")
    assert (made.security_review, made.depends_on.count()) == (True, 2)
    client.force_login(User.objects.get(username="engineer"))
    assert client.post("/settings/components/loyalty/", values).status_code == 403
    assert Event.objects.filter(action="access.refused", actor__username="engineer").exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"username": ""}, "Username: give one"), ({"username": "i n"}, "Username: use letters"),
        ({"username": "ENGINEER"}, "is taken"), ({"name": ""}, "Name: say"),
     ({"email": "nowhere"}, "Email: give an address"),
     ({"password": "short"}, "at least 10 characters"),
     ({"phone": "1" * 41}, "Telephone: at most 40")],
)  # fmt: skip
def test_what_is_wrong_with_a_person_is_said_and_nothing_is_lost(
    root: Client, wrong: dict[str, str], says: str
) -> None:
    """Bad input gets a clear error that names the field and the remedy."""
    page = told(root, "/settings/people/new", **(PERSON | wrong | {"roles": ["engineer"]}))
    assert says in page
    for name in {"name", "email"} - wrong.keys():
        assert PERSON[name] in page
    assert re.search(r'value="engineer"[^>]* checked', page)
    assert not User.objects.filter(username="ines").exists()


def test_nobody_grants_themselves_a_role(root: Client, desk: Sit) -> None:
    """A26: an administrator grants roles to others; everybody else sees no such page."""
    mine = {
        "username": "root",
        "name": "Root",
        "email": "root@example.com",
        "is_active": "on",
        "roles": ["cto"],
    }
    answer = root.post("/settings/people/root/", mine)
    assert answer.status_code == 422
    assert "Nobody changes their own roles" in html_of(answer)
    for username in ("engineer", "change-manager", "cto", "auditor"):
        client = desk(username).client
        client.force_login(User.objects.get(username=username))
        assert client.get("/settings/people/").status_code == 403
        assert (
            client.post("/settings/people/engineer2/", mine | {"username": "engineer2"}).status_code
            == 403
        )
    assert User.objects.get(username="engineer2").roles == {"engineer"}


def test_a_deactivated_person_is_out_at_the_next_click(root: Client, desk: Sit) -> None:
    """R154: sessions and tokens end with the account."""
    engineer = User.objects.get(username="engineer")
    _, secret = ApiToken.make(user=engineer, name="pipeline", scope="read")
    inside = Client()
    inside.force_login(engineer)
    assert inside.get("/").status_code == 200
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    assert Client().get("/api/v1/me", **bearer).status_code == 200
    values = {
        "username": "engineer",
        "name": "Mira",
        "email": "m@example.com",
        "roles": ["engineer"],
    }
    assert root.post("/settings/people/engineer/", values).status_code == 302
    assert inside.get("/").status_code == 302
    assert Client().get("/api/v1/me", **bearer).status_code == 401


def test_a_token_is_shown_once_and_ends(desk: Sit, at: Any) -> None:
    """Issue 2 item 2: hashed at rest, scoped, expiring, revocable by its owner alone."""
    at("2026-10-01T09:00Z")
    client = desk("devops").client
    client.force_login(User.objects.get(username="devops"))
    for wrong, says in (
        ({"name": ""}, "Name: say"),
        ({"days": "0"}, "Days: give 1 to 730"),
        ({"scope": "all"}, "Scope: choose"),
    ):
        assert says in told(
            client, "/settings/tokens/", **({"name": "ci", "scope": "gate", "days": "30"} | wrong)
        )
    page = html_of(client.post("/settings/tokens/", {"name": "ci", "scope": "gate", "days": "30"}))
    found = re.search(r"cm_[\w-]{20,}", page)
    assert found
    secret = found[0]
    assert secret not in html_of(client.get("/settings/tokens/"))
    assert not ApiToken.objects.filter(digest=secret).exists()
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    assert Client().get("/api/v1/gate/CR-2026-10-01-001", **bearer).status_code == 404
    assert Client().get("/api/v1/changes", **bearer).status_code == 403
    token = ApiToken.objects.get(user__username="devops")
    other = desk("engineer").client
    other.force_login(User.objects.get(username="engineer"))
    assert other.post("/settings/tokens/", {"revoke": token.pk}).status_code == 404
    at("2026-11-02T09:00Z")
    assert Client().get("/api/v1/gate/CR-2026-10-01-001", **bearer).status_code == 401
    at("2026-10-02T09:00Z")
    client.force_login(User.objects.get(username="devops"))
    client.post("/settings/tokens/", {"revoke": token.pk})
    assert Client().get("/api/v1/gate/CR-2026-10-01-001", **bearer).status_code == 401


def code(secret: str, at: float) -> str:
    """The six digits of RFC 6238, computed independently of the library."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(at // 30)), "sha1").digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


@pytest.mark.django_db(transaction=True)
def test_a_second_factor_is_enrolled_and_asked_for(desk: Sit) -> None:
    """Issue 2 item 2: enrolled on its page; then password, code, in; a wrong code, no code and the
    one-click sign-in stay out.
    """
    user = User.objects.get(username="engineer")
    user.set_password("a long first one")
    user.save()
    client = signed_in("engineer", "a long first one")
    asked = client.get("/accounts/2fa/totp/activate/")
    assert asked["Location"].startswith("/accounts/reauthenticate/"), (
        "who changes how to sign in gives the password again"
    )
    assert client.post(asked["Location"], {"password": "wrong"}).status_code == 200
    assert (
        client.post(asked["Location"], {"password": "a long first one"})["Location"]
        == "/accounts/2fa/totp/activate/"
    )
    page = html_of(client.get("/accounts/2fa/totp/activate/"))
    found = re.search(r'value="([A-Z2-7]{32})"', page)
    assert found, page
    secret = found[1]
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200
    assert (
        client.post("/accounts/2fa/totp/activate/", {"code": code(secret, time.time())}).status_code
        == 302
    )
    assert client.get("/accounts/2fa/").status_code == 200
    assert client.get("/accounts/2fa/recovery-codes/").status_code == 200, (
        "its code was given a moment ago"
    )
    later = Client()
    later.force_login(user)
    for address in (
        "recovery-codes/",
        "recovery-codes/generate/",
        "recovery-codes/download/",
        "totp/deactivate/",
    ):
        answer = later.get(f"/accounts/2fa/{address}")
        assert answer["Location"].startswith("/accounts/2fa/reauthenticate/"), (
            "the password shows no other factor, and takes none away"
        )

    fresh = Client()
    asked = fresh.post("/accounts/login/", {"login": "engineer", "password": "a long first one"})
    assert (asked.status_code, asked["Location"]) == (302, "/accounts/2fa/authenticate/")
    assert fresh.get("/changes/").status_code == 302, "not in before the code"
    assert fresh.get("/api/v1/me").status_code == 401
    assert fresh.get("/accounts/2fa/authenticate/").status_code == 200
    assert fresh.post("/accounts/2fa/authenticate/", {"code": "123456"}).status_code == 200
    assert fresh.get("/changes/").status_code == 302
    caches["default"].clear()  # where allauth keeps the codes used up, enrolment's among them
    assert (
        fresh.post("/accounts/2fa/authenticate/", {"code": code(secret, time.time())}).status_code
        == 302
    )
    assert fresh.get("/changes/").status_code == 200
    recovery = re.findall(r"\b[0-9a-f]{8}\b", html_of(client.get("/accounts/2fa/recovery-codes/")))
    lost = signed_in("engineer", "a long first one")
    assert lost.post("/accounts/2fa/authenticate/", {"code": recovery[0]}).status_code == 302
    assert lost.get("/changes/").status_code == 200
    again = signed_in("engineer", "a long first one")
    assert again.post("/accounts/2fa/authenticate/", {"code": recovery[0]}).status_code == 200, (
        "a recovery code opens once"
    )
    assert again.get("/changes/").status_code == 302

    click = Client()
    assert (
        click.post("/accounts/demo/", {"username": "engineer"})["Location"]
        == "/accounts/2fa/authenticate/"
    )
    assert click.get("/changes/").status_code == 302


def test_a_forgotten_password_is_reset_by_mail(desk: Sit) -> None:
    """Issue 2 item 2: the answer does not tell whether the address is known."""
    known = Client().post(
        "/accounts/password/reset/", {"email": User.objects.get(username="engineer").email}
    )
    strange = Client().post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known["Location"]) == (strange.status_code, strange["Location"])
    assert "/accounts/password/reset/key/" in mail.outbox[0].body
    assert len(mail.outbox) == 1
    for closed in ("signup", "email"):  # accounts and addresses are an administrator's
        assert Client().post(
            f"/accounts/{closed}/", {"username": "stranger", "email": "s@example.com"}
        ).status_code in (302, 404)
    assert not User.objects.filter(username="stranger").exists()


def test_a_new_password_ends_the_tokens_too(desk: Sit, root: Client) -> None:
    """F56: changed by its owner or set by an administrator; who set it, and that tokens ended, is
    in the trail.
    """
    user = User.objects.get(username="engineer")
    user.set_password("a long first one")
    user.save()
    person = {
        "username": "engineer",
        "name": "Mira",
        "email": "m@example.com",
        "roles": ["engineer"],
        "is_active": "on",
    }
    for change in ("own", "administrator"):
        _, secret = ApiToken.make(user=user, name=change, scope="read")
        bearer = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
        assert Client().get("/api/v1/me", **bearer).status_code == 200
        if change == "own":
            new = {
                "oldpassword": "a long first one",
                "password1": "another long one",
                "password2": "another long one",
            }
            assert (
                signed_in("engineer", "a long first one")
                .post("/accounts/password/change/", new)
                .status_code
                == 302
            )
        else:
            assert (
                root.post("/settings/people/engineer/", person | {"password": "short"}).status_code
                == 422
            )
            assert (
                root.post(
                    "/settings/people/engineer/", person | {"password": "yet another one"}
                ).status_code
                == 302
            )
        assert Client().get("/api/v1/me", **bearer).status_code == 401
    assert Event.objects.filter(action="person.password", actor=user).count() == 1
    ended = (
        Event.objects.filter(action="token.revoke_all")
        .order_by("id")
        .values_list("actor__username", flat=True)
    )
    assert list(ended) == ["engineer", "root"], "whose hand it was"
