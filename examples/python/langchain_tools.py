"""Tako's tools in LangChain, or in any framework that takes Python functions.

    pip install langchain-core

Without LangChain the same functions are called directly. Start a server first:
tako server.
"""

import json

from tako_vm import TakoVM
from tako_vm.tools import Tools

try:
    from langchain_core.tools import StructuredTool
except ImportError:
    StructuredTool = None

with TakoVM.from_env() as tako:  # TAKO_URL and TAKO_API_KEY, else http://localhost:8000
    # Plain functions: names, annotations and docstrings say what a model must know.
    functions = Tools(tako).functions()
    if StructuredTool is not None:
        print("framework: langchain_core")
        # An agent gets these: create_react_agent(model, tools), for instance.
        tools = [StructuredTool.from_function(f) for f in functions]
        run = {t.name: t.invoke for t in tools}
    else:
        print("framework: none, langchain_core is not installed; the functions are called as they are")
        run = {f.__name__: lambda arguments, f=f: f(**arguments) for f in functions}
    print("tools:", ", ".join(run))

    # What the framework does when a model asks for it.
    code = "print(sum(range(101)))\nopen('/output/note.txt', 'w').write('1 to 100')"
    done = json.loads(run["run_code"]({"code": code}))
    print("run_code:", done["status"], done["stdout"].strip())
    note = json.loads(run["read_artifact"]({"execution_id": done["execution_id"], "name": "note.txt"}))
    print("read_artifact:", note["content"])
    print("a mistake:", run["get_execution"]({"execution_id": "none"}))
