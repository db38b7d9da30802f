#!/usr/bin/env bash
# quickstart.sh: what most scripts need of a server, by curl and by the tako command.
# Start one first: tako server. It needs bash, curl, python3 (to read JSON) and tako.
set -euo pipefail

export TAKO_URL=${TAKO_URL:-http://localhost:8000}

# api calls the server. The key, if there is one, is no argument: those can be seen by others.
api() {
	curl -sS --fail-with-body -K <(echo "${TAKO_API_KEY:+header = \"Authorization: Bearer $TAKO_API_KEY\"}") "$@"
}

# field prints one field of the JSON on standard input.
field() {
	python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]].rstrip())' "$1"
}

# Code, and what became of it.
api "$TAKO_URL/execute" --json '{"code": "print(6 * 7)"}' > answer.json
field stdout < answer.json

# Code that fails is no failure of the call: the answer says why.
api "$TAKO_URL/execute" --json '{"code": "1 / 0"}' > answer.json
field error < answer.json

# A job in the background, with a file that it reads and one that it leaves.
job=$(api "$TAKO_URL/execute/async" --json '{
	"code": "text = open(\"/input/name.txt\").read()\nprint(\"hello\", text)\nopen(\"/output/upper.txt\", \"w\").write(text.upper())",
	"files": [{"path": "name.txt", "text": "tako"}]
}' | field job_id)
tako jobs logs -f "$job" # its output, as it comes
tako jobs artifacts "$job" --out files > /dev/null
printf 'file: %s\n' "$(< files/upper.txt)"

# A request that cannot be done is refused, with the reason.
if api "$TAKO_URL/execute" --json '{"code": "print(1)", "timeout": -1}' > answer.json 2> curl.txt; then
	echo "a timeout of -1 was taken" >&2
	exit 1
fi
python3 -c 'import json; print("refused:", json.load(open("answer.json"))["detail"][0]["loc"])'
