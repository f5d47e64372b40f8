#!/usr/bin/env python3
"""Holds a running server against its contract, openapi.yaml.

    contract.py PORT TOKEN SEED whole [KNOWN]  every operation of the contract must be there
    contract.py PORT TOKEN SEED part ROUTES    those that are there alone are looked at, and all of ROUTES, a file with a line
                                               "METHOD PATH NAME" for each route of the server, must be in the contract

KNOWN is a file of JSON: "values", by the name of a parameter, that the server knows something of; and "reached", operations
that must be answered as it should be at least once.

Then every operation is asked for, as it should be and in many ways it should not be, and each answer
must be one that the contract names, of the type and form that it says and with no other members, and no failure of the server. The requests follow
from SEED alone. Prints what is wrong; exit code 1 when something is.
"""
import http.client
import json
import random
import re
import ssl
import sys
import urllib.parse

import jsonschema
import yaml

WRONG = []
METHODS = {"get", "put", "post", "delete", "patch"}
REQUESTS_PER_OPERATION = 40
ODD_TEXTS = ["", "a", "\u00e4\u20ac\U0001F600", "%", "../..", "a/b", "'; DROP TABLE tokens; --", "x" * 3000, "\x00", "\n", "null", "-1",
             "99999999999999999999", "1e3", "true", "\u202e", "{}", "0", "hf_" + "0" * 64, "2026-11-20T12:00:00Z", "9999-99-99"]


# Of these some fit each pattern of the contract.
FITTING_TEXTS = ["30d", "12mo", "5%", "structure", "all", "files", "0/16B6C50", "7", "check", "0123456789abcdef"]


def wrong(where, what):
    WRONG.append(f"{where}: {what}")


class Server:
    def __init__(self, port, token):
        self.port, self.token = port, token
        self.context = ssl._create_unverified_context()
        self.connection = None

    def ask(self, method, target, headers, body):
        """(status, headers, body), or None when nothing came back."""
        for _ in range(2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.context)
                self.connection.request(method, target, body=body, headers=headers)
                answer = self.connection.getresponse()
                if answer.getheader("Content-Type") == "text/event-stream":
                    text = b""
                    while b"\n\n" not in text:
                        line = answer.fp.readline()
                        if not line:
                            break
                        text += line
                    self.connection.close()
                    self.connection = None
                    return answer.status, answer.headers, text
                text = answer.read()
                if answer.getheader("Connection") == "close":
                    self.connection.close()
                    self.connection = None
                return answer.status, answer.headers, text
            except (http.client.HTTPException, OSError):
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
        return None


class Contract:
    def __init__(self, text):
        self.document = yaml.safe_load(text)

    def find(self, thing):
        while "$ref" in thing:
            place = self.document
            for name in thing["$ref"].removeprefix("#/").split("/"):
                place = place[name]
            thing = place
        return thing

    def whole(self, schema):
        """A schema with all that it is made of."""
        schema = self.find(schema)
        parts = [self.whole(part) for part in schema.get("allOf", [])]
        if not parts:
            return schema
        merged = {"type": "object", "properties": dict(schema.get("properties", {})), "required": list(schema.get("required", []))}
        for part in parts:
            merged["properties"].update(part.get("properties", {}))
            merged["required"] += part.get("required", [])
        return merged

    def errors(self, schema, value):
        # With the components at its root references of the schema are found, whatever the version of the validator.
        return jsonschema.Draft202012Validator({"components": self.document["components"], **schema}).iter_errors(value)

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method in METHODS:
                    yield method, path, operation, [self.find(p) for p in item.get("parameters", []) + operation.get("parameters", [])]

    def check_answer(self, where, operation, status, headers, body):
        answers = operation["responses"]
        answer = answers.get(str(status)) or (answers.get("default") if status >= 400 else None)
        if answer is None:
            wrong(where, f"the contract knows no answer {status}")
            return
        content = self.find(answer).get("content")
        if content is None:
            if body:
                wrong(where, f"{status} has a body and should have none")
            return
        kind = (headers.get("Content-Type") or "").split(";")[0]
        if kind not in content:
            wrong(where, f"{status} is of the type {kind!r}, not {list(content)}")
            return
        if kind.endswith("json"):
            for error in self.errors(content[kind]["schema"], json.loads(body)):
                wrong(where, f"{status}: {list(error.absolute_path)}: {error.message[:300]}")
        elif kind == "text/event-stream":
            self.check_events(where, content[kind]["x-events"], body)

    def check_events(self, where, known, body):
        event = dict(line.split(": ", 1) for line in body.decode().split("\n\n")[0].split("\n"))
        if event.get("event") not in known:
            wrong(where, f"the contract knows no event {event.get('event')!r}")
            return
        for error in self.errors(known[event["event"]], json.loads(event["data"])):
            wrong(where, f"{event['event']}: {list(error.absolute_path)}: {error.message[:300]}")


def check_closed(thing, path):
    """Each object says which members it has: an answer that has others is found out."""
    if isinstance(thing, list):
        for part in thing:
            check_closed(part, path)
    if not isinstance(thing, dict):
        return
    # Parts of others, which close themselves.
    is_part = path[-1].endswith("Members") or "allOf" in path[-1:]
    if thing.get("type") == "object" and "additionalProperties" not in thing and not is_part:
        wrong("/".join(path), "is an object of any members")
    if "allOf" in thing and thing.get("unevaluatedProperties") is not False:
        wrong("/".join(path), "is an object of any members")
    for name, part in thing.items():
        if name not in ("example", "default"):
            check_closed(part, path + [str(name)])


