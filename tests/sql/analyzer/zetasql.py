"""Google's SQL analyzer as a server on loopback: it starts it, asks it, and ends it.

BigQuery, Spanner and others resolve SQL with ZetaSQL; what it refuses under the options here, BigQuery refuses. It
knows types and names alone: no data, no partitions, no quotas (`tests.sql.rules` has what it cannot see).
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from drawsguard.settings import REPOSITORY

FOLDER = REPOSITORY / ".local" / "analyzer"

#: Time for the server to answer its first request (seconds); it takes a tenth of one.
START_SECONDS = 30
CALL_SECONDS = 60

#: What BigQuery's documentation of GoogleSQL has. Not among them, though in the language: equality and order of arrays,
#: lambdas, RETURNING, FLATTEN, nanoseconds, protocol buffers.
_FEATURES = (
    "ANALYTIC_FUNCTIONS TABLESAMPLE DML_UPDATE_WITH_JOIN TABLE_VALUED_FUNCTIONS CREATE_AGGREGATE_FUNCTION "
    "CREATE_TABLE_FUNCTION GROUP_BY_ROLLUP TEMPLATE_FUNCTIONS CREATE_TABLE_PARTITION_BY CREATE_TABLE_CLUSTER_BY "
    "NUMERIC_TYPE CREATE_TABLE_NOT_NULL CREATE_TABLE_FIELD_ANNOTATIONS CREATE_TABLE_AS_SELECT_COLUMN_LIST "
    "GEOGRAPHY FOREIGN_KEYS UNENFORCED_PRIMARY_KEYS PARAMETERS_IN_GRANTEE_LIST NAMED_ARGUMENTS "
    "CREATE_MATERIALIZED_VIEW_PARTITION_BY CREATE_MATERIALIZED_VIEW_CLUSTER_BY "
    "CREATE_EXTERNAL_TABLE_WITH_TABLE_ELEMENT_LIST CREATE_EXTERNAL_TABLE_WITH_PARTITION_COLUMNS "
    "CREATE_EXTERNAL_TABLE_WITH_CONNECTION BIGNUMERIC_TYPE JSON_TYPE JSON_ARRAY_FUNCTIONS "
    "JSON_VALUE_EXTRACTION_FUNCTIONS JSON_LAX_VALUE_EXTRACTION_FUNCTIONS JSON_CONSTRUCTOR_FUNCTIONS "
    "JSON_MUTATOR_FUNCTIONS INTERVAL_TYPE PARAMETERIZED_TYPES CREATE_TABLE_LIKE CREATE_VIEW_WITH_COLUMN_LIST "
    "CREATE_TABLE_CLONE CREATE_SNAPSHOT_TABLE CREATE_TABLE_COPY ALTER_TABLE_RENAME_COLUMN "
    "ALTER_COLUMN_SET_DATA_TYPE RANGE_TYPE ROUND_WITH_ROUNDING_MODE CBRT_FUNCTIONS INVERSE_TRIG_FUNCTIONS "
    "DISABLE_ARRAY_MIN_AND_MAX DISABLE_ARRAY_SUM_AND_AVG CREATE_VIEWS_WITH_COLUMN_OPTIONS V_1_1_ORDER_BY_COLLATE "
    "V_1_1_WITH_ON_SUBQUERY V_1_1_SELECT_STAR_EXCEPT_REPLACE V_1_1_ORDER_BY_IN_AGGREGATE V_1_1_LIMIT_IN_AGGREGATE "
    "V_1_1_HAVING_IN_AGGREGATE V_1_1_NULL_HANDLING_MODIFIER_IN_ANALYTIC V_1_1_NULL_HANDLING_MODIFIER_IN_AGGREGATE "
    "V_1_1_FOR_SYSTEM_TIME_AS_OF V_1_2_CIVIL_TIME V_1_2_SAFE_FUNCTION_CALL V_1_2_GROUP_BY_STRUCT "
    "V_1_2_GROUP_BY_ARRAY V_1_2_WEEK_WITH_WEEKDAY V_1_3_OMIT_INSERT_COLUMN_LIST "
    "V_1_3_NULLS_FIRST_LAST_IN_ORDER_BY V_1_3_ALLOW_DASHES_IN_TABLE_NAME V_1_3_CONCAT_MIXED_TYPES "
    "V_1_3_WITH_RECURSIVE V_1_3_DECIMAL_ALIAS V_1_3_ALLOW_REGEXP_EXTRACT_OPTIONALS V_1_3_DATE_TIME_CONSTRUCTORS "
    "V_1_3_DATE_ARITHMETICS V_1_3_ADDITIONAL_STRING_FUNCTIONS V_1_3_EXTENDED_DATE_TIME_SIGNATURES "
    "V_1_3_EXTENDED_GEOGRAPHY_PARSERS V_1_3_PIVOT V_1_3_ANNOTATION_FRAMEWORK V_1_3_COLLATION_SUPPORT "
    "V_1_3_IS_DISTINCT V_1_3_FORMAT_IN_CAST V_1_3_UNPIVOT V_1_3_QUALIFY V_1_3_REPEAT V_1_3_COLUMN_DEFAULT_VALUE "
    "V_1_3_FOR_IN V_1_3_CASE_STMT V_1_3_REMOTE_FUNCTION V_1_3_SCRIPT_LABEL V_1_3_LIKE_ANY_SOME_ALL "
    "V_1_4_BARE_ARRAY_ACCESS V_1_4_STRUCT_POSITIONAL_ACCESSOR V_1_4_GROUPING_SETS V_1_4_GROUPING_BUILTIN "
    "V_1_4_LOAD_DATA_PARTITIONS V_1_4_LOAD_DATA_TEMP_TABLE "
)
FEATURES = _FEATURES.split()

#: Kinds of statements that BigQuery runs.
_KINDS = (
    "QUERY INSERT UPDATE DELETE MERGE TRUNCATE ASSERT CREATE_SCHEMA CREATE_TABLE CREATE_TABLE_AS_SELECT "
    "CREATE_VIEW CREATE_MATERIALIZED_VIEW CREATE_FUNCTION CREATE_TABLE_FUNCTION CREATE_PROCEDURE "
    "CREATE_SNAPSHOT_TABLE CREATE_EXTERNAL_TABLE ALTER_TABLE ALTER_TABLE_SET_OPTIONS ALTER_VIEW "
    "ALTER_MATERIALIZED_VIEW ALTER_SCHEMA DROP DROP_FUNCTION DROP_TABLE_FUNCTION DROP_MATERIALIZED_VIEW "
    "DROP_SNAPSHOT_TABLE CALL EXECUTE_IMMEDIATE EXPORT_DATA GRANT REVOKE "
)
KINDS = _KINDS.split()

#: Options of datasets, tables, views and columns that BigQuery knows; any other name is refused.
OPTIONS = {
    "description": "STRING",
    "friendly_name": "STRING",
    "location": "STRING",
    "kms_key_name": "STRING",
    "labels": "ARRAY<STRUCT<STRING, STRING>>",
    "expiration_timestamp": "TIMESTAMP",
    "default_table_expiration_days": "FLOAT64",
    "partition_expiration_days": "FLOAT64",
    "require_partition_filter": "BOOL",
    "enable_refresh": "BOOL",
    "refresh_interval_minutes": "FLOAT64",
    "allow_non_incremental_definition": "BOOL",
    "rounding_mode": "STRING",
}

_SCALARS = {
    "BOOL": "TYPE_BOOL",
    "BOOLEAN": "TYPE_BOOL",
    "INT64": "TYPE_INT64",
    "INTEGER": "TYPE_INT64",
    "FLOAT64": "TYPE_DOUBLE",
    "FLOAT": "TYPE_DOUBLE",
    "NUMERIC": "TYPE_NUMERIC",
    "BIGNUMERIC": "TYPE_BIGNUMERIC",
    "STRING": "TYPE_STRING",
    "BYTES": "TYPE_BYTES",
    "DATE": "TYPE_DATE",
    "DATETIME": "TYPE_DATETIME",
    "TIME": "TYPE_TIME",
    "TIMESTAMP": "TYPE_TIMESTAMP",
    "JSON": "TYPE_JSON",
    "GEOGRAPHY": "TYPE_GEOGRAPHY",
    "INTERVAL": "TYPE_INTERVAL",
}


class RefusedError(Exception):
    """The analyzer refuses a statement; the message is the analyzer's, with line and column."""


