"""Many jobs at once: a batch.

All of it is stored or none, and it runs as slots are free. Results come in the
order of the items. A job that fails says why and keeps no other from running.

Start a server first: tako server.
"""

from tako_vm import JobRequest, TakoVM

CODE = """
import json
n = json.load(open("/input/data.json"))["n"]
print(f"{n}: {840 // (n - 5)}")
"""

with TakoVM.from_env() as tako:  # TAKO_URL and TAKO_API_KEY, else http://localhost:8000
    batch = tako.submit_batch([JobRequest(CODE, {"n": n}) for n in range(1, 9)], labels={"example": "fan-out"})
    done = tako.wait_batch(batch, timeout=120)
    print(done["status"], done["counts"])
    for record in tako.iter_batch_results(batch):  # page by page
        if record["status"] == "succeeded":
            print(record["stdout"], end="")
        else:
            print(record["status"] + ":", record["error"]["message"])
