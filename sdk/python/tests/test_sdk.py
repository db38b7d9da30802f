"""The modules that Tako VM's programs import its client from."""

from __future__ import annotations

import subprocess
import sys
import unittest

import tako_vm
import tako_vm.sdk
import tako_vm.sdk.client
from tako_vm import functions

from .stub import Answer, StubCase
from .test_surface import CALLS

CLIENT = {
    "TakoVM", "ExecutionResult", "TakoVMError", "TransportError", "APIError", "ServerError", "ClientError", "SDKExecutionError",
    "ExecutionError", "MalformedResponseError", "ValidationError",
}


class Sdk(StubCase):
    def test_the_whole_client_and_the_same(self) -> None:
        for module in (tako_vm.sdk, tako_vm.sdk.client):
            self.assertEqual(set(module.__all__), CLIENT | set(CALLS))
            for name in module.__all__:
                self.assertIs(getattr(module, name), getattr(tako_vm, name), name)

    def test_each_can_be_the_first_import(self) -> None:
        for program in (
            "from tako_vm.sdk.client import TakoVM; TakoVM('http://localhost:1').close()",
            "from tako_vm.sdk import *; configure('http://localhost:1'); ClientError, send",
            "import tako_vm.sdk.client as c; c.TakoVM",
        ):
            subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

    def test_its_functions_use_the_one_configured_client(self) -> None:
        stub, _ = self.serve(Answer(200, {"pending": 3}))
        before = functions._client
        self.addCleanup(setattr, functions, "_client", before)
        tako_vm.sdk.client.configure(base_url=stub.url)
        self.assertEqual(tako_vm.pool_stats(), {"pending": 3})


if __name__ == "__main__":
    unittest.main()