@lru_cache(maxsize=1)
def _pool() -> descriptor_pool.DescriptorPool:
    path = FOLDER / "protos.desc"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make setup`, which installs the analyzer from npm.")
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def message(name: str, /, **fields: Any) -> Any:
    """Return a new message ``zetasql.<name>``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"zetasql.{name}"))(**fields)


def number(enum: str, name: str) -> int:
    """Return the number of a value of the enum ``zetasql.<enum>``."""
    return _pool().FindEnumTypeByName(f"zetasql.{enum}").values_by_name[name].number


def type_proto(parameter_type: Mapping[str, Any]) -> Any:
    """Return a type of BigQuery's REST API (``{"type": "ARRAY", "arrayType": …}``) as the analyzer's.

    :raises KeyError: when BigQuery has no such type.
    """
    kind = parameter_type["type"].upper()
    proto = message("TypeProto")
    if kind == "ARRAY":
        proto.type_kind = number("TypeKind", "TYPE_ARRAY")
        proto.array_type.element_type.CopyFrom(type_proto(parameter_type["arrayType"]))
    elif kind == "STRUCT":
        proto.type_kind = number("TypeKind", "TYPE_STRUCT")
        for field in parameter_type["structTypes"]:
            proto.struct_type.field.add(field_name=field.get("name", ""), field_type=type_proto(field["type"]))
    else:
        proto.type_kind = number("TypeKind", _SCALARS[kind])
    return proto


def type_of(text: str) -> dict[str, Any]:
    """Return a type written as in SQL (``ARRAY<INT64>``; ``STRUCT`` with unnamed fields) as the REST API states it."""
    kind, _, inner = text.strip().partition("<")
    inner = inner.removesuffix(">")
    if kind == "ARRAY":
        return {"type": "ARRAY", "arrayType": type_of(inner)}
    if kind == "STRUCT":
        return {"type": "STRUCT", "structTypes": [{"type": type_of(field)} for field in inner.split(",")]}
    return {"type": kind}


@lru_cache(maxsize=1)
def language_options() -> Any:
    """Return the language as BigQuery speaks it."""
    return message(
        "LanguageOptionsProto",
        product_mode=number("ProductMode", "PRODUCT_EXTERNAL"),
        name_resolution_mode=number("NameResolutionMode", "NAME_RESOLUTION_DEFAULT"),
        enabled_language_features=[number("LanguageFeature", f"FEATURE_{name}") for name in FEATURES],
        supported_statement_kinds=[number("ResolvedNodeKind", f"RESOLVED_{name}_STMT") for name in KINDS],
        reserved_keywords=["QUALIFY"],
    )


def _analyzer_options(parameters: Mapping[str, Mapping[str, Any]]) -> Any:
    options = message(
        "AnalyzerOptionsProto",
        language_options=language_options(),
        error_message_mode=number("ErrorMessageMode", "ERROR_MESSAGE_ONE_LINE"),
        default_timezone="UTC",
        parameter_mode=number("ParameterMode", "PARAMETER_NAMED"),
    )
    for name, kind in parameters.items():
        options.query_parameters.add(name=name.lower(), type=type_proto(kind))
    allowed = options.allowed_hints_and_options
    allowed.disallow_unknown_options = True
    for name, kind in OPTIONS.items():
        allowed.option.add(name=name, type=type_proto(type_of(kind)))
    return options


class Analyzer:
    """A running server. Used as a context manager: it is ended by its process when the block ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Analyzer:
        deadline = time.monotonic() + START_SECONDS
        while not self._start():  # another process may have taken the port between the look and the start
            if time.monotonic() > deadline:
                raise TimeoutError(f"{FOLDER / 'server'} did not begin to answer within {START_SECONDS} s.")
        return self

    def _start(self) -> bool:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = FOLDER / "server"
        if not server.exists():
            raise FileNotFoundError(f"{server} is missing: run `make setup`, which installs the analyzer from npm.")
        self._process = subprocess.Popen(
            [server, "127.0.0.1", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        limit = 64 << 20
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{port}",
            options=[("grpc.max_receive_message_length", limit), ("grpc.enable_http_proxy", 0)],
        )
        ready = grpc.channel_ready_future(self._channel)
        for _ in range(START_SECONDS * 10):
            try:
                ready.result(timeout=0.1)
            except grpc.FutureTimeoutError:
                if self._process.poll() is not None:
                    break
            else:
                return self._process.poll() is None
        ready.cancel()
        self.__exit__()
        return False

    def __exit__(self, *_: object) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server; there is one within the block."""
        assert self._process is not None
        return self._process

    def call(self, method: str, request: Any, answer: str | None) -> Any:
        """Call a method of the service; ``answer`` names its message, None leaves the bytes unread.

        :raises RefusedError: when the analyzer refuses the statement.
        """
        assert self._channel is not None
        read = type(message(answer)).FromString if answer else None
        ask = self._channel.unary_unary(
            f"/zetasql.local_service.ZetaSqlLocalService/{method}",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=read,
        )
        try:
            return ask(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED):
                raise RefusedError(error.details()) from None
            raise

    def register(self, catalog: Any) -> int:
        """Keep a catalog on the server and return its number."""
        request = message("local_service.RegisterCatalogRequest", simple_catalog=catalog)
        return self.call("RegisterCatalog", request, "local_service.RegisterResponse").registered_id

    def analyze(self, catalog_id: int, text: str, parameters: Mapping[str, Mapping[str, Any]], *, read: bool) -> Any:
        """Analyze one statement.

        :param parameters: type by name, as the REST API states it.
        :param read: whether the resolved statement is needed.
        :returns: the resolved statement's own message, or None.
        :raises RefusedError: when it is refused.
        """
        request = message(
            "local_service.AnalyzeRequest",
            options=_analyzer_options(parameters),
            registered_catalog_id=catalog_id,
            sql_statement=text,
        )
        answer = self.call("Analyze", request, "local_service.AnalyzeResponse" if read else None)
        if not read:
            return None
        node = answer.resolved_statement
        # The message nests one of many kinds in another: go down to the innermost.
        while (kind := node.WhichOneof("node") if "node" in node.DESCRIPTOR.oneofs_by_name else None) is not None:
            node = getattr(node, kind)
        return node
