"""Retries, breakers and words: pure."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova.features.deliveries import rendering, rules
from nova.features.deliveries.lanes.gates import AFTER, LONGEST_S, Breaker, Gate, State
from nova.features.deliveries.mail.writing import Design, Letter, Mail
from nova.ports.carriers import Verdict
from support.delivered import outcome

ANDROID = rules.PATIENCE["android"]


def after(verdict: Verdict, **more: object) -> rules.Step:
    given = {"tries": 1, "spent_s": 0.0, "left_s": 1e6, "roll": 0.5, "code": "", "asked": None}
    given |= more
    said = outcome(verdict, str(given["code"]), retry_after_s=given["asked"])
    return rules.after(
        said,
        ANDROID,
        tries=int(str(given["tries"])),
        spent_s=float(str(given["spent_s"])),
        left_s=float(str(given["left_s"])),
        roll=float(str(given["roll"])),
    )


def test_what_is_final_is_not_tried_again() -> None:
    assert after(Verdict.SENT).phase == "done"
    assert (after(Verdict.GONE).phase, after(Verdict.GONE).reason) == ("failed", "gone")
    assert after(Verdict.REFUSED).phase == "dead"


def test_our_own_misconfiguration_costs_no_attempt_and_kills_nothing() -> None:
    step = after(Verdict.MISCONFIGURED, tries=1_000, spent_s=1e5)
    assert (step.phase, step.counts) == ("waiting", False)
    assert rules.pause(outcome(Verdict.MISCONFIGURED), ANDROID) == 60.0


def test_an_unknown_outcome_is_tried_again_and_remembered_as_doubtful() -> None:
    step = after(Verdict.UNKNOWN)
    assert (step.phase, step.doubtful) == ("waiting", True)


@given(
    st.sampled_from(sorted(rules.PATIENCE)),
    st.integers(1, 500),
    st.one_of(st.none(), st.floats(0, 1e7)),
    st.floats(0, 0.999),
)
def test_waits_are_bounded_and_never_shorter_than_asked(
    lane: str, tries: int, asked: float | None, roll: float
) -> None:
    patience = rules.PATIENCE[lane]
    waited = rules.wait(outcome(Verdict.RETRY, retry_after_s=asked), patience, tries, roll)
    assert waited >= patience.first_s
    if asked is not None:
        assert waited >= min(asked, rules.LONGEST_ASKED_S)
    assert waited <= max(
        patience.first_s + patience.longest_s, 1.25 * rules.LONGEST_ASKED_S + patience.first_s
    )


def test_full_jitter_reaches_over_a_doubling_range() -> None:
    retry = outcome(Verdict.RETRY, "UNAVAILABLE")
    assert [rules.wait(retry, ANDROID, tries, 0.0) for tries in (1, 2, 3)] == [10.0] * 3
    assert [rules.wait(retry, ANDROID, tries, 1.0) for tries in (1, 2, 3)] == [20.0, 30.0, 50.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tries": 12}, "attempts_used_up"),
        ({"spent_s": 3_600.0}, "too_late"),
        ({"left_s": 5.0}, "too_late"),
    ],
)
def test_patience_ends(changes: dict[str, object], reason: str) -> None:
    step = after(Verdict.RETRY, **changes)
    assert (step.phase, step.reason) == ("dead", reason)


def test_a_quota_pauses_the_lane_and_one_devices_limit_does_not() -> None:
    assert rules.pause(outcome(Verdict.RETRY, "QUOTA_EXCEEDED"), ANDROID) == 60.0
    assert rules.pause(outcome(Verdict.RETRY, "QUOTA_EXCEEDED", retry_after_s=7.0), ANDROID) == 7.0
    assert rules.pause(outcome(Verdict.RETRY, "TooManyRequests"), rules.PATIENCE["ios"]) == 0.0


def test_mail_that_is_too_much_pauses_mail_and_a_recipients_filter_does_not() -> None:
    mail = rules.PATIENCE["mail"]
    assert rules.pause(outcome(Verdict.RETRY, "4.7.28", retry_after_s=300.0), mail) == 300.0
    assert rules.pause(outcome(Verdict.RETRY, "5.7.28", retry_after_s=3600.0), mail) == 3600.0
    assert rules.pause(outcome(Verdict.RETRY, "4.7.1", retry_after_s=300.0), mail) == 0.0
    assert rules.pause(outcome(Verdict.REFUSED, "5.7.1"), mail) == 0.0


def test_grey_lists_and_limits_are_no_sickness() -> None:
    mail = rules.PATIENCE["mail"]
    assert not rules.sick(outcome(Verdict.RETRY, "4.7.1"), mail)
    assert not rules.sick(outcome(Verdict.RETRY, "451"), mail)
    assert rules.sick(outcome(Verdict.RETRY, "unreachable"), mail)
    assert not rules.sick(outcome(Verdict.RETRY, "QUOTA_EXCEEDED"), ANDROID)
    assert rules.sick(outcome(Verdict.UNKNOWN, "timeout"), ANDROID)


def test_a_wave_of_deaths_is_told_from_ordinary_ones() -> None:
    def dying(gone: int, others: int) -> bool:
        return rules.dying_en_masse(gone, others, least=50, share=0.3)

    assert not dying(49, 0)
    assert not dying(60, 5_000)
    assert dying(60, 100)


def test_a_breaker_opens_probes_and_closes() -> None:
    breaker = Breaker(lambda: 0.0)
    for _ in range(AFTER):
        assert breaker.room(0.0, 64) == 64
        breaker.went(sick=True, now=0.0)
    assert (breaker.state(0.0), breaker.room(0.0, 64)) == (State.OPEN, 0)
    later = breaker.wait_s(0.0) + 0.01
    assert breaker.room(later, 64) == 1
    breaker.began(later)
    assert breaker.room(later, 64) == 0  # one is enough to see
    breaker.went(sick=True, now=later)
    assert breaker.state(later) is State.OPEN
    later += breaker.wait_s(later) + 0.01
    breaker.began(later)
    breaker.went(sick=False, now=later)
    assert breaker.room(later, 64) == 64


def test_a_breaker_waits_longer_each_time_up_to_a_minute() -> None:
    breaker, now = Breaker(lambda: 1.0), 0.0
    for _ in range(AFTER):
        breaker.went(sick=True, now=now)
    waits = []
    for _ in range(10):
        waits.append(breaker.wait_s(now))
        now += waits[-1] + 0.01
        breaker.began(now)
        breaker.went(sick=True, now=now)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_S


def test_a_probe_that_was_not_made_is_made_by_the_next_one() -> None:
    breaker = Breaker(lambda: 1.0)
    for _ in range(AFTER):
        breaker.went(sick=True, now=0.0)
    later = LONGEST_S
    assert breaker.room(later, 5) == 1
    breaker.began(later)
    assert breaker.room(later, 5) == 0
    breaker.untried()
    assert breaker.room(later, 5) == 1


def test_a_gate_has_so_many_places_and_a_quarter_of_them_is_for_what_is_live() -> None:
    gate = Gate(lambda: 1.0, 8)
    assert gate.reserve(0.0, 100, bulk=True) == 6
    assert gate.reserve(0.0, 100, bulk=True) == 0
    assert gate.reserve(0.0, 1) == 1
    gate.free(6, bulk=True)
    gate.free(1)
    for _ in range(8):
        gate.begin(0.0)
    assert gate.reserve(0.0, 1) == 0
    gate.end()
    assert gate.reserve(0.0, 5, bulk=True) == 0
    assert gate.reserve(0.0, 5) == 1


def test_claiming_what_is_live_leaves_places_to_what_is_not() -> None:
    gate = Gate(lambda: 1.0, 8)
    assert gate.reserve(0.0, gate.kept) == 2
    assert gate.reserve(0.0, 8, bulk=True) == 6  # together no more than there are


def test_only_one_passes_a_half_open_gate_while_others_are_being_claimed() -> None:
    gate = Gate(lambda: 1.0, 8)
    for _ in range(AFTER):
        gate.breaker.went(sick=True, now=0.0)
    assert gate.reserve(0.0, 5) == 0
    assert gate.reserve(LONGEST_S, 5) == 1
    assert gate.reserve(LONGEST_S, 5) == 0
    gate.free(1)
    assert gate.reserve(LONGEST_S, 5) == 1


def test_names_are_put_together_in_every_language() -> None:
    assert rendering.names(["Ada"], 1, "en") == "Ada"
    assert rendering.names(["Ada", "Ben"], 2, "en") == "Ada and Ben"
    assert rendering.names(["Ada", "Ben", "Cleo"], 4, "en") == "Ada and 3 others"
    assert rendering.names(["Ada"], 2, "de-CH") == "Ada und 1 weitere Person"
    assert rendering.names(["Ada", "Ben"], 3, "pt") == "Ada and 2 others"
    assert rendering.names(["{n}", "$1"], 2, "en") == "{n} and $1"
    assert rendering.names(["{names}"], 3, "en") == "{names} and 2 others"
    assert rendering.names(["أحمد", "Ada"], 2, "en") == "\u2068أحمد\u2069 and Ada"


def written(**fields: Any) -> Mail:
    said: dict[str, Any] = {"title": "", "body": "", "url": None, "unsubscribe_url": None}
    said |= fields
    return Design().write(Letter(type="like", reader=said["locale"], **said))


@pytest.mark.parametrize(
    ("locale", "way"),
    [
        ("ar", "rtl"),
        ("he", "rtl"),
        ("iw", "rtl"),
        ("fa-af", "rtl"),
        ("en", "ltr"),
        ("zh-tw", "ltr"),
    ],
)
def test_a_mail_says_which_way_it_is_read(locale: str, way: str) -> None:
    body = "Ada\nسلام\n1 2\n\u2068Ada\u2069 כתבה\n\u2068أحمد\u2069 wrote"
    page = written(title="x", body=body, locale=locale).html
    assert page.startswith(f'<!doctype html><html lang="{locale}" dir="{way}">')
    assert re.search(f'<body [^>]*dir="{way}"', page)
    ways = re.findall(r'<p dir="(...)"', page)
    assert ways == ["ltr", "rtl", way, "rtl", "ltr"]


def test_nothing_that_people_wrote_becomes_markup() -> None:
    page = written(
        title="<script>",
        body='a "b" <c>',
        url='https://x/"><b',
        unsubscribe_url="https://n/u",
        locale='en"><x',
    ).html
    tags = set(re.findall(r"<([a-z0-9]+)", page))
    assert tags.isdisjoint({"script", "c", "b", "x"})
    assert "&lt;script&gt;" in page
    assert "Unsubscribe from mail like this" in page


def test_only_web_addresses_become_links() -> None:
    assert rendering.link({"url": "https://a.example/x"}) == "https://a.example/x"
    for bad in ("javascript:alert(1)", "//a", "https://", "x" * 3_000, 7, "http://[::1"):
        assert rendering.link({"url": bad}, ["myapp", "javascript"]) is None
    assert rendering.link({"url": "MyApp://post/1"}, ["myapp"]) == "MyApp://post/1"
    for bad in ("myapp:", "myapp://a b", "yourapp://x", 'myapp://"', "myapp://\u202ex", "myapp"):
        assert rendering.link({"url": bad}, ["myapp"]) is None
