"""Ask another person, keep the answer, and act: the one approval of every action that needs one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.approvals import rules
from drawsguard.approvals.model import (
    APPROVE,
    DIGEST_FIELD,
    REJECT,
    Answer,
    Approved,
    Event,
    Kind,
    Place,
    Proposal,
    Question,
    Role,
)
from drawsguard.approvals.people import Approvers, NotAllowedError, Person
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.refusal import HalfDoneError, refusal_of
from drawsguard.settings import get_settings
from drawsguard.wording import one_line
from hooks.approvals_database import approvals

#: What the human-in-the-loop operator could be given and these operators decide themselves.
_FIXED = ("subject", "body", "options", "defaults", "multiple", "assigned_users")


class ApprovalOperator(HITLOperator):
    """Ask for an approval, wait, and do what was approved; the task that acts is the task that asks.

    A subclass says what is proposed and how it is carried out. Its role ``execute`` acts after the answer; its role
    ``countersign`` only keeps the answer, which the acting task reads from the approvals table. An action runs only
    under the rules of :mod:`drawsguard.approvals.rules`.

    A refusal is mailed to the person who asked, as long as nothing was changed. Once the approvals table says that the
    action began in this run and not that it ended, every refusal is a failure (`HalfDoneException`): an alert.
    """

    template_fields: Collection[str] = ()
    role: Role = Role.EXECUTE

    def __init__(self, **kwargs: Any) -> None:
        for name in _FIXED:
            if name in kwargs:
                raise ValueError(f"{type(self).__name__} decides {name} itself: an approval has no defaults.")
        kwargs.setdefault("response_timeout", timedelta(hours=get_settings().approval_hours))
        super().__init__(subject="审批 Approval", options=[APPROVE, REJECT], **kwargs)

    # --- what a subclass says -------------------------------------------------------------------------
    @abstractmethod
    def propose(self, context: Context) -> Proposal | None:
        """Return what is to be done as things are now; None when there is nothing to ask.

        :raises RefusedError: when it may not be done at all.
        """

    def prepare(self, context: Context, proposal: Proposal) -> Any:
        """Return what `carry_out` needs, read again now that nobody else can act under the approval; change nothing.

        :raises RefusedError: when it is not exactly what was approved any more; see `require_same`.
        """
        raise NotImplementedError(f"{type(self).__name__} has the role {self.role} and prepares nothing.")

    def carry_out(self, context: Context, proposal: Proposal, approved: Approved, prepared: Any) -> Any:
        """Do it, and return the task's result. May be called again after a failure, and then goes on.

        Only ever called under an approval of exactly ``proposal``, and after `prepare`, whose result is ``prepared``.
        """
        raise NotImplementedError(f"{type(self).__name__} has the role {self.role} and carries out nothing.")

    def nothing_to_ask(self, context: Context) -> Any:  # noqa: ARG002
        """Return the task's result when nobody has to be asked."""
        return None

    def requester(self, context: Context) -> str:
        """Return who asked for it: the person who triggered the run.

        :raises ApprovalRefusedError: when no named person did.
        """
        run = context["dag_run"]
        return rules.check_requester(str(getattr(run.run_type, "value", run.run_type)), run.triggering_user_name)

    @staticmethod
    def require_same(proposal: Proposal, digest: str) -> None:
        """Hold what was approved against the digest of what is about to be done.

        :raises ApprovalRefusedError: when they differ; nothing was changed.
        """
        if digest != proposal.digest:
            raise ApprovalRefusedError(
                f"{proposal.subject} changed while it was about to be acted on: plan {proposal.digest[:12]} was "
                f"approved, it is now {digest[:12]}. Nothing was changed. Trigger a new run."
            )

    def has_started(self, context: Context) -> bool:
        """Return whether the action began in this run under an approval, ended or not."""
        if context["dag_run"].start_date is None:  # nothing began in a run that has no start
            return False
        place = _place(context)
        with approvals() as repository:
            events = self._events(repository, place)
        own = self._own_approvals(events, place)
        return bool(own) and rules.started(events, own[-1])

    def run_url(self, context: Context) -> str:
        """Return the address of the run's page, for the question's text."""
        run = context["dag_run"]
        return f"{get_settings().ui_base_url}/dags/{run.dag_id}/runs/{run.run_id}"

    # --- what Airflow calls ---------------------------------------------------------------------------
    def execute(self, context: Context) -> Any:
        """Ask, unless nothing is to be asked or this run has the approval already.

        :raises AirflowFailException: when it may not be asked, or nobody may answer; nothing was changed.
        :raises HalfDoneException: when the action is refused half way.
        """
        try:
            proposal = self.propose(context)
            if proposal is None:
                return self.nothing_to_ask(context)
            with approvals() as repository:
                if self.role == Role.EXECUTE:
                    try:
                        approved = self._approval(context, repository, proposal)
                    except ApprovalRefusedError as refusal:
                        self._keep_refusal(context, repository, proposal, refusal)
                        raise
                    if approved:
                        return self._act(context, repository, proposal, approved)
                if proposal.done or (self.role == Role.COUNTERSIGN and proposal.people_needed < 2):
                    return self.nothing_to_ask(context)
                self._ask(context, repository, proposal)
        except Exception as error:
            if refusal_of(error) is None:
                raise
            raise self._failure(context, error) from error
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Check the answer against the plan as it is now, keep it, and act.

        :raises AirflowFailException: when the answer is no approval of this plan; nothing was changed.
        :raises HalfDoneException: when the action is refused half way.
        """
        try:
            with approvals() as repository:
                return self._answered(context, repository, event)
        except Exception as error:
            if refusal_of(error) is None:
                raise
            raise self._failure(context, error) from error

    # --- the question ---------------------------------------------------------------------------------
    def _ask(self, context: Context, repository: ApprovalRepository, proposal: Proposal) -> None:
        place = _place(context)
        events = self._events(repository, place)
        try:
            question = self._question(context, events, proposal)
            rules.check_question(events, question)
        except ApprovalRefusedError as refusal:
            self._keep_refusal(context, repository, proposal, refusal)
            raise
        repository.add(rules.asked(question))
        self.subject = one_line(proposal.title)
        self.body = proposal.body
        self.params = ParamsDict(
            {
                DIGEST_FIELD: Param(
                    proposal.digest,
                    type="string",
                    description="计划摘要,请勿修改。Digest of this plan; leave it as it is.",
                )
            }
        )
        self.assigned_users = question.eligible.assigned_users() or None  # type: ignore[assignment]
        self.log.info(
            "Asking about plan %s of %s: %s may answer.", proposal.digest, proposal.subject, question.eligible
        )

    def _keep_refusal(
        self, context: Context, repository: ApprovalRepository, proposal: Proposal, refusal: ApprovalRefusedError
    ) -> None:
        """Keep why this run may neither ask nor act."""
        try:
            requester = self.requester(context)
        except ApprovalRefusedError:  # nobody may ask in this run: that is what is kept
            requester = context["dag_run"].triggering_user_name or ""
        repository.add(rules.refused_to_ask(proposal, self.role, _place(context), requester, str(refusal)))

    def _question(self, context: Context, events: Sequence[Event], proposal: Proposal) -> Question:
        place, requester = _place(context), self.requester(context)
        rules.check_run(events, place, requester)
        approvers = Approvers.parse(get_settings().approvers)
        earlier = rules.earlier_approvers(events, proposal, self.role, place)
        if self.role == Role.EXECUTE:
            rules.countersigned_by(events, proposal, place, datetime.now(UTC))
        excluded = [approvers.identify(name) for name in sorted(proposal.excluded)]
        try:
            eligible = approvers.for_request(requester, [*excluded, *earlier])
        except NotAllowedError as error:
            raise ApprovalRefusedError(str(error)) from error
        return Question(proposal, self.role, place, requester, eligible)

    # --- the answer -----------------------------------------------------------------------------------
    def _answered(self, context: Context, repository: ApprovalRepository, event: dict[str, Any]) -> Any:
        place, answer = _place(context), _answer(event)
        asked = rules.newest_question(self._events(repository, place), place)
        if event.get("error") or answer.responder is None:
            # Kept before anything else can fail: that nobody answered holds whatever became of the plan.
            reason = str(event.get("error") or "the answer names nobody")
            self._keep(repository, asked, Kind.UNANSWERED, answer, reason)
            raise ApprovalRefusedError(
                f"Nobody answered in time; no answer means no ({reason}). Nothing was changed. Trigger a new run."
            )
        try:
            proposal, person = self._checked(context, repository, answer)
        except Exception as refusal:
            kind = Kind.REJECTED if answer.options == (REJECT,) else Kind.REFUSED
            self._keep(repository, asked, kind, answer, str(refusal))
            raise
        self._keep(repository, asked, Kind.APPROVED, answer, None)
        if self.role == Role.COUNTERSIGN:
            return {"digest": proposal.digest, "approved_by": person.name}
        approved = self._approval(context, repository, proposal)
        if approved is None:
            raise ApprovalRefusedError("The answer was kept, and is no approval of this plan. Trigger a new run.")
        return self._act(context, repository, proposal, approved)

    def _checked(self, context: Context, repository: ApprovalRepository, answer: Answer) -> tuple[Proposal, Person]:
        """Return the plan as it is now and who approved it."""
        proposal = self.propose(context)
        if proposal is None:
            raise ApprovalRefusedError("Nothing is left to do of what was asked about. Nothing was changed.")
        events = self._events(repository, _place(context))
        return proposal, rules.check_answer(events, self._question(context, events, proposal), answer)

    def _keep(
        self, repository: ApprovalRepository, asked: Event | None, kind: Kind, answer: Answer, reason: str | None
    ) -> None:
        if asked is None:
            self.log.warning("An answer came to a question that was never kept: %s", answer)
            return
        repository.add(rules.answered(asked, kind, answer, reason, timedelta(hours=get_settings().approval_hours)))
        self.log.info("Kept: %s by %s, plan %s", kind, answer.responder, asked.digest)

    # --- the action -----------------------------------------------------------------------------------
    def _approval(self, context: Context, repository: ApprovalRepository, proposal: Proposal) -> Event | None:
        place = _place(context)
        events = self._events(repository, place)
        if proposal.done and not self._began(events, place):
            return None
        return rules.approval_to_use(events, proposal, place, self.requester(context), datetime.now(UTC))

    def _failure(self, context: Context, refusal: Exception) -> AirflowFailException:
        """Return how the task fails: as a refusal, or as a half-done action when it began to change something.

        A refusal is mailed to the person who asked; what is half done is an alert.

        :param refusal: a refusal, or what was raised from one.
        """
        if context["dag_run"].start_date is None:  # nothing began in a run that has no start
            return AirflowFailException(str(refusal))
        place = _place(context)
        with approvals() as repository:  # a connection of its own: the action may have broken the other one
            half_done = self._began(self._events(repository, place), place)
        if half_done:
            return HalfDoneException(f"The approved action began and could not be finished. {refusal}")
        return AirflowFailException(str(refusal))

    @staticmethod
    def _own_approvals(events: Sequence[Event], place: Place) -> list[Event]:
        return [e for e in events if e.kind == Kind.APPROVED and e.place == place and e.role == Role.EXECUTE]

    @classmethod
    def _began(cls, events: Sequence[Event], place: Place) -> bool:
        """Whether the action began in this run and its end was never kept."""
        own = cls._own_approvals(events, place)
        return bool(own) and rules.started(events, own[-1]) and not rules.used_up(events, own[-1])

    def _act(self, context: Context, repository: ApprovalRepository, proposal: Proposal, approved: Event) -> Any:
        repository.lock(approved.approval_id)
        # Read again now that nobody else can act under it.
        again = self._approval(context, repository, proposal)
        if again is None or again.approval_id != approved.approval_id or approved.responded_at is None:
            raise ApprovalRefusedError("The approval was replaced while the action was about to start.")
        prepared = self.prepare(context, proposal)
        events = self._events(repository, _place(context))
        if rules.started(events, approved):
            self.log.info("Going on under the approval that %s gave at %s.", approved.responder, approved.responded_at)
        else:
            repository.add(rules.used(approved, Kind.STARTED))
        given = Approved(str(approved.responder), approved.question_digest, approved.responded_at)
        result = self.carry_out(context, proposal, given, prepared)
        with approvals() as fresh:  # the action may take hours, and the first connection may be lost by then
            fresh.add(rules.used(approved, Kind.FINISHED))
        return result

    @staticmethod
    def _events(repository: ApprovalRepository, place: Place) -> list[Event]:
        return repository.of_run(place.dag_id, place.run_id)


class HalfDoneException(AirflowFailException, HalfDoneError):  # noqa: N818 - named as Airflow names its own
    """An approved action that began and that something refused to let finish."""


def _place(context: Context) -> Place:
    run, instance = context["dag_run"], context["ti"]
    if run.start_date is None:
        raise ApprovalRefusedError(
            "The run has no start time, so it cannot be distinguished from an earlier one of its id."
        )
    map_index = -1 if instance.map_index is None else instance.map_index
    return Place(run.dag_id, run.run_id, run.start_date, instance.task_id, map_index)


def _answer(event: dict[str, Any]) -> Answer:
    at = event.get("responded_at")
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return Answer(
        options=tuple(event.get("chosen_options") or ()),
        responder=Person.of_answer(event.get("responded_by_user")),
        fields=event.get("params_input") or {},
        responded_at=at.replace(tzinfo=at.tzinfo or UTC) if at else None,
    )
