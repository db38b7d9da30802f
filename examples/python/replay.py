"""A job failed: look at it, run it with mended code, compare, run it again.

The server keeps of each job what it was made of: code, input, files, limits and
the digest of its environment. fork() takes all of it but the code, rerun() all.

Start a server first: tako server.
"""

from tako_vm import TakoVM

CODE = """
import json
order = json.load(open("/input/data.json"))
print("total:", order["price"] * order["amount"])
"""

with TakoVM.from_env() as tako:  # TAKO_URL and TAKO_API_KEY, else http://localhost:8000
    failed = tako.submit_code(CODE, {"price": 2.5, "count": 4})
    record = tako.wait(failed)  # the full record, once it has ended
    print("first:", record["status"], "by", record["ended_by"]["actor"])
    print("why:", record["error"]["message"])

    # The same input with other code.
    mended = tako.fork(failed, CODE.replace("amount", "count"))
    record = tako.wait(mended)
    print("fork:", record["status"], record["stdout"].strip())
    if record["status"] != "succeeded":
        raise SystemExit(record["stderr"])

    differences = {d["field"]: d for d in tako.diff(failed, mended)["differences"]}
    print("input differs:", "inputs.input" in differences)
    for field in ("status", "exit_code"):
        print(f"{field}: {differences[field]['left']} -> {differences[field]['right']}")

    # The same again: is it the code, or was it luck?
    again = tako.rerun(mended)
    print("rerun:", tako.wait(again)["stdout"].strip())
    print("it comes from:", [a["status"] for a in tako.lineage(again)["ancestors"]])
