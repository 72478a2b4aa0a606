"""What decides about a notification."""

from hypothesis import given
from hypothesis import strategies as st

from nova.features.notifications.catalogue import Kind, Wording, prepare
from nova.features.notifications.models import Choices
from nova.features.notifications.preferences import merged
from nova.features.notifications.rules import CHANNELS, allowed, chosen, decide
from nova.kernel.ids import new_id

LIKE = prepare("like", Kind(templates={"en": Wording("x")}, channels={"email": False}))
ADA, BEN = new_id(), new_id()


def test_nobody_is_told_of_what_they_did_themselves() -> None:
    assert decide(ADA, ADA, LIKE, None, {}).reason == "self_notification"
    assert decide(ADA, BEN, LIKE, None, {}).reason is None
    assert decide(ADA, None, LIKE, None, {}).reason is None


def test_unknown_recipients_and_types_are_suppressed() -> None:
    assert decide(None, None, LIKE, None, {}).reason == "unknown_recipient"
    assert decide(ADA, None, None, None, {}).reason == "unknown_type"


def test_the_most_particular_choice_decides() -> None:
    choices = Choices({"in_app": False}, {"like": {"in_app": True}})
    assert chosen("in_app", LIKE, choices, {}) == (True, "types.like.in_app")
    assert chosen("in_app", LIKE, Choices({"in_app": False}), {}) == (False, "channels.in_app")
    assert chosen("email", LIKE, None, {}) == (False, "type default of email")
    assert chosen("push", LIKE, None, {"push": False}) == (False, "default of push")
    assert chosen("push", LIKE, None, {}) == (True, "default of push")


def test_a_choice_against_the_inbox_suppresses() -> None:
    decision = allowed(LIKE, Choices({}, {"like": {"in_app": False}}), {})
    assert (decision.reason, decision.rule) == ("preference", "types.like.in_app")
    assert decision.channels == {"push", "web_push"}


on_off = st.dictionaries(st.sampled_from(CHANNELS), st.booleans())
some = st.builds(Choices, on_off, st.dictionaries(st.sampled_from(["like", "follow"]), on_off))


@given(some, st.dictionaries(st.sampled_from(CHANNELS), st.none() | st.booleans()))
def test_changed_choices_are_the_old_ones_but_for_the_changes(
    old: Choices, changes: dict[str, bool | None]
) -> None:
    new = merged(old, changes, {"follow": None})
    for channel in CHANNELS:
        expected = changes.get(channel, old.channels.get(channel))
        assert new.channels.get(channel) == expected
    assert new.types.get("like", {}) == old.types.get("like", {})
    assert "follow" not in new.types
