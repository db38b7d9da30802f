#!/usr/bin/env bash
# replay.sh: a job failed. What is on its record, other code with the very same input, and
# what came out differently. It needs bash, curl, python3 and tako.
set -euo pipefail

export TAKO_URL=${TAKO_URL:-http://localhost:8000}

api() {
	curl -sS --fail-with-body -K <(echo "${TAKO_API_KEY:+header = \"Authorization: Bearer $TAKO_API_KEY\"}") "$@"
}

cat > job.json <<'JSON'
{
	"code": "import json\nprices = json.load(open('/input/data.json'))['prices']\nprint('sum:', sum(int(p) for p in prices))",
	"input_data": {"prices": ["3", "4", "none"]}
}
JSON
job=$(api "$TAKO_URL/execute/async" --json @job.json | python3 -c 'import json, sys; print(json.load(sys.stdin)["job_id"])')

# The record says what ran, in which environment, how it ended and who ended it.
api "$TAKO_URL/jobs/$job/result?wait=true&view=full" > record.json
python3 <<'PYTHON'
import json

record = json.load(open("record.json"))
print(f"{record['status']}, ended by {record['ended_by']['actor']}: {record['error']['message']}")
PYTHON

# Other code; input, files, environment and limits are those of the job.
cat > mended.py <<'PYTHON'
import json
prices = json.load(open('/input/data.json'))['prices']
print('sum:', sum(int(p) for p in prices if p.isdigit()))
PYTHON
fork=$(tako jobs fork "$job" --code mended.py)
tako jobs logs -f "$fork"

# What the two do not share.
api "$TAKO_URL/executions/$job/diff/$fork" > diff.json
python3 <<'PYTHON'
import json

for d in json.load(open("diff.json"))["differences"]:
    if d["field"] in ("status", "exit_code"):
        print(f"{d['field']}: {d['left']} -> {d['right']}")
PYTHON

# The fork remembers what it came from.
api "$TAKO_URL/executions/$fork/lineage" | python3 -c 'import json, sys; print("came from a job that", json.load(sys.stdin)["ancestors"][0]["status"])'
