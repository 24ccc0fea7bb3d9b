"""A new person chooses their own password by a mail; what the mails of accounts say (X16)."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from audit.models import Event
from tests.accounts.test_people import PERSON, root, signed_in

__all__ = ["root"]
pytestmark = pytest.mark.django_db
WITHOUT = {**PERSON, "password": "", "roles": ["engineer"]}
WORD = "a word of my own 42"


def the_link() -> str:
    """The one address in the newest mail."""
    found = re.findall(r"https?://\S+", str(mail.outbox[-1].body))
    assert len(found) == 1
    return str(found[0])


def choose(link: str, word: str = WORD) -> Any:
    """Follow the link as somebody who is nobody here yet, and choose."""
    visitor = Client()
    path = re.sub(r"^https?://[^/]+", "", link)
    answer = visitor.get(path, follow=True)
    if "Choose your password" not in answer.content.decode():
        return answer
    return visitor.post(
        answer.request["PATH_INFO"], {"password1": word, "password2": word}, follow=True
    )


def test_a_new_person_chooses_their_password_by_the_link_in_their_mail(
    root: Client, settings: Any
) -> None:
    """X16: made without a password; the mail says who made it, the name to sign in with, and a link
    that works once.
    """
    settings.BASE_URL = "https://change.example.com"
    page = root.post("/settings/people/new", WITHOUT, follow=True).content.decode()
    assert "Ines Maier has a link by mail to choose a password; it works until" in page
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (
        ["ines@example.com"],
        "Root made you an account for change management",
    )
    assert "You sign in as: ines\n" in str(sent.body)
    link = the_link()
    assert link.startswith("https://change.example.com/accounts/password/reset/key/")
    assert Event.objects.get(action="person.invite").data == {
        "person": User.objects.get(username="ines").pk
    }
    assert link.rsplit("/", 2)[-2] not in str(list(Event.objects.values_list("data", flat=True)))
    assert "Your password is kept" in choose(link).content.decode()
    signed_in("ines", WORD)
    assert "This link works no more" in choose(link, "another word of mine 9").content.decode()


def test_nobody_signs_in_before_they_have_chosen(root: Client) -> None:
    """F55: an account without a password has none that could be guessed."""
    root.post("/settings/people/new", WITHOUT)
    assert not User.objects.get(username="ines").has_usable_password()
    assert Client().post("/accounts/login/", {"login": "ines", "password": ""}).status_code == 200


def test_the_link_can_be_mailed_again_until_they_have_signed_in(root: Client) -> None:
    """X16: the button stands on their page as long as it does something, and no longer."""
    root.post("/settings/people/new", WITHOUT)
    assert "Mail a link to choose a password" in root.get("/settings/people/ines/").content.decode()
    assert (
        root.get("/settings/people/").content.decode().count("Has not signed in yet")
        == User.objects.filter(last_login=None, is_superuser=False).count()
    )
    root.post("/settings/people/ines/invite")
    assert len(mail.outbox) == 2
    choose(the_link())
    signed_in("ines", WORD)
    assert (
        "Mail a link to choose a password"
        not in root.get("/settings/people/ines/").content.decode()
    )
    said = root.post("/settings/people/ines/invite", follow=True).content.decode()
    assert "Ines Maier has signed in already" in said
    assert len(mail.outbox) == 2


def test_a_mail_server_that_takes_nothing_is_said_and_the_person_is_kept(
    root: Client, settings: Any
) -> None:
    """A person is never lost to a mail: they are saved, and the page says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings.EMAIL_BACKEND, settings.EMAIL_HOST = (
            "django.core.mail.backends.smtp.EmailBackend",
            "127.0.0.1",
        )
        settings.EMAIL_PORT = taken.getsockname()[1]  # bound, and nobody listens
        page = root.post("/settings/people/new", WITHOUT, follow=True).content.decode()
    assert (
        "Ines Maier is saved, but the mail server took no mail to ines@example.com. Send it again"
        " later, or set a first password." in page
    )
    assert User.objects.filter(username="ines").exists()
    assert not Event.objects.filter(action="person.invite").exists()


