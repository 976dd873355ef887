#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the documents of corpus/ and examples/ to docs/lvs.schema.json; corpus_test.cc holds the same ones to the parser."""

import re
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent.parent


class Loader(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors read it; PyYAML itself is YAML 1.1, where `off` is false and 1:30 is 90."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
     "-+.0123456789"),
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def main():
    import json

    schema = json.loads((REPOSITORY / "docs/lvs.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    folders = {HERE / "corpus/valid": True, HERE / "corpus/semantic": True, REPOSITORY / "examples": True,
               REPOSITORY / "examples/anycast": True, HERE / "corpus/invalid": False}
    judged = wrong = 0
    for folder, accepted in folders.items():
        paths = sorted(folder.glob("*.yaml"))
        assert paths, f"no documents in {folder}"
        for path in paths:
            document = yaml.load(path.read_text(encoding="utf-8"), Loader)
            errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(document)]
            judged += 1
            if accepted == (not errors):
                continue
            wrong += 1
            print(f"{path}: {errors[0] if errors else 'the schema accepts what the parser refuses'}")
    print(f"{judged} documents judged, {wrong} otherwise than by the parser")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
