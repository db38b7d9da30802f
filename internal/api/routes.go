package api

import (
	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

// What routes say of what is not there.
func jobWords() words { return words{notFound: "Job not found"} }

func viewParam() schema.Field {
	return text("view", "full for every field; anything else is the slim record")
}

// routes are all operations.
func (a *API) routes() []route {
	var all []route
	for _, part := range [][]route{a.executeRoutes(), a.jobRoutes(), a.historyRoutes(), a.batchRoutes(), a.jobTypeRoutes(), a.adminRoutes(), a.secretRoutes(), a.serverRoutes(), a.pageRoutes()} {
		all = append(all, part...)
	}
	return all
}

func (a *API) executeRoutes() []route {
	return []route{
		{method: "POST", pattern: "/execute", name: "execute", tag: "execute", summary: "Run code and wait for its end",
			scope: job.ScopeExecute, body: &a.tables.execute, multipart: true, answer: wire.ExecuteResponse{}, errors: []int{404, 409, 503},
			words: words{notFound: "Input file not found", failed: "Execution error: "}, handle: (*call).execute},
		{method: "POST", pattern: "/execute/async", name: "submit", tag: "execute", summary: "Submit code to the queue",
			scope: job.ScopeExecute, body: &a.tables.execute, multipart: true, answer: wire.Submitted{}, errors: []int{404, 409, 503},
			words: words{notFound: "Input file not found", failed: "Submit error: "}, handle: (*call).submit},
		{method: "POST", pattern: "/uploads", name: "upload", tag: "execute", summary: "Store a file for a job that comes later; kept a day",
			scope: job.ScopeExecute, multipart: true, answer: wire.Upload{}, errors: []int{503},
			words: words{away: "The server cannot store files now, try again later"}, handle: (*call).upload},
	}
}

func (a *API) jobRoutes() []route {
	ended := jobWords()
	ended.ended = "Job not found or already completed"
	ended.notFound = ended.ended
	rerun, fork, purge := jobWords(), jobWords(), jobWords()
	rerun.notEnded = "Cannot rerun job that hasn't completed"
	fork.notEnded = "Cannot fork job that hasn't completed"
	purge.notEnded = "Cannot delete job that hasn't completed"
	wait := between(schema.Float, 1, 300, "seconds to wait; 408 where the job has not ended by then")
	wait.Null, wait.Default = false, 30.0
	after := schema.Type{Kind: schema.String, Pattern: cursorPattern(), Doc: "begin after the event with this id; the header Last-Event-ID says it, too"}
	return []route{
		{method: "GET", pattern: "/jobs/{job_id}", name: "job_status", tag: "jobs", summary: "Where a job stands",
			scope: job.ScopeRead, answer: wire.JobStatus{}, errors: []int{404}, words: jobWords(), handle: (*call).jobStatus},
		{method: "DELETE", pattern: "/jobs/{job_id}", name: "delete_job", tag: "jobs", summary: "Remove a finished job: record, events, files",
			scope: job.ScopeExecute, answer: wire.Done{}, errors: []int{400, 404}, words: purge, handle: (*call).deleteJob},
		{method: "GET", pattern: "/jobs/{job_id}/result", name: "job_result", tag: "jobs", summary: "The record of a job, now or when it has ended",
			scope: job.ScopeRead, answer: anyRecord{}, errors: []int{404, 408}, words: jobWords(), handle: (*call).jobResult,
			query: []schema.Field{field("wait", schema.Type{Kind: schema.Bool, Default: false, Doc: "wait for its end, up to timeout"}), field("timeout", wait), viewParam()}},
		{method: "POST", pattern: "/jobs/{job_id}/cancel", name: "cancel_job", tag: "jobs", summary: "End a job",
			scope: job.ScopeExecute, answer: wire.Done{}, errors: []int{404}, words: ended, handle: (*call).cancelJob},
		{method: "POST", pattern: "/jobs/{job_id}/rerun", name: "rerun_job", tag: "jobs", summary: "Run a job again",
			scope: job.ScopeExecute, body: &a.tables.rerun, answer: wire.Submitted{}, errors: []int{400, 404, 503}, words: rerun, handle: (*call).rerunJob},
		{method: "POST", pattern: "/jobs/{job_id}/fork", name: "fork_job", tag: "jobs", summary: "Run other code with a job's input",
			scope: job.ScopeExecute, body: &a.tables.fork, answer: wire.Submitted{}, errors: []int{400, 404, 503}, words: fork, handle: (*call).forkJob},
		{method: "GET", pattern: "/jobs/{job_id}/events", name: "job_events", tag: "jobs", summary: "What a job does and says, as it happens",
			scope: job.ScopeRead, media: "text/event-stream", errors: []int{404}, words: jobWords(), handle: (*call).events,
			query: []schema.Field{field("after", after), field("follow", schema.Type{Kind: schema.Bool, Default: true, Doc: "go on until the job ends; false ends at the last stored event"})}},
		{method: "GET", pattern: "/jobs/{job_id}/artifacts", name: "list_artifacts", tag: "artifacts", summary: "The files that a job left",
			scope: job.ScopeRead, answer: wire.ArtifactList{}, errors: []int{404}, words: jobWords(), handle: (*call).listArtifacts},
		{method: "GET", pattern: "/jobs/{job_id}/artifacts.zip", name: "zip_artifacts", tag: "artifacts", summary: "All files that a job left",
			scope: job.ScopeRead, media: "application/zip", errors: []int{404}, words: jobWords(), handle: (*call).zipArtifacts},
		{method: "GET", pattern: "/jobs/{job_id}/artifacts/{name...}", name: "get_artifact", tag: "artifacts", summary: "A file that a job left",
			scope: job.ScopeRead, media: "application/octet-stream", errors: []int{206, 304, 404, 412, 416}, words: jobWords(), handle: (*call).artifact},
		{method: "HEAD", pattern: "/jobs/{job_id}/artifacts/{name...}", name: "head_artifact", tag: "artifacts", summary: "Size, type and ETag of a file",
			scope: job.ScopeRead, media: "application/octet-stream", errors: []int{304, 404, 412}, words: jobWords(), handle: (*call).artifact},
	}
}

func (a *API) historyRoutes() []route {
	w := words{notFound: "Execution not found"}
	label := field("label", schema.Type{Kind: schema.List, Items: &schema.Type{Kind: schema.String}, Doc: "only those with this label, as key:value; may be there again, and then all have to match"})
	return []route{
		{method: "GET", pattern: "/executions", name: "list_executions", tag: "history", summary: "Executions, newest first",
			scope: job.ScopeRead, answer: wire.Page[wire.Record]{}, handle: (*call).listExecutions,
			query: pageParams(field("status", schema.Type{Kind: schema.String, Doc: "only those with this status: queued, running, succeeded, failed, timeout, oom or cancelled"}), text("job_type", "only those of this job type"), label, viewParam())},
		{method: "GET", pattern: "/executions/{execution_id}", name: "get_execution", tag: "history", summary: "An execution",
			scope: job.ScopeRead, answer: anyRecord{}, errors: []int{404}, words: w, handle: (*call).getExecution, query: []schema.Field{viewParam()}},
		{method: "GET", pattern: "/executions/{execution_id}/lineage", name: "lineage", tag: "history", summary: "What it came from and what came of it",
			scope: job.ScopeRead, answer: wire.Lineage{}, errors: []int{404}, words: w, handle: (*call).lineage},
		{method: "GET", pattern: "/executions/{execution_id}/diff/{other}", name: "diff", tag: "history", summary: "What two executions do not share",
			scope: job.ScopeRead, answer: wire.Diff{}, errors: []int{404}, words: w, handle: (*call).diff},
	}
}

func (a *API) batchRoutes() []route {
	w := words{notFound: "Batch not found", ended: "Batch not found or already completed"}
	return []route{
		{method: "POST", pattern: "/batches", name: "submit_batch", tag: "batches", summary: "Submit up to 1,000 jobs",
			scope: job.ScopeExecute, body: &a.tables.batch, answer: wire.BatchSubmitted{}, errors: []int{404, 409, 503},
			words: words{notFound: "Input file not found"}, handle: (*call).submitBatch},
		{method: "GET", pattern: "/batches/{batch_id}", name: "get_batch", tag: "batches", summary: "Where a batch stands",
			scope: job.ScopeRead, answer: wire.Batch{}, errors: []int{404}, words: w, handle: (*call).getBatch},
		{method: "GET", pattern: "/batches/{batch_id}/results", name: "batch_results", tag: "batches", summary: "The records of a batch, in the order of its items",
			scope: job.ScopeRead, answer: wire.Page[wire.Record]{}, errors: []int{404}, words: w, handle: (*call).batchResults, query: pageParams(viewParam())},
		{method: "POST", pattern: "/batches/{batch_id}/cancel", name: "cancel_batch", tag: "batches", summary: "End what is left of a batch",
			scope: job.ScopeExecute, answer: wire.Batch{}, errors: []int{404}, words: w, handle: (*call).cancelBatch},
	}
}

func (a *API) jobTypeRoutes() []route {
	build := words{failed: "Build failed: "}
	follow := field("follow", schema.Type{Kind: schema.Bool, Default: false,
		Doc: "answer at once with events (text/event-stream): log, as the build says it, then end with the answer, or error with its detail"})
	tag := field("version_tag", schema.Type{Kind: schema.String, MaxLen: 64, Pattern: tagPattern(), Doc: "a name for the version, which job_type: name@tag selects"})
	return []route{
		{method: "GET", pattern: "/job-types", name: "list_job_types", tag: "job types", summary: "Job types",
			scope: job.ScopeRead, answer: []wire.JobType{}, handle: (*call).listJobTypes},
		{method: "GET", pattern: "/job-types/{name}", name: "get_job_type", tag: "job types", summary: "A job type",
			scope: job.ScopeRead, answer: wire.JobType{}, errors: []int{404}, handle: (*call).getJobType},
		{method: "POST", pattern: "/job-types/{name}", name: "create_job_type", tag: "job types", summary: "Make a job type",
			scope: job.ScopeAdmin, body: &a.tables.jobType, answer: wire.JobType{}, errors: []int{409, 501}, handle: (*call).createJobType},
		{method: "PUT", pattern: "/job-types/{name}", name: "replace_job_type", tag: "job types", summary: "Make or replace a job type",
			scope: job.ScopeAdmin, body: &a.tables.jobType, answer: wire.JobType{}, errors: []int{501}, handle: (*call).replaceJobType},
		{method: "DELETE", pattern: "/job-types/{name}", name: "delete_job_type", tag: "job types", summary: "Remove a job type",
			scope: job.ScopeAdmin, answer: wire.JobTypeRemoved{}, errors: []int{404, 501}, handle: (*call).deleteJobType},
		{method: "POST", pattern: "/job-types/{name}/build", name: "build_job_type", tag: "job types", summary: "Build a job type and wait for it",
			scope: job.ScopeAdmin, answer: wire.Build{}, errors: []int{404}, words: build, handle: (*call).buildJobType, query: []schema.Field{tag, follow}},
		{method: "GET", pattern: "/job-types/{name}/versions", name: "job_type_versions", tag: "job types", summary: "The builds of a job type, newest first",
			scope: job.ScopeRead, answer: []wire.JobTypeVersion{}, errors: []int{404}, handle: (*call).jobTypeVersions},
		{method: "GET", pattern: "/job-types/{name}/builds/{build_id}/log", name: "build_log", tag: "job types", summary: "What a build said",
			scope: job.ScopeRead, media: "text/plain; charset=utf-8", errors: []int{404}, words: words{notFound: "Build not found"}, handle: (*call).buildLog},
		{method: "GET", pattern: "/job-types/{name}/builds/{build_id}/lock", name: "build_lock", tag: "job types", summary: "What exactly a build installed",
			scope: job.ScopeRead, answer: wire.Lock{}, errors: []int{404}, words: words{notFound: "Build not found, or it has no packages"}, handle: (*call).buildLock},
	}
}

func (a *API) adminRoutes() []route {
	letter := words{notFound: "DLQ entry not found", notEnded: "Cannot replay job that hasn't completed"}
	entry := []schema.Field{field("entry_id", schema.Type{Kind: schema.Integer, Doc: "id of a dead letter"})}
	return []route{
		{method: "GET", pattern: "/dlq/stats", name: "dlq_stats", tag: "dead letters", summary: "How many dead letters there are",
			scope: job.ScopeAdmin, answer: wire.DLQStats{}, handle: (*call).deadLetterStats},
		{method: "GET", pattern: "/dlq", name: "list_dlq", tag: "dead letters", summary: "Dead letters, newest first",
			scope: job.ScopeAdmin, answer: wire.Page[wire.DeadLetter]{}, handle: (*call).deadLetters, query: pageParams(text("error_type", "only those with this type of error"))},
		{method: "DELETE", pattern: "/dlq/{entry_id}", name: "delete_dlq", tag: "dead letters", summary: "Remove a dead letter", path: entry,
			scope: job.ScopeAdmin, answer: wire.DeadLetterRemoved{}, errors: []int{404}, words: letter, handle: (*call).deleteDeadLetter},
		{method: "POST", pattern: "/dlq/{entry_id}/replay", name: "replay_dlq", tag: "dead letters", summary: "Submit the job of a dead letter again", path: entry,
			scope: job.ScopeAdmin, answer: wire.Submitted{}, errors: []int{400, 404, 503}, words: letter, handle: (*call).replayDeadLetter},
		{method: "GET", pattern: "/keys", name: "list_keys", tag: "keys", summary: "Stored API keys",
			scope: job.ScopeAdmin, answer: []wire.Key{}, handle: (*call).listKeys},
		{method: "POST", pattern: "/keys", name: "create_key", tag: "keys", summary: "Make an API key; it is shown this once",
			scope: job.ScopeAdmin, body: &a.tables.key, answer: wire.CreatedKey{}, handle: (*call).createKey},
		{method: "DELETE", pattern: "/keys/{key_id}", name: "delete_key", tag: "keys", summary: "Remove an API key",
			scope: job.ScopeAdmin, answer: wire.KeyRemoved{}, errors: []int{404}, words: words{notFound: "Key not found"}, handle: (*call).deleteKey},
		{method: "GET", pattern: "/deliveries", name: "list_deliveries", tag: "webhooks", summary: "Webhooks, newest first",
			scope: job.ScopeRead, answer: wire.Page[wire.Delivery]{}, words: jobWords(), errors: []int{404}, handle: (*call).deliveries,
			query: pageParams(text("job_id", "only those of this job or batch"))},
	}
}

func (a *API) serverRoutes() []route {
	routes := []route{
		{method: "GET", pattern: "/pool/stats", name: "pool_stats", tag: "server", summary: "What runs and waits",
			scope: job.ScopeRead, answer: wire.PoolStats{}, handle: (*call).poolStats},
		{method: "GET", pattern: "/health", name: "health", tag: "server", summary: "How the server is",
			open: true, answer: wire.Health{}, errors: []int{503}, handle: (*call).health},
		{method: "GET", pattern: "/ready", name: "ready", tag: "server", summary: "Whether the server takes work",
			open: true, answer: wire.Readiness{}, errors: []int{503}, handle: (*call).ready},
		{method: "GET", pattern: "/metrics", name: "metrics", tag: "server", summary: "Metrics for Prometheus",
			scope: job.ScopeRead, media: "text/plain; charset=utf-8", handle: (*call).metrics},
	}
	if a.options.MCP == nil {
		return routes
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		routes = append(routes, route{method: method, pattern: "/mcp", scope: job.ScopeRead, hidden: true, handle: (*call).mcp})
	}
	return routes
}