def test_only_an_administrator_invites(root: Client) -> None:
    """A26: the address is theirs alone."""
    root.post("/settings/people/new", WITHOUT)
    for username in ("engineer", "change-manager", "cto", "auditor"):
        client = Client()
        client.force_login(User.objects.get(username=username))
        assert client.post("/settings/people/ines/invite").status_code == 403
    assert len(mail.outbox) == 1


def test_a_first_password_by_hand_sends_no_mail(root: Client) -> None:
    """Where there is no mail server yet, one is told to them."""
    root.post("/settings/people/new", {**PERSON, "roles": ["engineer"]})
    assert mail.outbox == []
    signed_in("ines", PERSON["password"])


def test_a_forgotten_password_is_mailed_in_our_words(root: Client, settings: Any) -> None:
    """No library's words, and no other installation's address, whatever host the request names."""
    settings.BASE_URL, settings.ALLOWED_HOSTS = "https://change.example.com", ["*"]
    root.post("/settings/people/new", {**PERSON, "roles": ["engineer"]})
    answer = Client(HTTP_HOST="evil.example.net").post(
        "/accounts/password/reset/", {"email": "ines@example.com"}, follow=True
    )
    assert "Look into your mail" in answer.content.decode()
    assert mail.outbox[-1].subject == "Choose a new password for change management"
    body = str(mail.outbox[-1].body)
    assert "Hello from" not in body
    assert "evil" not in body
    assert the_link().startswith("https://change.example.com/accounts/password/reset/key/")
    assert "Your password is kept" in choose(the_link()).content.decode()
    signed_in("ines", WORD)


def test_a_stranger_learns_nothing_of_who_is_here(root: Client) -> None:
    """F55: the answer is the same for an address that nobody has, and nothing is mailed."""
    answer = Client().post(
        "/accounts/password/reset/", {"email": "nobody@example.net"}, follow=True
    )
    assert "Look into your mail" in answer.content.decode()
    assert mail.outbox == []


def test_a_wrong_address_that_was_put_right_receives_no_links(root: Client) -> None:
    """F55: whoever reads the mistyped address has a dead link, and is mailed no other."""
    root.post("/settings/people/new", WITHOUT | {"email": "ines@exmaple.com"})
    wrong = the_link()
    root.post("/settings/people/ines/", WITHOUT)
    assert "This link works no more" in choose(wrong).content.decode()
    Client().post("/accounts/password/reset/", {"email": "ines@exmaple.com"})
    assert len(mail.outbox) == 1
    Client().post("/accounts/password/reset/", {"email": "ines@example.com"})
    assert (len(mail.outbox), mail.outbox[-1].to) == (2, ["ines@example.com"])


def test_an_address_that_no_mail_can_carry_is_said_and_the_person_is_kept(root: Client) -> None:
    """No input gives a 500: what the form takes for an address, and the mail does not."""
    page = root.post(
        "/settings/people/new", WITHOUT | {"email": f"ines@{'ü' * 63}.com"}, follow=True
    )
    assert page.status_code == 200
    assert "is saved, but the mail server took no mail" in page.content.decode()
    assert User.objects.filter(username="ines").exists()


def test_whoever_may_not_sign_in_is_not_invited(root: Client) -> None:
    """X8: nothing is mailed, and nothing else is said."""
    values = {name: value for name, value in WITHOUT.items() if name != "is_active"}
    page = root.post("/settings/people/new", values, follow=True).content.decode()
    assert "Ines Maier is saved." in page
    assert "signed in already" not in page
    assert mail.outbox == []
    assert (
        "Ines Maier may not sign in; tick that first."
        in root.post("/settings/people/ines/invite", follow=True).content.decode()
    )
