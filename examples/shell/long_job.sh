#!/usr/bin/env bash
# long_job.sh: a job that takes its time, watched live. Its output is stored as well, so
# who was away goes on where they left. It needs bash, curl, python3 and tako.
set -euo pipefail

export TAKO_URL=${TAKO_URL:-http://localhost:8000}

api() {
	curl -sS --fail-with-body -K <(echo "${TAKO_API_KEY:+header = \"Authorization: Bearer $TAKO_API_KEY\"}") "$@"
}

cat > job.json <<'JSON'
{
	"code": "import time\nfor n in range(1, 4):\n    print(f'step {n} of 3', flush=True)\n    time.sleep(0.3)",
	"timeout": 60,
	"labels": {"example": "long_job"}
}
JSON
job=$(api "$TAKO_URL/execute/async" --json @job.json | python3 -c 'import json, sys; print(json.load(sys.stdin)["job_id"])')

# Server-Sent Events: lines of id, event and data, and an empty one. curl -N shows each
# at once. The stream ends with the job.
api -N "$TAKO_URL/jobs/$job/events" | tee events.txt | while read -r name value; do
	case $name in
	event:) event=$value ;;
	data:)
		# Output comes in pieces, which need not be lines.
		[ "$event" != stdout ] || python3 -c 'import json, sys; print(json.loads(sys.argv[1])["text"], end="")' "$value"
		;;
	esac
done
grep '^event:' events.txt | tail -n 1

# Lost the connection? The id of the last event that came is where to go on.
second=$(grep '^id:' events.txt | sed -n 2p)
api -N -H "Last-Event-ID: ${second#id: }" "$TAKO_URL/jobs/$job/events" > rest.txt
echo "after the second: $(($(grep -c '^event:' events.txt) - $(grep -c '^event:' rest.txt))) events less"

# The same with the command, which does all of this by itself, over restarts of the server, too.
tako jobs logs -f "$job"

# The label finds the job again.
api -G "$TAKO_URL/executions" --data-urlencode "label=example:long_job" --data limit=1 |
	python3 -c 'import json, sys; print("found:", json.load(sys.stdin)["items"][0]["status"])'
