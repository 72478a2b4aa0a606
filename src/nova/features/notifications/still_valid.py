"""Ask the features whether subjects are still valid; request a recheck when a fact changes them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nova.backbone.database import Tx
from nova.feature import Listener, Subjects
from nova.features.notifications.events import SubjectsTouched
from nova.kernel.events import Fact, Heard
from nova.kernel.subjects import ACTOR, Stands, Subject, Touched
from nova.ports.database import Row

_FIELDS = Touched.__struct_fields__


class StillValid:
    """Asks the features that answer for subjects; each is asked once, for many."""

    def __init__(self, sources: Sequence[Subjects]) -> None:
        self._sources = sources

    async def standing(self, subjects: Collection[Subject]) -> Mapping[Subject, Stands]:
        """Return those that stand. What no feature answers for, stands."""
        found = {each: Stands(each.actor, each.item) for each in subjects}
        for source in self._sources:
            asked = [each for each in found if each.kind in source.kinds]
            answers = await source.standing(asked) if asked else {}
            for each in asked:
                if each in answers:
                    found[each] = answers[each]
                else:
                    del found[each]
        for source in self._sources:
            if source.kinds or not found:
                continue
            people = {each: _people(each, stands) for each, stands in found.items()}
            answers = await source.standing(list({one for some in people.values() for one in some}))
            found = {
                each: stands
                for each, stands in found.items()
                if all(one in answers for one in people[each])
            }
        return found

    def hears(self) -> Mapping[type[Fact], Listener]:
        """Return what to listen to: every fact that changes subjects of some feature."""
        kinds = {kind for source in self._sources for kind in source.changed_by}
        return dict.fromkeys(kinds, self._hear)

    async def _hear(self, tx: Tx, heard: Sequence[Heard[Any]]) -> None:
        """Have the subjects that facts touch looked at, once this transaction is read from the log.

        By then every decision is committed that was made before the change could be seen: so a
        subject that changes between a decision and its commit is found in the inbox.
        """
        touched = {
            each: None
            for one in heard
            for source in self._sources
            if (changes := source.changed_by.get(type(one.fact))) is not None
            for each in changes(one.fact)
        }
        await tx.emit(
            *(
                SubjectsTouched(**{name: getattr(each, name) for name in _FIELDS})
                for each in touched
            )
        )


def _people(subject: Subject, stands: Stands) -> list[Subject]:
    """Return what is asked about people: who did it, and whose thing it belongs to."""
    if stands.owner in (subject.actor, subject.recipient):
        return [subject]
    return [subject, subject._replace(actor=stands.owner)]


def subject_of(row: Row) -> Subject | None:
    """Return what a row of the inbox stands on; None for nothing that anybody answers for."""
    if row["actor_id"] is None:
        return None
    item = row["subject_item"] or row["actor_id"]
    return Subject(row["subject_kind"] or ACTOR, item, row["actor_id"], row["user_id"])
