"""Checks JSON against the part of JSON Schema that docs/vgpu-admin.schema.json uses. A keyword that is not known here
is an error, so that nothing in the schema goes unchecked."""

import json
import re

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
ANNOTATIONS = {"$schema", "title", "$defs"}


class Schema:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.root = json.load(file)

    def faults(self, value):
        """What is wrong with value, one text each; empty where it is right."""
        return list(self._check(self.root, value, "$"))

    def _check(self, schema, value, where):
        if schema is True:
            return
        for keyword, wanted in schema.items():
            if keyword not in ANNOTATIONS:
                yield from getattr(self, "_" + keyword.replace("$", ""))(schema, wanted, value, where)

    def _ref(self, _schema, wanted, value, where):
        yield from self._check(self.root["$defs"][wanted.rsplit("/", 1)[1]], value, where)

    def _type(self, _schema, wanted, value, where):
        names = wanted if isinstance(wanted, list) else [wanted]
        if not any(TYPES[name](value) for name in names):
            yield f"{where}: {value!r} is no {' or '.join(names)}"

    def _const(self, _schema, wanted, value, where):
        if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
            yield f"{where}: {value!r} is not {wanted!r}"

    def _enum(self, _schema, wanted, value, where):
        if value not in wanted:
            yield f"{where}: {value!r} is none of {wanted}"

    def _pattern(self, _schema, wanted, value, where):
        if isinstance(value, str) and not re.search(wanted, value):
            yield f"{where}: {value!r} does not match {wanted}"

    def _minimum(self, _schema, wanted, value, where):
        if TYPES["integer"](value) and value < wanted:
            yield f"{where}: {value} is less than {wanted}"

    def _items(self, _schema, wanted, value, where):
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._check(wanted, item, f"{where}[{index}]")

    def _required(self, _schema, wanted, value, where):
        if isinstance(value, dict):
            for name in wanted:
                if name not in value:
                    yield f"{where}: {name} is missing"

    def _properties(self, _schema, wanted, value, where):
        if isinstance(value, dict):
            for name, schema in wanted.items():
                if name in value:
                    yield from self._check(schema, value[name], f"{where}.{name}")

    def _additionalProperties(self, schema, wanted, value, where):  # pylint: disable=invalid-name
        assert wanted is False
        if isinstance(value, dict):
            for name in value.keys() - schema["properties"].keys():
                yield f"{where}: {name} is not in the schema"

    def _oneOf(self, _schema, wanted, value, where):  # pylint: disable=invalid-name
        results = [list(self._check(schema, value, where)) for schema in wanted]
        right = sum(not faults for faults in results)
        if right == 0:
            yield min(results, key=len)[0]
        elif right > 1:
            yield f"{where}: {right} of the forms fit, one should"
