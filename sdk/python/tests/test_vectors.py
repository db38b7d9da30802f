"""The vectors that all clients and the server share: test/vectors."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import json
import unittest
from pathlib import Path
from typing import Any, Dict, List
from urllib.parse import parse_qsl

from tako_vm import ClientError, MalformedResponseError, ServerError, TransportError, WebhookError, sign_webhook, verify_webhook
from tako_vm._sse import Frames

from .stub import Answer, Seen, StubCase
from .vector_calls import CALLS

VECTORS = Path(__file__).resolve().parents[3] / "test" / "vectors"


def read(name: str) -> List[Dict[str, Any]]:
    vectors: List[Dict[str, Any]] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return vectors


def body_of(answer: Dict[str, Any]) -> bytes:
    if "body" in answer:
        return json.dumps(answer["body"]).encode()
    return base64.b64decode(answer.get("raw_base64", "")) or answer.get("raw", "").encode()


def answer_of(answer: Dict[str, Any]) -> Answer:
    return Answer(answer["status"], body_of(answer), answer["headers"], answer.get("cut", False))


def number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


class Vectors(StubCase):
    maxDiff = None

    def compare(self, seen: Seen, want: Dict[str, Any]) -> None:
        """Holds a request against that of a vector."""
        path, _, query = seen.path.partition("?")
        self.assertEqual((seen.method, path), (want["method"], want["path"]))
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        self.assertEqual([(k, number(v)) for k, v in pairs], [(k, number(v)) for k, v in sorted(want["query"].items())])
        for name, value in {"Authorization": "", "X-API-Key": "", **want["headers"]}.items():
            self.assertEqual(seen.headers.get(name, ""), value, name)
        if "form" in want:
            self.assertEqual(form_of(seen), want["form"])
        elif "body" in want:
            self.assertEqual(seen.json, want["body"])
        else:
            self.assertEqual(seen.body, b"")

    def compare_error(self, error: Any, want: Dict[str, Any], answer: Dict[str, Any]) -> None:
        """Holds an exception against a vector's error: classes go by the status."""
        kinds = {"malformed": MalformedResponseError, "unreachable": TransportError}
        self.assertIs(type(error), kinds.get(want["kind"]) or (ServerError if want["status"] >= 500 else ClientError), error)
        if "correlation_id" in want:
            self.assertEqual(error.correlation_id, want["correlation_id"])
        if want["kind"] in kinds:
            return
        self.assertEqual((error.status_code, error.retry_after or 0), (want["status"], want.get("retry_after", 0)))
        detail = answer["body"].get("detail") if isinstance(answer.get("body"), dict) else None
        self.assertEqual(error.problems, detail if isinstance(detail, list) else [])
        if want["kind"] == "unsupported":
            self.assertIn("another version", str(error))
        elif isinstance(detail, str):
            self.assertEqual(error.detail, want["message"])

    def test_exchanges(self) -> None:
        for x in read("exchanges.json"):
            with self.subTest(x["name"]):
                self.exchange(x)

    def exchange(self, x: Dict[str, Any]) -> None:
        stub, client = self.serve(*[answer_of(x["answer"])] * 9, **x["client"])
        try:
            if "error" in x:
                error = self.fails(Exception, lambda: CALLS[x["call"]](client, x["args"]))
                self.compare_error(error, x["error"], x["answer"])
            else:
                self.value(CALLS[x["call"]](client, x["args"]), x)
        finally:
            client.close()
        self.assertTrue(stub.seen)
        for seen in stub.seen:  # what may be repeated is the same each time
            self.compare(seen, x["request"])

    def value(self, got: Any, x: Dict[str, Any]) -> None:
        """Holds what a caller is given against an answer."""
        body, raw = x["answer"].get("body"), body_of(x["answer"])
        if x["call"] == "execute":
            sent = x["answer"]["headers"]["X-Correlation-ID"]
            want = {**body, "job_id": body["execution_id"], "correlation_id": sent}
            del want["execution_id"]
            self.assertEqual({name: getattr(got, name) for name in want}, want)
        elif x["call"] == "events":
            blocks = [block.split("\n") for block in raw.decode().split("\n\n")[:-1]]
            want = [(id[len("id: ") :], type[len("event: ") :], json.loads(data[len("data: ") :])) for id, type, data in blocks]
            self.assertEqual([(e.id, e.type, e.data) for e in got], want)
        elif isinstance(got, bytes):
            self.assertEqual(got, raw)
        elif isinstance(got, str):  # text, or the one field that the call answers
            self.assertEqual(got, raw.decode() if body is None else body.get("job_id") or body["batch_id"])
        else:
            self.assertEqual(got, body)

    def test_reconnects(self) -> None:
        for x in read("reconnects.json"):
            with self.subTest(x["name"]):
                self.reconnect(x)

    def reconnect(self, x: Dict[str, Any]) -> None:
        stub, client = self.serve(*[answer_of(c["answer"]) for c in x["connections"]])
        got, error = [], None
        try:
            for e in client.events(x["args"]["id"], after=x["args"].get("after"), follow=x["args"].get("follow", True)):
                got.append({"id": e.id, "type": e.type, **({"text": e.text} if e.type in ("stdout", "stderr") else {})})
        except (ClientError, ServerError, TransportError, MalformedResponseError) as e:
            error = e
        finally:
            client.close()
        self.assertEqual(got, x["events"])
        if "error" in x:
            self.compare_error(error, x["error"], x["connections"][-1]["answer"])
        else:
            self.assertIsNone(error)
        self.assertEqual(len(stub.seen), len(x["connections"]))
        for seen, connection in zip(stub.seen, x["connections"]):
            self.compare(seen, connection["request"])


