"""The record: SQLAlchemy Core tables and migrations, SQLite by default, PostgreSQL by URL; and the files of a build."""

from imitable.store import money_tables, tables
from imitable.store.build_files import (
    build_hash_of,
    changed_files,
    copy_build,
    holds_items,
    load_build,
    read_build,
    read_report,
    store_differs,
    write_build,
)
from imitable.store.engine import Store, insert_once, open_store
from imitable.store.exposures import EXPOSURES
from imitable.store.pay_rules import in_part, keep_rule, promised
from imitable.store.quick import Quick
from imitable.store.turns import in_turn

__all__ = [
    "EXPOSURES",
    "Quick",
    "Store",
    "build_hash_of",
    "changed_files",
    "copy_build",
    "holds_items",
    "in_part",
    "in_turn",
    "insert_once",
    "keep_rule",
    "load_build",
    "money_tables",
    "open_store",
    "promised",
    "read_build",
    "read_report",
    "store_differs",
    "tables",
    "write_build",
]
