"""``python -m local.pubsub.server --host … --port … --health-port … --state DIR``: Pub/Sub for clients that honour
PUBSUB_EMULATOR_HOST.

Speaks google.pubsub.v1 over gRPC: topics, subscriptions, publish, pull, acknowledge, modifyAckDeadline, seek to a time.
Pull subscriptions only; no ordering, filters, schemas or streaming pull. ``GET /health`` on the HTTP port returns
how many messages wait for each subscription.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from google.pubsub_v1.types import pubsub

from local.pubsub.store import ExistsError, MissingError, Store
from local.serving import Answers, bind, command_line

log = logging.getLogger(__name__)

#: How long a pull waits for the first message (seconds).
PULL_PATIENCE = 0.5
#: Ack deadline of a subscription that asks for none (seconds), as in production.
DEFAULT_ACK_SECONDS = 10


class Publisher:
    """google.pubsub.v1.Publisher."""

    name = "google.pubsub.v1.Publisher"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.methods: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
            "CreateTopic": (self.create_topic, pubsub.Topic, pubsub.Topic),
            "GetTopic": (self.get_topic, pubsub.GetTopicRequest, pubsub.Topic),
            "ListTopics": (self.list_topics, pubsub.ListTopicsRequest, pubsub.ListTopicsResponse),
            "ListTopicSubscriptions": (
                self.list_topic_subscriptions,
                pubsub.ListTopicSubscriptionsRequest,
                pubsub.ListTopicSubscriptionsResponse,
            ),
            "DeleteTopic": (self.delete_topic, pubsub.DeleteTopicRequest, Empty),
            "Publish": (self.publish, pubsub.PublishRequest, pubsub.PublishResponse),
        }

    def create_topic(self, request: pubsub.Topic) -> pubsub.Topic:
        self.store.create_topic(request.name, pubsub.Topic.serialize(request))
        return request

    def get_topic(self, request: pubsub.GetTopicRequest) -> pubsub.Topic:
        topic: pubsub.Topic = pubsub.Topic.deserialize(self.store.topic(request.topic))
        return topic

    def list_topics(self, request: pubsub.ListTopicsRequest) -> pubsub.ListTopicsResponse:
        return pubsub.ListTopicsResponse(topics=map(pubsub.Topic.deserialize, self.store.topics(request.project)))

    def list_topic_subscriptions(
        self, request: pubsub.ListTopicSubscriptionsRequest
    ) -> pubsub.ListTopicSubscriptionsResponse:
        return pubsub.ListTopicSubscriptionsResponse(subscriptions=self.store.subscription_names(request.topic))

    def delete_topic(self, request: pubsub.DeleteTopicRequest) -> Empty:
        self.store.delete_topic(request.topic)
        return Empty()

    def publish(self, request: pubsub.PublishRequest) -> pubsub.PublishResponse:
        messages, now = list(request.messages), time.time_ns()
        published = Timestamp()
        published.FromNanoseconds(now)
        for offset, message in enumerate(messages):
            message.message_id = str(now + offset)
            message.publish_time = published
        self.store.publish(request.topic, [pubsub.PubsubMessage.serialize(message) for message in messages])
        return pubsub.PublishResponse(message_ids=[message.message_id for message in messages])


class Subscriber:
    """google.pubsub.v1.Subscriber."""

    name = "google.pubsub.v1.Subscriber"

    def __init__(self, store: Store) -> None:
        self.store = store
        self.methods: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
            "CreateSubscription": (self.create_subscription, pubsub.Subscription, pubsub.Subscription),
            "GetSubscription": (self.get_subscription, pubsub.GetSubscriptionRequest, pubsub.Subscription),
            "ListSubscriptions": (
                self.list_subscriptions,
                pubsub.ListSubscriptionsRequest,
                pubsub.ListSubscriptionsResponse,
            ),
            "DeleteSubscription": (self.delete_subscription, pubsub.DeleteSubscriptionRequest, Empty),
            "Pull": (self.pull, pubsub.PullRequest, pubsub.PullResponse),
            "Acknowledge": (self.acknowledge, pubsub.AcknowledgeRequest, Empty),
            "ModifyAckDeadline": (self.modify_ack_deadline, pubsub.ModifyAckDeadlineRequest, Empty),
            "Seek": (self.seek, pubsub.SeekRequest, pubsub.SeekResponse),
        }

    def create_subscription(self, request: pubsub.Subscription) -> pubsub.Subscription:
        request.ack_deadline_seconds = request.ack_deadline_seconds or DEFAULT_ACK_SECONDS
        definition = pubsub.Subscription.serialize(request)
        self.store.create_subscription(request.name, request.topic, request.ack_deadline_seconds, definition)
        return request

    def get_subscription(self, request: pubsub.GetSubscriptionRequest) -> pubsub.Subscription:
        stored = self.store.subscription(request.subscription)
        subscription: pubsub.Subscription = pubsub.Subscription.deserialize(stored)
        return subscription

    def list_subscriptions(self, request: pubsub.ListSubscriptionsRequest) -> pubsub.ListSubscriptionsResponse:
        found = self.store.subscriptions(request.project)
        return pubsub.ListSubscriptionsResponse(subscriptions=map(pubsub.Subscription.deserialize, found))

    def delete_subscription(self, request: pubsub.DeleteSubscriptionRequest) -> Empty:
        self.store.delete_subscription(request.subscription)
        return Empty()

    def pull(self, request: pubsub.PullRequest) -> pubsub.PullResponse:
        patience = time.monotonic() + (0 if request.return_immediately else PULL_PATIENCE)
        while not (found := self.store.pull(request.subscription, request.max_messages)):
            if time.monotonic() >= patience:
                break
            time.sleep(0.05)
        return pubsub.PullResponse(
            received_messages=[
                pubsub.ReceivedMessage(
                    ack_id=delivery.ack_id,
                    message=pubsub.PubsubMessage.deserialize(delivery.message),
                    delivery_attempt=delivery.attempt,
                )
                for delivery in found
            ]
        )

    def acknowledge(self, request: pubsub.AcknowledgeRequest) -> Empty:
        self.store.acknowledge(request.subscription, list(request.ack_ids))
        return Empty()

    def modify_ack_deadline(self, request: pubsub.ModifyAckDeadlineRequest) -> Empty:
        self.store.extend(request.subscription, list(request.ack_ids), request.ack_deadline_seconds)
        return Empty()

    def seek(self, request: pubsub.SeekRequest) -> pubsub.SeekResponse:
        time_ns = pubsub.SeekRequest.pb(request).time.ToNanoseconds()
        self.store.seek(request.subscription, time_ns / 1e9)
        return pubsub.SeekResponse()


def _serializer(kind: Any) -> Callable[[Any], bytes]:
    serializer: Callable[[Any], bytes] = kind.serialize if hasattr(kind, "serialize") else kind.SerializeToString
    return serializer


def _handler(method: Callable[[Any], Any], request: Any, response: Any) -> grpc.RpcMethodHandler:
    def call(message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(message)
        except MissingError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={error.args[0]}).")
        except ExistsError as error:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists (resource={error.args[0]}).")

    return grpc.unary_unary_rpc_method_handler(call, request.deserialize, _serializer(response))


def start_grpc(store: Store, address: str) -> tuple[grpc.Server, int]:
    """Serve ``store`` on ``address`` (``host:port``, port 0 for any) and return the server and its port."""
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
    for service in (Publisher(store), Subscriber(store)):
        handlers = {name: _handler(*method) for name, method in service.methods.items()}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.name, handlers)])
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def start_health(store: Store, host: str, port: int) -> ThreadingHTTPServer:
    """Answer ``GET /health`` with the depth of each subscription."""

    class Health(Answers):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.answer(200, {"status": "ok", "depth": store.depth()})
            else:
                self.answer(404, {"error": "try /health"})

    server = bind(host, port, Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    parser = command_line("Pub/Sub of the embedded stack, by gRPC", "topics and messages")
    parser.add_argument("--health-port", type=int, required=True, help="HTTP")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    store = Store(arguments.state)
    server, port = start_grpc(store, f"{arguments.host}:{arguments.port}")
    health = start_health(store, arguments.host, arguments.health_port)
    log.info("Pub/Sub on %s:%s", arguments.host, port)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    health.shutdown()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
