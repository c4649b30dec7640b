"""The topic and the subscription of failed sync intervals."""

from __future__ import annotations

from google.api_core.retry import Retry

from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.replay.replay import Delivered
from drawsguard.settings import get_settings

TOPIC = "data-sync-failures"
SUBSCRIPTION = "data-sync-failures-replay"

#: A replay that has not ended by then is taken for dead and its letters are delivered again (seconds).
ACK_DEADLINE = 300

#: Pub/Sub answers within this time or counts as down (seconds); the client alone would try for ten minutes.
PATIENCE = 20

#: Messages of one pull.
BATCH = 100


class DeadLetterQueue:
    """Publishes, pulls and acknowledges dead letters in the project of the settings, through Airflow's PubSubHook.

    Every method raises a `google.api_core.exceptions.GoogleAPIError` when Pub/Sub refuses or does not answer.
    """

    def __init__(self) -> None:
        from airflow.providers.google.cloud.hooks.pubsub import PubSubHook  # slow, and not for parsing a DAG

        settings = get_settings()
        self._hook = PubSubHook(gcp_conn_id=settings.google_conn_id)
        self._project = settings.project
        self._subscription = f"projects/{self._project}/subscriptions/{SUBSCRIPTION}"

    def set_up(self) -> None:
        """Create topic and subscription where they are missing; a topic without a subscription loses its messages.

        :raises airflow.providers.google.cloud.hooks.pubsub.PubSubException: when Pub/Sub refuses.
        """
        self._hook.create_topic(topic=TOPIC, project_id=self._project, timeout=PATIENCE)
        self._hook.create_subscription(
            topic=TOPIC,
            project_id=self._project,
            subscription=SUBSCRIPTION,
            ack_deadline_secs=ACK_DEADLINE,
            timeout=PATIENCE,
        )

    def topic(self) -> str:
        """Return the topic's full name, as Pub/Sub has it; a missing one raises NotFound."""
        topic = f"projects/{self._project}/topics/{TOPIC}"
        return str(self._hook.get_conn().get_topic(request={"topic": topic}, timeout=PATIENCE).name)

    def subscription(self) -> tuple[str, int]:
        """Return the topic that the subscription reads, and its ack deadline (seconds); a missing one raises "
        "NotFound."""
        request = {"subscription": self._subscription}
        found = self._hook.subscriber_client.get_subscription(request=request, timeout=PATIENCE)
        return str(found.topic), int(found.ack_deadline_seconds)

    def missing_rights(self) -> list[str]:
        """Return the permissions to publish and to consume that the connection's account lacks."""
        asked = (
            (self._hook.get_conn(), f"projects/{self._project}/topics/{TOPIC}", "pubsub.topics.publish"),
            (self._hook.subscriber_client, self._subscription, "pubsub.subscriptions.consume"),
        )
        missing = []
        for client, resource, right in asked:
            request = {"resource": resource, "permissions": [right]}
            if right not in client.test_iam_permissions(request=request, timeout=PATIENCE).permissions:
                missing.append(right)
        return missing

    def publish(self, letter: DeadLetter) -> str:
        """Publish a dead letter and return the message's id."""
        future = self._hook.get_conn().publish(
            f"projects/{self._project}/topics/{TOPIC}",
            letter.to_bytes(),
            retry=Retry(timeout=PATIENCE),
            timeout=PATIENCE,
            dlq_id=letter.dlq_id,
        )
        message_id: str = future.result(timeout=2 * PATIENCE)
        return message_id

    def pull(self) -> list[Delivered]:
        """Return the next messages; none when nothing waits."""
        response = self._hook.subscriber_client.pull(
            request={"subscription": self._subscription, "max_messages": BATCH},
            retry=Retry(timeout=PATIENCE),
            timeout=PATIENCE,
        )
        return [Delivered(received.ack_id, received.message.data) for received in response.received_messages]

    def acknowledge(self, ack_ids: list[str]) -> None:
        """Acknowledge the messages: they are not delivered again."""
        request = {"subscription": self._subscription, "ack_ids": ack_ids}
        self._hook.subscriber_client.acknowledge(request=request, timeout=PATIENCE)

    def give_back(self, ack_ids: list[str]) -> None:
        """Let the messages be delivered again."""
        request = {"subscription": self._subscription, "ack_ids": ack_ids, "ack_deadline_seconds": 0}
        self._hook.subscriber_client.modify_ack_deadline(request=request, timeout=PATIENCE)
