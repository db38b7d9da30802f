package api

import "net/http"

// What the document says of operations beside their tables: for people who see
// this API for the first time.

const about = `Runs untrusted code in isolated sandboxes, with the job system around it: queue, records, files, events, webhooks.
JSON goes in and out; fields that the tables do not have are refused. A server without keys answers to this machine only;
one with keys wants one of them in X-API-Key, or as Authorization: Bearer. Answers have X-Correlation-ID, yours or a new one.`

// tags are the groups of operations, in the order in which they are read.
func tags() []any {
	var list []any
	for _, t := range [][2]string{
		{"execute", "Run a program: wait for it, or leave it to the queue."},
		{"jobs", "Follow a job, end it, run it again."},
		{"artifacts", "The files that programs leave in /output."},
		{"history", "Records of what ran, and how they belong together."},
		{"batches", "Many jobs as one."},
		{"job types", "Names for limits, packages, images, networks and secrets of jobs."},
		{"webhooks", "What was told to whom."},
		{"dead letters", "Jobs that the server had to give up."},
		{"keys", "Who may call, and what for."},
		{"secrets", "Values that jobs use and do not see."},
		{"server", "How the server is."},
	} {
		list = append(list, object{"name": t[0], "description": t[1]})
	}
	return list
}

// description is what is said of an operation, with a request as an example,
// where it has a body.
type description struct{ text, example string }

// described has every operation by its name.
func described() map[string]description {
	all := map[string]description{}
	for _, part := range []map[string]description{executeDescriptions(), historyDescriptions(), typeDescriptions(), operateDescriptions()} {
		for name, d := range part {
			all[name] = d
		}
	}
	return all
}

func executeDescriptions() map[string]description {
	return map[string]description{
		"execute": {"Runs a program in a fresh sandbox and answers whatever its end was: success says whether it exited with 0. The job type of the request gives what the request leaves out.",
			`{"code": "import json\nprint(json.load(open('/input/data.json'))['name'])", "input_data": {"name": "tako"}, "timeout": 10}`},
		"submit": {"Stores the job and answers at once. An answered job_id is on disk: the job runs also if the server dies meanwhile. Follow it with /jobs/{job_id}/events, or wait with /jobs/{job_id}/result?wait=true.",
			`{"code": "print('later')", "idempotency_key": "order-4711", "labels": {"team": "search"}}`},
		"upload":     {"Requests name it by its id, in files[].upload, for 24 hours. It may have up to api_max_upload_bytes (100 MiB by default).", ""},
		"job_status": {"Without its output, which its result has. pending is a job that waits in the queue, with its place there.", ""},
		"delete_job": {"Removes a job that has ended, with its record, events and files. Cancel one that runs first.", ""},
		"job_result": {"The record as it is now, or, with wait, when the job has ended. One that has not ended by timeout is 408; ask again.", ""},
		"cancel_job": {"Ends a job that waits or runs: its sandbox is destroyed at once, and its program is not asked first. What it printed is kept; what is in /output is not.", ""},
		"rerun_job":  {"A new job with the code, the input, the files, the environment and the limits of one that has ended.", `{"timeout": 120}`},
		"fork_job":   {"A new job with other code and the input, the files and the limits of one that has ended.", `{"code": "print(open('/input/data.json').read())"}`},
		"job_events": {"Server-Sent Events (text/event-stream). event is one of status, stdout, stderr, artifact, build, truncated and end; data is JSON with ts, attempt and, for output, text, or b64 where the bytes are not UTF-8. " +
			"id is where to go on after a break: send it as Last-Event-ID or after; that works through restarts of the server, too. Events are kept as long as the record, up to max_event_log_bytes a job (10 MiB by default). A comment comes every 15 seconds.", ""},
		"list_artifacts": {"Name, size, SHA-256 and type of every file that the program left in /output, also in folders.", ""},
		"zip_artifacts":  {"All of them in one zip file, under their names.", ""},
		"get_artifact":   {"The bytes of one file. Range is honoured (206), also with If-Range; with If-None-Match of its ETag, which is its SHA-256, the answer is 304 where you have it already.", ""},
		"head_artifact":  {"The headers that GET would have, without the bytes.", ""},
		"submit_batch": {"Stores up to 1,000 jobs, all or none: one item that is wrong is 422 with its index in loc. They are fed into the queue as there is room. One webhook tells of the end of the batch.",
			`{"items": [{"code": "print(1)"}, {"code": "print(2)", "priority": 1}], "labels": {"night": "2026-11-24"}, "idempotency_key": "night-20261124"}`},
		"get_batch":     {"How many of its jobs stand where.", ""},
		"batch_results": {"The records of its jobs as /executions has them, but in the order of the items.", ""},
		"cancel_batch":  {"Ends the jobs that have not ended, those that wait and those that run.", ""},
	}
}

