"""Zone files: TOML text to ZoneConfig with every problem at once, and back.

One set of descriptions (`fields`) gives the validator (`walker`), the JSON Schema (`schema`), the reference page
(`reference`) and the writer (`writing`). Everything is cheap to import: tomlkit, json and difflib are imported by
the functions that need them.
"""

from zonectl.config.dependencies import check_dependencies, start_order
from zonectl.config.editing import absolute, edit
from zonectl.config.schema import json_schema, schema_text
from zonectl.config.writing import dumps, words_text
from zonectl.config.zonefile import Loaded, load, load_directory, parse

__all__ = [
    "Loaded",
    "absolute",
    "check_dependencies",
    "dumps",
    "edit",
    "json_schema",
    "load",
    "load_directory",
    "parse",
    "schema_text",
    "start_order",
    "words_text",
]