def check_routes(contract, file):
    ours = {tuple(line.split()) for line in open(file, encoding="utf-8")}
    theirs = {(method.upper(), path, operation["operationId"]) for method, path, operation, _ in contract.operations()}
    for route in sorted(ours - theirs):
        wrong(" ".join(route), "is a route and not in the contract")


def is_there(server, method, path):
    status, headers, _ = server.ask("OPTIONS", path.replace("{", "").replace("}", ""), {}, None)
    return status == 204 and method.upper() in (headers.get("Allow") or "").split(", ")


def some_value(rng, schema, contract, depth=0):
    """Something that fits a schema, more or less."""
    schema = contract.whole(schema)
    if rng.random() < 0.15:
        return rng.choice([None, True, 0, -1, 1.5, [], {}, [[]], {"a": {"b": []}}] + ODD_TEXTS)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type", "object")
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        value = {name: some_value(rng, part, contract, depth + 1) for name, part in schema.get("properties", {}).items()
                 if name in schema.get("required", []) and rng.random() < 0.95 or rng.random() < 0.5}
        if rng.random() < 0.2:
            value[rng.choice(ODD_TEXTS)] = rng.choice(ODD_TEXTS)
        return value
    if kind == "array":
        return [some_value(rng, schema["items"], contract, depth + 1) for _ in range(rng.randrange(4))]
    if kind == "string":
        if schema.get("format") == "date-time":
            return rng.choice(["2126-11-20T12:00:00Z", "2020-01-01T00:00:00+02:00", "tomorrow"])
        fitting = [text for text in FITTING_TEXTS if re.search(schema["pattern"], text)] if "pattern" in schema else []
        if fitting:
            return rng.choice(fitting)
        return rng.choice(["name%d" % rng.randrange(10**9), "db"] + ODD_TEXTS)
    return {"integer": rng.choice([0, 1, 10, 1000, 1001, -5, 2**70]), "boolean": rng.random() < 0.5, "null": None,
            "number": rng.random()}[kind]


def text_of(value):
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)  # as parameters of the form "a,b" are written
    return value if isinstance(value, str) else json.dumps(value)


def some_request(rng, method, path, operation, parameters, contract, token, known):
    headers = {"Authorization": "Bearer " + token, "Accept": rng.choice(["*/*", "application/json, */*;q=0.1"])}
    query = []
    for parameter in parameters:
        value = text_of(some_value(rng, parameter["schema"], contract))
        if parameter["name"] in known and rng.random() < 0.6:
            value = rng.choice(known[parameter["name"]])
        if parameter["in"] == "path":
            value = value or "x"  # without it the path is another
            path = path.replace("{" + parameter["name"] + "}", urllib.parse.quote(value, safe=""))
        elif parameter["in"] == "query" and rng.random() < 0.5:
            query.append((parameter["name"], value))
        elif parameter["in"] == "header" and rng.random() < (0.8 if parameter["name"] in known else 0.3) and value.isascii() and value.isprintable():
            headers[parameter["name"]] = value
    if rng.random() < 0.1:
        query.append((rng.choice(ODD_TEXTS), rng.choice(ODD_TEXTS)))
    body = None
    if "requestBody" in operation and rng.random() < 0.9:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = json.dumps(some_value(rng, schema, contract)).encode()
        if rng.random() < 0.1:
            body = body[:rng.randrange(len(body) + 1)] + bytes([rng.randrange(256)])
        headers["Content-Type"] = "application/json" if rng.random() < 0.95 else "text/plain"
    return path + ("?" + urllib.parse.urlencode(query) if query else ""), headers, body


def main():
    port, token, seed, whole = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "whole"
    server = Server(port, token)
    contract = Contract(server.ask("GET", "/openapi.yaml", {}, None)[2])
    if not whole:
        check_routes(contract, sys.argv[5])
    known = json.load(open(sys.argv[5], encoding="utf-8")) if whole and len(sys.argv) > 5 else {"values": {}, "reached": []}
    check_closed(contract.document["components"]["schemas"], ["schemas"])
    rng = random.Random(seed)
    statuses, reached = {}, set()
    for method, path, operation, parameters in contract.operations():
        if not is_there(server, method, path):
            if whole:
                wrong(f"{method.upper()} {path}", "is in the contract, and no route")
            continue
        for _ in range(REQUESTS_PER_OPERATION):
            target, headers, body = some_request(rng, method, path, operation, parameters, contract, token, known["values"])
            where = f"{method.upper()} {target[:200]} {(body or b'')[:200]!r}"
            answer = server.ask(method.upper(), target, headers, body)
            if answer is None:
                wrong(where, "no answer")
                continue
            status = answer[0]
            statuses[status] = statuses.get(status, 0) + 1
            if status < 300:
                reached.add(operation["operationId"])
            if status == 404 and "{" not in path:
                wrong(where, "is not found")
            if status >= 500 and status != 501 and operation["operationId"] != "ready":
                wrong(where, f"the server failed: {answer[2][:300]!r}")
            contract.check_answer(where, operation, *answer)
    print("answers:", dict(sorted(statuses.items())))
    for expected in (200, 400, 404):
        if expected not in statuses:
            wrong("all", f"no request was answered {expected}: the test does not reach what it should")
    for name in known["reached"]:
        if name not in reached:
            wrong(name, "no request was answered as it should be")
    for line in WRONG[:50]:
        print(line)
    sys.exit(1 if WRONG else 0)


if __name__ == "__main__":
    main()
