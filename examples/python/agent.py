"""An agent that runs code, sees that it fails, and mends it.

The model here follows a script, so that the example needs no key and says the
same each time. With a real one, think() is a call of its API: chat completions
take the messages and tools as they are here.

Start a server first: tako server.
"""

import json
from typing import Any, Dict, List

from tako_vm import TakoVM
from tako_vm.tools import Tools

Message = Dict[str, Any]

TASK = "What is the mean of the prices 3.50, 4.25 and 5.75?"
FIRST = "import statistics\nprices = '3.50 4.25 5.75'.split()\nprint(statistics.mean(prices))"
MENDED = FIRST.replace("print", "prices = [float(p) for p in prices]\nprint")


def think(messages: List[Message], tools: List[Dict[str, Any]]) -> Message:
    """Stands for the model: it answers what to run next, or what it found out."""
    last = messages[-1]
    if last["role"] != "tool":
        return run(FIRST)
    result = json.loads(last["content"])
    if result["status"] != "succeeded":
        return run(MENDED)  # a model reads result["stderr"] for this
    return {"role": "assistant", "content": f"The mean is {result['stdout'].strip()}."}


def run(code: str) -> Message:
    """What a model says that wants code to be run."""
    function = {"name": "run_code", "arguments": json.dumps({"code": code})}
    return {"role": "assistant", "tool_calls": [{"id": "call-1", "type": "function", "function": function}]}


with TakoVM.from_env() as tako:  # TAKO_URL and TAKO_API_KEY, else http://localhost:8000
    tools = Tools(tako)
    messages: List[Message] = [{"role": "user", "content": TASK}]
    print("user:", TASK)
    for _ in range(5):  # a model that never comes to an end does here
        message = think(messages, tools.openai())
        messages.append(message)
        if "tool_calls" not in message:
            print("model:", message["content"])
            break
        for call in message["tool_calls"]:
            print("model: runs code")
            # Text for the model, whatever it asked for: bad arguments are
            # answered in words, code that fails with its error.
            text = tools.call(call["function"]["name"], call["function"]["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
            result = json.loads(text)
            print("sandbox:", result["error"]["message"] if "error" in result else result["status"])
    else:
        raise SystemExit("the model gave no answer")
