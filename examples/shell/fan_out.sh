#!/usr/bin/env bash
# fan_out.sh: many jobs at once, as a batch: all are accepted or none, and their results
# come in the order of the items. It needs bash, curl and python3.
set -euo pipefail

TAKO_URL=${TAKO_URL:-http://localhost:8000}

api() {
	curl -sS --fail-with-body -K <(echo "${TAKO_API_KEY:+header = \"Authorization: Bearer $TAKO_API_KEY\"}") "$@"
}

# One item for each text; the third has none to count.
python3 > batch.json <<'PYTHON'
import json

code = """
import json
text = json.load(open("/input/data.json"))["text"]
json.dump({"words": len(text.split())}, open("/output/result.json", "w"))
"""
texts = ["one two three", "one", None, "one two"]
print(json.dumps({"items": [{"code": code, "input_data": {"text": t}} for t in texts]}))
PYTHON

batch=$(api "$TAKO_URL/batches" --json @batch.json | python3 -c 'import json, sys; print(json.load(sys.stdin)["batch_id"])')

# Ask until it is finished. (A webhook_url in the batch would be told instead.)
status=running
until [ "$status" = finished ]; do
	sleep 0.2
	api "$TAKO_URL/batches/$batch" > state.json
	status=$(python3 -c 'import json; print(json.load(open("state.json"))["status"])')
done

# A job that fails does not keep the others from their end.
api "$TAKO_URL/batches/$batch/results" > results.json
python3 <<'PYTHON'
import json

print("counts:", json.load(open("state.json"))["counts"])
for n, record in enumerate(json.load(open("results.json"))["items"]):
    print(n, record["status"], record["output"] or record["error"]["message"])
PYTHON
