"""Tasks that fail and are tried again, and tasks that ask: who answers what, when, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from random import Random
from typing import Any

from local.points_histories.faults import Fault, Kind
from local.points_histories.oracle import Step
from local.points_histories.surroundings import APPROVERS
from local.points_histories.world import Outcome, Run, World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
#: Calls that a task of an unknown kind may make.
_USUAL_CALLS = 30

#: What goes on for a while: it yields how long it waits; and one that tells how it ended.
Steps = Iterator[timedelta]
Task = Generator[timedelta, None, Outcome]


class Approvals:
    """Runs tasks as a scheduler and people would, with faults.

    :param fault: how likely a task meets one.
    """

    def __init__(self, world: World, rng: Random, fault: float) -> None:
        self.world, self.rng, self._likely = world, rng, fault
        #: Nothing goes wrong at all.
        self.calm = not fault

    def happens(self, chance: float) -> bool:
        """Return whether something goes wrong that does so with this chance."""
        return self.rng.random() < chance and not self.calm

    # --- faults -----------------------------------------------------------------------------------------------------
    def fault(self, kind: str, *, stops: bool = False) -> Fault | None:
        """Return what happens to the next task of a kind, or None."""
        if self.rng.random() >= self._likely:
            return None
        usual = self.world.around.boundary.usual.get(kind, Counter[str]())
        kinds: list[Kind] = ["killed", "killed", "killed", "timed out", "down", "lost", "lost"]
        what = self.rng.choice(kinds + (["stopped"] if stops else []))
        service = None
        if what in ("down", "lost"):
            services = sorted(name for name in usual if name != "any") or ["governance"]
            service = self.rng.choice(services)
        calls = usual.get(service or "any", 0) or _USUAL_CALLS
        number = 1 + int(self.rng.random() * calls)
        return Fault(what, number, self.rng.random() < 0.5 and what != "stopped", service)  # type: ignore[arg-type]

    def seldom(self, kind: str) -> Fault | None:
        """Return a fault less often: without evidence nothing else happens."""
        return self.fault(kind) if self.rng.random() < 0.5 else None

    def attempt(
        self,
        what: str,
        do: Callable[[], Any],
        kind: str,
        step: Callable[[], Step] | None = None,
        *,
        stops: bool = False,
    ) -> Task:
        """Run a task, up to three times when it fails; sometimes once more although it ended. Return how it ended."""
        outcome = Outcome("never ran")
        for number in range(3):
            fault = self.fault(kind, stops=stops) if number == 0 or self.rng.random() < 0.3 else None
            outcome = self.world.task(what, do, fault, kind=kind, step=step() if step else None)
            if outcome or outcome.how == "waits":
                break
            if outcome.refused or self.rng.random() < 0.25:
                return outcome
            yield self.rng.randrange(1, 20) * MINUTE
        if outcome and self.happens(0.05):
            self.world.fault("repeated")
            yield self.rng.randrange(1, 60) * MINUTE
            again = self.world.task(f"again: {what}", do, kind=kind, step=step() if step else None)
            return again if again else outcome
        return outcome

    # --- approvals --------------------------------------------------------------------------------------------------
    def approval(
        self,
        run: Run,
        make: Callable[[], Any],
        step: Step,
        map_index: int = -1,
        *,
        meanwhile: Callable[[], Steps] | None = None,
        surely: bool = False,
    ) -> Task:
        """Let a task ask, answer it in one of many ways, and let it act. Return how it ended.

        :param step: what the task may change.
        :param meanwhile: what else happens between question and answer.
        :param surely: without any fault.
        """
        task_id = str(make().task_id)
        key = (task_id, map_index)
        operators: list[Any] = []

        def now() -> Step:
            return Step(step.what, self.world.now, step.action, step.batch, step.environment, run.approved.get(key))

        def ask() -> Any:
            operators.append(make())
            return operators[-1].execute(run.context(task_id, map_index))

        kind = f"{type(make()).__name__} asks"
        if surely:
            outcome = self.world.task(step.what, ask, kind=kind, step=now())
        else:
            outcome = yield from self.attempt(step.what, ask, kind, now)
        if outcome.how != "waits":
            return outcome
        if not surely:
            if meanwhile:
                yield from meanwhile()
            yield self.rng.choice([5 * MINUTE, HOUR, 2 * HOUR, 20 * HOUR][: 3 if self.calm else 4])
        event, valid = self._answer(str(operators[-1].params["digest"]), run, surely=surely)
        if valid:
            run.approved[key] = self.world.now

        def answer() -> Any:
            return make().execute_complete(run.context(task_id, map_index), event)

        told = (
            f"{step.what}: {event['chosen_options'] or 'no answer'} by {(event['responded_by_user'] or {}).get('id')}"
        )
        acts = f"{type(make()).__name__} acts"
        fault = None if surely else self.fault(acts, stops=True)
        outcome = self.world.task(told, answer, fault, kind=acts, step=now())
        if surely:
            return outcome
        for _ in range(2):
            if outcome or self.rng.random() < (0.8 if outcome.refused else 0.3):
                break
            # Tried again in the same run: soon, or when the approval has expired; or the same answer comes again.
            yield self.rng.choice([MINUTE, 10 * MINUTE, HOUR, 80 * HOUR])
            again = answer if self.rng.random() < 0.2 else ask
            outcome = self.world.task(f"again: {step.what}", again, self._seldom(acts), kind=acts, step=now())
        if outcome and self.happens(0.1):
            self.world.fault("repeated")
            yield HOUR
            self.world.task(f"once more: {step.what}", self.rng.choice([ask, answer]), kind=acts, step=now())
        return outcome

    def _seldom(self, kind: str) -> Fault | None:
        return self.fault(kind, stops=True) if self.rng.random() < 0.3 else None

    def _answer(self, digest: str, run: Run, *, surely: bool) -> tuple[dict[str, Any], bool]:
        """Return an answer, and whether it is a yes that counts."""
        who: str | None = self.rng.choice(APPROVERS)
        if who in run.answered and not self.happens(0.1):  # another one must, where two are needed
            who = next(name for name in APPROVERS if name != who)
        run.answered.append(str(who))
        option, shown, kind = ["Approve"], digest, ""
        chance = 1.0 if surely or self.calm else self.rng.random()
        if chance < 0.07:
            option, kind = ["Reject"], "approval rejected"
        elif chance < 0.12:
            who, kind = run.requester or "requester", "approved by who asked"
        elif chance < 0.16:
            who, kind = "mallory", "approved by a stranger"
        elif chance < 0.20:
            who, option, kind = None, [], "approval expired"
        elif chance < 0.24:
            shown, kind = "0" * 64, "approval of another plan"
        if kind:
            self.world.fault(kind)
        event: dict[str, Any] = {
            "chosen_options": option,
            "params_input": {"digest": shown},
            "responded_at": self.world.now,
            "responded_by_user": {"id": who, "name": who} if who else None,
        }
        return (event | ({"error": "timeout"} if who is None else {})), not kind