func historyDescriptions() map[string]description {
	return map[string]description{
		"list_executions": {"Records of sync and async jobs, kept for execution_record_ttl_days (30 by default). A key without the scope admin sees its own.", ""},
		"get_execution":   {"The record: slim, or with view=full all of it, with the cause of its end, every attempt, artifacts and what it used.", ""},
		"lineage":         {"The rerun and fork relations of an execution, in both directions.", ""},
		"diff":            {"What two executions were given, where they ran and what came of it, as far as they differ.", ""},
		"list_deliveries": {"What became of webhooks: each is retried with growing pauses for 24 hours, until it is answered with 2xx. The header Tako-Signature of a webhook is t=<seconds since 1970>,v1=<HMAC-SHA256 of \"<t>.<body>\" in hexadecimal>.", ""},
	}
}

func typeDescriptions() map[string]description {
	return map[string]description{
		"list_job_types": {"Those of the configuration, of job_types.json and of this API, by name. default is what a request without job_type has.", ""},
		"get_job_type":   {"Its limits, its network, its packages, and whether it is built.", ""},
		"create_job_type": {"A name for limits, packages, image, network and secrets of jobs. Its packages are installed by a build, or by its first job. A name that is taken is 409.",
			`{"requirements": ["pandas>=2"], "timeout": 60, "memory_limit": "1g", "network": {"mode": "allow", "allow": ["*.example.com"]}}`},
		"replace_job_type":  {"As POST, but what the name meant before is replaced. Types of the configuration and of job_types.json are changed there.", `{"timeout": 120, "env": {"MODEL": "small"}}`},
		"delete_job_type":   {"Removes a type that was made over this API. Jobs that were accepted keep what they were given.", ""},
		"build_job_type":    {"Installs its packages anew and makes a version, which job_type: name@tag or name@sha256:digest selects from then on. It may take minutes; with follow the log comes meanwhile.", ""},
		"job_type_versions": {"Every version that was built and is still there.", ""},
		"build_log":         {"The log of the installers, as text.", ""},
		"build_lock":        {"Versions and hashes of all that it installed, as lock files: a requirements.txt, and a package-lock.json.", ""},
	}
}