def form_of(seen: Seen) -> List[Dict[str, str]]:
    head = f"Content-Type: {seen.headers['Content-Type']}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + seen.body)
    return [
        {
            "name": str(part.get_param("name", header="content-disposition")),
            "filename": str(part.get_filename()),
            "content_type": part.get_content_type(),
            "content": part.get_payload(decode=True).decode(),
        }
        for part in form.iter_parts()
    ]


class Streams(unittest.TestCase):
    def test_streams(self) -> None:
        for x in read("streams.json"):
            with self.subTest(x["name"]):
                all = base64.b64decode(x["bytes_base64"])
                cuts = [0, *x["cuts"], len(all)]
                pieces = [all[a:b] for a, b in zip(cuts, cuts[1:])] * x.get("times", 1)
                self.check(pieces, x)
                if "times" not in x:
                    self.check([all[n : n + 1] for n in range(len(all))], x)

    def check(self, pieces: List[bytes], x: Dict[str, Any]) -> None:
        frames, got, error = Frames(), [], ""
        try:
            for piece in pieces:
                got += [{"id": f.id, "name": f.name, "data": f.data} for f in frames.feed(piece)]
        except ValueError:
            error = "malformed"
        self.assertEqual((got, error), (x["frames"], x.get("error", "")))


class Webhooks(unittest.TestCase):
    def test_webhooks(self) -> None:
        for x in read("webhooks.json"):
            with self.subTest(x["name"]):
                self.check(x)

    def check(self, x: Dict[str, Any]) -> None:
        options = {"now": x["now"], **({"tolerance": x["tolerance"]} if "tolerance" in x else {})}
        if "error" in x:
            with self.assertRaises(WebhookError) as caught:
                verify_webhook(x["secret"], x["body"].encode(), x["header"], **options)
            self.assertEqual("too old" in str(caught.exception), x["error"] == "stale", caught.exception)
            return
        self.assertEqual(verify_webhook(x["secret"], x["body"].encode(), x["header"], **options), json.loads(x["body"]))
        if "signed_at" in x:
            self.assertEqual(sign_webhook(x["secret"], x["body"].encode(), now=x["signed_at"]), x["header"])
