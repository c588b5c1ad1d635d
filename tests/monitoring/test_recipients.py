"""Recipients: which addresses apprise accepts, what may be shown of them, and that the documented ones arrive."""

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Trouble
from pipeline.monitoring.conditions import Severity
from pipeline.monitoring.messages import Message
from pipeline.monitoring.recipients import read_recipients
from pipeline.settings.environment import NOTIFY_URLS, Environment
from pipeline.settings.secrets import notify_urls
from tests.support.mail import mailbox_on_loopback
from tests.support.places import SECRET, Place, notifier

apprise = pytest.importorskip("apprise", reason="the extra `notify` is not installed")

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
MESSAGE = Message("A run failed", "- run 12", Severity.FAILURE)


def documented() -> tuple[str, ...]:
    """Return the addresses that the documentation gives as examples."""
    found = re.findall(rf'^{NOTIFY_URLS}="(.+)"$', OPERATIONS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tuple(url for example in found for url in notify_urls(Environment({NOTIFY_URLS: example})))


def test_an_address_that_apprise_does_not_accept_is_named_by_scheme_and_number_only() -> None:
    recipients = read_recipients([
        f"nope://{SECRET}",
        SECRET,
        f"  json://h/{SECRET} ",
        f"json://[{SECRET}",
        f"json://h/{SECRET}\udc80",
        f"mailto://{SECRET}",
        "",
    ])  # fmt: skip

    problems = [str(one.problem) for one in recipients if one.problem is not None]
    assert [line.partition(" is not used")[0] for line in problems] == [
        "PIPELINE_NOTIFY_URLS: address 1 (nope://)",
        "PIPELINE_NOTIFY_URLS: address 2 (no scheme)",
        "PIPELINE_NOTIFY_URLS: address 4 (json://)",
        "PIPELINE_NOTIFY_URLS: address 5 (json://)",
        "PIPELINE_NOTIFY_URLS: address 6 (mailto://)",
        "PIPELINE_NOTIFY_URLS: address 7 (no scheme)",
    ]
    assert SECRET not in repr(recipients) + "".join(problems)


@pytest.mark.parametrize(
    ("url", "service", "host"),
    [
        ("json://user:{}@nas.lan:8080/{}", "JSON", "nas.lan"),
        ("mailto://user:{}@example.com", "E-Mail", "example.com"),
        ("gotify://push.example.com/{}", "Gotify", "push.example.com"),
        ("slack://{}/BBBBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC/#channel", "Slack", None),
        ("https://hooks.slack.com/services/{}/BBBBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC", "Slack", None),
        ("ntfy://{}", "ntfy", None),
        ("ntfy://ntfy.example.com/{}", "ntfy", None),
        ("discord://{}/{}", "Discord", None),
        ("pover://{}@{}", "Pushover", None),
    ],
)
def test_service_and_host_are_shown_but_no_token_be_it_in_the_place_of_a_host(
    url: str, service: str, host: str | None
) -> None:
    token = "TS3CR3TT0K3N"

    (recipient,) = read_recipients([url.replace("{}", token)])

    assert recipient.problem is None
    assert (recipient.service, recipient.host) == (service, host)
    assert token.lower() not in repr(recipient).lower()


@given(st.text(max_size=40))
def test_any_text_is_a_recipient_or_a_problem(text: str) -> None:
    (recipient,) = read_recipients([f"json://{text}"])

    assert (recipient.plugin is None) == (recipient.problem is not None)
    assert recipient.host is None or recipient.host.isprintable()


def test_the_documented_addresses_are_accepted() -> None:
    assert [(one.service, one.problem) for one in read_recipients(documented())] == [("E-Mail", None), ("Slack", None)]


async def test_a_mail_in_the_documented_form_arrives() -> None:
    (url,) = (url for url in documented() if url.startswith("mailto"))
    with mailbox_on_loopback() as mailbox:
        # Without TLS, for which the mailbox would need a certificate.
        local = re.sub(r"^mailtos://([^@]*@)[a-z.]+", rf"mailto://\g<1>127.0.0.1:{mailbox.port}", url)
        assert local != url
        assert await notifier(local).try_each(MESSAGE) == {1: None}

        (mail,) = mailbox.mails
        assert mailbox.recipients == ["me@example.com"]
    assert mail["Subject"] == "pipeline on nas: A run failed"
    text = mail.get_body()
    assert text is not None
    assert "- run 12" in text.get_content()
    assert "/data/overviews.db" in text.get_content()


async def test_a_message_to_slack_in_the_documented_form_arrives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (url,) = (url for url in documented() if url.startswith("slack"))
    (recipient,) = read_recipients([url])
    place.text = "ok"
    monkeypatch.setattr(type(recipient.plugin), "webhook_url", f"http://127.0.0.1:{place.port}/services")

    assert await notifier(url).try_each(MESSAGE) == {1: None}

    ((line, body),) = place.requests
    assert line == "POST /services/TokenA/TokenB/TokenC"
    assert json.loads(body)["channel"] == "#channel"
    assert "pipeline on nas: A run failed" in body


def test_without_the_extra_one_line_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    assert read_recipients([]) == []
    with pytest.raises(Trouble) as caught:
        read_recipients([f"json://{SECRET}"])

    assert "PIPELINE_NOTIFY_URLS" in str(caught.value)
    assert caught.value.remedy == "pip install 'apprise>=2.0'"
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is None