func operateDescriptions() map[string]description {
	return map[string]description{
		"dlq_stats":  {"Dead letters are jobs that the server gave up: engine or host failed in every attempt, or it was interrupted more than 5 times. A program that fails is none.", ""},
		"list_dlq":   {"What was given up, and why; kept for dlq_ttl_days (30 by default).", ""},
		"delete_dlq": {"Forgets the entry. The record of the job stays.", ""},
		"replay_dlq": {"Submits the job again, as it was, and removes the entry.", ""},
		"list_keys":  {"Keys that were made here or with tako keys; those of the configuration are not among them.", ""},
		"create_key": {"The key and the secret of its webhooks are in this answer and nowhere else. Its holder sees only what was made with it, unless it has the scope admin.",
			`{"name": "agent", "scopes": ["read", "execute"], "expires_at": "2027-01-01T00:00:00Z"}`},
		"delete_key":    {"Nobody is let in with it any more, on every server within 15 seconds.", ""},
		"list_secrets":  {"Names, and when they were changed. Values are never answered.", ""},
		"set_secret":    {"A job type binds it to a host and a header (secrets). Programs see a placeholder; the value takes its place in requests by HTTPS to that host. A change holds for jobs that start after it.", `{"value": "sk-live-0123456789"}`},
		"delete_secret": {"Jobs of types that bind it fail from then on.", ""},
		"pool_stats":    {"Jobs that run and wait, and the sandboxes that wait for jobs on the server that answers.", ""},
		"health":        {"For people and old clients: 200 while the server is there, degraded where its engine fails.", ""},
		"ready":         {"For load balancers: 503 while it starts or stops, and where new work cannot be stored.", ""},
		"metrics":       {"Counters and histograms in the text format of Prometheus.", ""},
	}
}

// pathWords say what a path names.
func pathWords() map[string]string {
	return map[string]string{
		"job_id": "id of a job", "execution_id": "id of an execution, which is that of its job", "other": "id of the execution to compare with",
		"batch_id": "id of a batch", "build_id": "id of a build: 12 hexadecimal digits", "entry_id": "id of a dead letter", "key_id": "id of a key, which is not the key",
		"name": "the name",
	}
}

// everyFailure is what a status says on every route.
func everyFailure() map[int]string {
	return map[int]string{
		http.StatusBadRequest:            "The body cannot be read: a broken form, nested too deeply",
		http.StatusUnauthorized:          "No API key, or one that is not known or has ended",
		http.StatusForbidden:             "The key lacks the scope; or, without keys, a foreign Host or Origin",
		http.StatusRequestTimeout:        "The body came too slowly",
		http.StatusRequestEntityTooLarge: "The body is larger than api_max_payload_bytes (2 MiB by default), or a form than api_max_upload_bytes (100 MiB)",
		http.StatusUnsupportedMediaType:  "The body is neither application/json nor multipart/form-data",
		http.StatusUnprocessableEntity:   "The request does not hold against its table, or the configuration does not allow it",
		http.StatusTooManyRequests:       "Too many calls with this key or from this address; Retry-After says how many seconds to wait",
		http.StatusInternalServerError:   "A defect, or the engine failed; the log of the server has more by the correlation id",
	}
}

// means is what a status says on this route.
func (r *route) means(status int) string {
	or := func(texts ...string) string {
		for _, t := range texts {
			if t != "" {
				return t
			}
		}
		return http.StatusText(status)
	}
	switch status {
	case http.StatusPartialContent:
		return "The part that Range asked for"
	case http.StatusNotModified:
		return "It is what you have: If-None-Match has its ETag"
	case http.StatusBadRequest:
		return or(r.words.notEnded, everyFailure()[status])
	case http.StatusNotFound:
		return or(r.words.ended, r.words.notFound, "There is no such "+singular(r.tag))
	case http.StatusRequestTimeout:
		return "The job has not ended within timeout"
	case http.StatusConflict:
		if r.tag == "job types" {
			return "There is a job type of that name"
		}
		return "Idempotency key reused with different payload"
	case http.StatusPreconditionFailed:
		return "The file is not the one that If-Match or If-Unmodified-Since asked for"
	case http.StatusRequestedRangeNotSatisfiable:
		return "The range is not within the file"
	case http.StatusNotImplemented:
		return "This server cannot have such a job type"
	case http.StatusServiceUnavailable:
		return or(r.words.away, map[bool]string{true: "Not ready: it starts, it stops, or it cannot store new work"}[r.open], "The queue or the disk is full, or the server is stopping")
	}
	return or()
}

// singular is a tag without its s.
func singular(tag string) string { return tag[:len(tag)-1] }
