"""Signatures of webhooks."""

from __future__ import annotations

import hashlib
import hmac
import unittest
from typing import Any, Dict
from unittest import mock

from tako_vm import WebhookError, sign_webhook, verify_webhook

SECRET, BODY, AT = "secret", b'{"status": "succeeded"}', 1700000000


class Webhooks(unittest.TestCase):
    def test_what_the_server_signs(self) -> None:
        got = sign_webhook("whsec_0123456789abcdef", '{"execution_id":"x"}', now=1767323045)  # of the server's own tests, too
        self.assertEqual(got, "t=1767323045,v1=8e2c8292dde37a2c48a1872fb772fd27781bc4ccdbd8b6ae364f38be1ad273ae")

    def test_known(self) -> None:
        sum = hmac.new(b"secret", b'1700000000.{"status": "succeeded"}', hashlib.sha256).hexdigest()
        self.assertEqual(sign_webhook(SECRET, BODY, now=AT), f"t=1700000000,v1={sum}")
        self.assertEqual(verify_webhook(SECRET, BODY, f"t={AT},v1={sum}", now=AT), {"status": "succeeded"})
        self.assertEqual(verify_webhook(SECRET, BODY, {"TAKO-signature": f"t={AT}, v1={sum}"}, now=AT), {"status": "succeeded"})
        rotated = f"t={AT},v0=x,v1={'0' * 64},v1={sum.upper()}"
        self.assertEqual(verify_webhook(SECRET, BODY.decode(), rotated, now=AT), {"status": "succeeded"})

    def test_tolerance(self) -> None:
        signature = sign_webhook(SECRET, BODY, now=AT)
        for now, options, good in ((AT + 300, {}, True), (AT - 300, {}, True), (AT + 301, {}, False), (AT - 301, {}, False),
                                   (AT + 11, {"tolerance": 10}, False)):  # type: int, Dict[str, Any], bool
            with self.subTest(now - AT):
                if good:
                    verify_webhook(SECRET, BODY, signature, now=now, **options)
                else:
                    self.assertRaises(WebhookError, verify_webhook, SECRET, BODY, signature, now=now, **options)
        self.assertRaises(WebhookError, verify_webhook, SECRET, BODY, signature)  # now is now

    def test_refused(self) -> None:
        good = sign_webhook(SECRET, BODY, now=AT)
        sum = good.partition("v1=")[2]
        for secret, body, signature in (
            ("", BODY, sign_webhook("", BODY, now=AT)), ("other", BODY, good), (SECRET, BODY + b" ", good),
            (SECRET, BODY, ""), (SECRET, BODY, {}), (SECRET, BODY, f"v1={sum}"), (SECRET, BODY, f"t={AT}"),
            (SECRET, BODY, f"t={AT},t={AT},v1={sum}"), (SECRET, BODY, f"t={AT},v1={sum[:-1]}"), (SECRET, BODY, f"t=+{AT},v1={sum}"),
            (SECRET, BODY, f"t={AT},v1={sum}," + "x" * 1024), (SECRET, BODY, f"t=\u0661,v1={sum}"), (SECRET, BODY, f"t={AT + 1},v1={sum}"),
            (SECRET, b"no JSON", sign_webhook(SECRET, b"no JSON", now=AT)), (SECRET, b"[1]", sign_webhook(SECRET, b"[1]", now=AT)),
        ):
            with self.subTest(signature):
                self.assertRaises(WebhookError, verify_webhook, secret, body, signature, now=AT)

    def test_constant_time(self) -> None:
        good = sign_webhook(SECRET, BODY, now=AT)
        with mock.patch("tako_vm.webhooks.hmac.compare_digest", return_value=False) as compare:
            self.assertRaises(WebhookError, verify_webhook, SECRET, BODY, good + good.partition(",")[2].join([",", ""]), now=AT)
        self.assertEqual(compare.call_count, 2)
