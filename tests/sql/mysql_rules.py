"""What MySQL 8.4 refuses and the MariaDB that runs here takes, as rules on the text: docs/mysql.md says why.

Each rule returns what it finds wrong. They hold for every file of include/sql/mysql and for the SQL in Python code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp

from drawsguard.settings import REPOSITORY
from tests.sql.rules import Rule, Statement

#: Where Python code holds statements for MySQL. The alerts, draws and monitoring speak to BigQuery only.
PYTHON_SOURCES = (
    "plugins/drawsguard/points",
    "plugins/drawsguard/approvals",
    "plugins/hooks",
    "plugins/operators/points",
    "plugins/operators/approvals",
    "local/golden",
    "local/demo",
    "local/services.py",
)

#: The reserved words of MySQL 8.4, as its table information_schema.keywords has them, and those that 9.7 added.
_RESERVED = """
ACCESSIBLE ADD ALL ALTER ANALYZE AND AS ASC ASENSITIVE BEFORE BETWEEN BIGINT BINARY BLOB BOTH BY CALL CASCADE CASE
CHANGE CHAR CHARACTER CHECK COLLATE COLUMN CONDITION CONSTRAINT CONTINUE CONVERT CREATE CROSS CUBE CUME_DIST
CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DATABASES DAY_HOUR DAY_MICROSECOND DAY_MINUTE
DAY_SECOND DEC DECIMAL DECLARE DEFAULT DELAYED DELETE DENSE_RANK DESC DESCRIBE DETERMINISTIC DISTINCT DISTINCTROW DIV
DOUBLE DROP DUAL EACH ELSE ELSEIF EMPTY ENCLOSED ESCAPED EXCEPT EXISTS EXIT EXPLAIN FALSE FETCH FIRST_VALUE FLOAT
FLOAT4 FLOAT8 FOR FORCE FOREIGN FROM FULLTEXT FUNCTION GENERATED GET GRANT GROUP GROUPING GROUPS HAVING HIGH_PRIORITY
HOUR_MICROSECOND HOUR_MINUTE HOUR_SECOND IF IGNORE IN INDEX INFILE INNER INOUT INSENSITIVE INSERT INT INT1 INT2 INT3
INT4 INT8 INTEGER INTERSECT INTERVAL INTO IO_AFTER_GTIDS IO_BEFORE_GTIDS IS ITERATE JOIN JSON_TABLE KEY KEYS KILL LAG
LAST_VALUE LATERAL LEAD LEADING LEAVE LEFT LIKE LIMIT LINEAR LINES LOAD LOCALTIME LOCALTIMESTAMP LOCK LONG LONGBLOB
LONGTEXT LOOP LOW_PRIORITY MANUAL MATCH MAXVALUE MEDIUMBLOB MEDIUMINT MEDIUMTEXT MIDDLEINT MINUTE_MICROSECOND
MINUTE_SECOND MOD MODIFIES NATURAL NOT NO_WRITE_TO_BINLOG NTH_VALUE NTILE NULL NUMERIC OF ON OPTIMIZE OPTIMIZER_COSTS
OPTION OPTIONALLY OR ORDER OUT OUTER OUTFILE OVER PARALLEL PARTITION PERCENT_RANK PRECISION PRIMARY PROCEDURE PURGE
QUALIFY RANGE RANK READ READS READ_WRITE REAL RECURSIVE REFERENCES REGEXP RELEASE RENAME REPEAT REPLACE REQUIRE
RESIGNAL RESTRICT RETURN REVOKE RIGHT RLIKE ROW ROWS ROW_NUMBER SCHEMA SCHEMAS SECOND_MICROSECOND SELECT SENSITIVE
SEPARATOR SET SHOW SIGNAL SMALLINT SPATIAL SPECIFIC SQL SQLEXCEPTION SQLSTATE SQLWARNING SQL_BIG_RESULT
SQL_CALC_FOUND_ROWS SQL_SMALL_RESULT SSL STARTING STORED STRAIGHT_JOIN SYSTEM TABLE TABLESAMPLE TERMINATED THEN
TINYBLOB TINYINT TINYTEXT TO TRAILING TRIGGER TRUE UNDO UNION UNIQUE UNLOCK UNSIGNED UPDATE USAGE USE USING UTC_DATE
UTC_TIME UTC_TIMESTAMP VALUES VARBINARY VARCHAR VARCHARACTER VARYING VIRTUAL WHEN WHERE WHILE WINDOW WITH WRITE XOR
YEAR_MONTH ZEROFILL EXTERNAL LIBRARY
"""
RESERVED = frozenset(_RESERVED.split())

#: What only MariaDB knows, or what MySQL 8 gave up: a pattern over a statement without its literals and comments.
_FOREIGN = {
    "RETURNING": r"\bRETURNING\b",
    "CREATE OR REPLACE (MySQL: for views only)": r"\bCREATE\s+OR\s+REPLACE\s+(?!VIEW\b)",
    "a sequence": r"\b(CREATE|ALTER|DROP)\s+SEQUENCE\b|\bNEXT\s+VALUE\s+FOR\b|\b(NEXTVAL|LASTVAL|SETVAL)\s*\(",
    "IF [NOT] EXISTS on a column or an index": (
        r"\b(ADD|DROP|MODIFY|CHANGE)\s+(COLUMN\s+|INDEX\s+|KEY\s+|CONSTRAINT\s+)?IF\s+(NOT\s+)?EXISTS\b"
        r"|\b(CREATE|DROP)\s+(UNIQUE\s+)?INDEX\s+IF\s+(NOT\s+)?EXISTS\b"
    ),
    "ALTER TABLE IF EXISTS": r"\b(ALTER|RENAME)\s+TABLE\s+IF\s+EXISTS\b",
    "SET STATEMENT … FOR": r"\bSET\s+STATEMENT\b",
    "system versioning": r"\bSYSTEM\s+VERSIONING\b|\bFOR\s+SYSTEM_TIME\b|\bPERIOD\s+FOR\b",
    "PERSISTENT columns": r"\)\s*PERSISTENT\b",
    "VALUE() of a row that is not inserted": r"\bVALUE\s*\(",
    "LIMIT … ROWS EXAMINED": r"\bROWS\s+EXAMINED\b",
    "OFFSET … FETCH": r"\bFETCH\s+(FIRST|NEXT)\b",
    "EXECUTE IMMEDIATE": r"\bEXECUTE\s+IMMEDIATE\b",
    "BEGIN NOT ATOMIC": r"\bNOT\s+ATOMIC\b",
    "WAIT n on a lock": r"\bWAIT\s+\d+\b",
    "an engine of MariaDB": r"\bENGINE\s*=?\s*(ARIA|S3|COLUMNSTORE|SPIDER|ROCKSDB|SEQUENCE|CONNECT)\b",
    "a type of MariaDB": r"\b(INET4|INET6|UUID|XMLTYPE)\s*(NOT\b|NULL\b|DEFAULT\b|PRIMARY\b|COMMENT\b|,|\))",
    "a collation of MariaDB": r"\butf8mb4_(uca1400_\w+|\w*nopad\w*)\b",
    "a function of MariaDB": (
        r"\b(NVL2?|TO_CHAR|ADD_MONTHS|CHR|SYS_GUID|NATURAL_SORT_KEY|KDF|JSON_(DETAILED|COMPACT|LOOSE|EXISTS|QUERY|"
        r"EQUALS|NORMALIZE|OBJECT_TO_ARRAY)|DECODE_ORACLE|MEDIAN|PERCENTILE_(CONT|DISC)|SFORMAT|CRC32C|"
        r"COLUMN_(CREATE|GET|ADD|JSON)|LENGTHB|RANDOM_BYTES_BASE64)\s*\("
    ),
    "a function that MySQL 8 gave up": r"(?<!IDENTIFIED BY )\b(PASSWORD|OLD_PASSWORD|ENCRYPT|ENCODE|DES_\w+)\s*\(",
    "the query cache": r"\bSQL_CACHE\b|\bQUERY\s+CACHE\b",
    "IDENTIFIED VIA or IDENTIFIED BY PASSWORD": r"\bIDENTIFIED\s+(VIA|BY\s+PASSWORD)\b",
    "a user made or changed by GRANT": r"\bGRANT\b.*\bIDENTIFIED\b",
    "MASTER and SLAVE": r"\b(CHANGE|SHOW|RESET|START|STOP)\s+(ALL\s+)?(MASTER|SLAVE)\b",
    "ANALYZE of a statement": r"\bANALYZE\s+(FORMAT|SELECT|UPDATE|DELETE|INSERT)\b",
    "GROUP BY … ASC or DESC": r"\bGROUP\s+BY\s+(?:(?!\bORDER\b|\bLIMIT\b|\bHAVING\b)[\w.,`\s])*\b(ASC|DESC)\b",
    "NO_AUTO_CREATE_USER": r"\bNO_AUTO_CREATE_USER\b",
    "tx_isolation": r"\btx_(isolation|read_only)\b",
    "INTERSECT or EXCEPT under the name MINUS": r"\bMINUS\s+SELECT\b",
}
#: Needs SUPER, or log_bin_trust_function_creators, where MySQL writes its binary log: which is its default.
_STORED = re.compile(r"\bCREATE\s+(OR\s+REPLACE\s+)?(DEFINER\s*=\s*\S+\s+)?(FUNCTION|TRIGGER|PROCEDURE|EVENT)\b", re.I)
_BLOB_TYPES = ("TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON")


def bare(text: str) -> str:
    """Return SQL without its comments, strings and quoted names."""
    return re.sub(
        r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|#[^\n]*", "?", text, flags=re.S
    )


def names_nothing_by_a_reserved_word(statement: Statement) -> list[str]:
    """No table, column, key or alias is a reserved word, unless it is quoted."""
    found = {
        name.this
        for tree in _trees(statement)
        for name in tree.find_all(exp.Identifier)
        if not name.args.get("quoted") and name.this.upper() in RESERVED
    }
    return [f"{name} is a reserved word" for name in sorted(found)]


def _trees(statement: Statement) -> list[exp.Expression]:
    # The parser passes REPLACE through unread; its names are those of an INSERT.
    text, replaced = re.subn(r"^\s*REPLACE\s+INTO\b", "INSERT INTO", statement.text, flags=re.M)
    return [tree for tree in sqlglot.parse(text, dialect="mysql") if tree] if replaced else statement.trees


def is_no_dialect(statement: Statement) -> list[str]:
    """Nothing that only MariaDB knows, and nothing that MySQL 8 gave up."""
    text = bare(statement.text)
    return [what for what, pattern in _FOREIGN.items() if re.search(pattern, text, re.I | re.S)]


def stores_no_program(statement: Statement) -> list[str]:
    """No function, trigger, procedure or event: with the binary log on, only an administrator may make one."""
    return [f"makes a {match[3].lower()}" for match in _STORED.finditer(bare(statement.text))]


def gives_large_columns_no_default(statement: Statement) -> list[str]:
    """No TEXT, BLOB or JSON column has a literal default, and a function as default stands in parentheses."""
    text = bare(statement.text)
    found = [
        f"{match[1]} with a literal default"
        for match in re.finditer(
            rf"\b({'|'.join(_BLOB_TYPES)})\b(?:\s+NOT)?(?:\s+NULL)?\s+DEFAULT\s+(?!NULL\b|\()", text, re.I
        )
    ]
    return found + [
        f"DEFAULT {match[1]} without parentheses"
        for match in re.finditer(r"\bDEFAULT\s+((?!CURRENT_TIMESTAMP|NOW|LOCALTIME)\w+)\s*\(", text, re.I)
    ]


MYSQL: tuple[Rule, ...] = (
    names_nothing_by_a_reserved_word,
    is_no_dialect,
    stores_no_program,
    gives_large_columns_no_default,
)

_SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|RENAME|REPLACE|SET|GRANT|REVOKE|WITH|LOAD|LOCK|TRUNCATE)\s+\S"
)


def statements_in_python() -> Iterator[Statement]:
    """Yield each text of the Python sources that starts as a statement does; what is filled in is a name."""
    for source in PYTHON_SOURCES:
        path = REPOSITORY / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield from _in_file(file)


def _in_file(file: Path) -> Iterator[Statement]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in inner or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        text = _text(node)
        if text is not None and _SQL.match(text):
            name = f"{file.relative_to(REPOSITORY)}:{node.lineno}"
            # Python's own placeholders: {name} of format(), %s of the driver.
            yield Statement(name, "mysql", re.sub(r"\{\w+\}", "filled_in", text).replace("%s", "1"))


def _text(node: ast.JoinedStr | ast.Constant) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(part) or "filled_in" if isinstance(part, ast.Constant) else "filled_in" for part in node.values
        )
    return node.value if isinstance(node.value, str) else None
