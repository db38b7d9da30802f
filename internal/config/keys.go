package config

import "strings"

// configRows is the table of keys, in the order of the docs.
func configRows() []row[Config] {
	parts := [][]row[Config]{serverRows(), queueRows(), outputRows(), timeRows(), mostRows(), dependencyRows(), sessionRows(), isolationRows(), limitRows()}
	var rows []row[Config]
	for _, p := range parts {
		rows = append(rows, p...)
	}
	return append(rows, row[Config]{
		name: "job_types", at: func(c *Config) any { return &c.JobTypes }, defDoc: "[]",
		doc: "named environments with limits of their own",
	})
}

func serverRows() []row[Config] {
	return []row[Config]{
		{name: "production_mode", def: false, at: func(c *Config) any { return &c.ProductionMode },
			doc: "an unknown job type fails instead of running as the default one"},
		{name: "log_level", def: "INFO", at: func(c *Config) any { return &c.LogLevel },
			rule: oneOf("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), fold: strings.ToUpper,
			doc: "what is logged"},
		{name: "log_format", def: "text", at: func(c *Config) any { return &c.LogFormat },
			rule: oneOf("text", "json"), fold: strings.ToLower, doc: "how lines of the log are written"},
		{name: "server_host", def: "127.0.0.1", at: func(c *Config) any { return &c.ServerHost },
			rule: matching(`[^\s\x00]{1,255}`, "a host name or address"),
			doc:  "address the server listens on; beyond loopback it needs authentication"},
		{name: "allow_unauthenticated_network_access", env: "TAKO_VM_ALLOW_UNAUTHENTICATED_NETWORK_ACCESS", def: false,
			at:  func(c *Config) any { return &c.AllowUnauthenticated },
			doc: "listen beyond loopback without authentication"},
		{name: "server_port", def: 8000, at: func(c *Config) any { return &c.ServerPort },
			rule: between(1, 65535), doc: "TCP port the server listens on"},
		{name: "server_socket", env: "TAKO_VM_SERVER_SOCKET", at: func(c *Config) any { return &c.ServerSocket }, nullable: true, defDoc: "none: TCP",
			rule: optional(matching(`/[^\x00]{0,87}`, "an absolute path of at most 88 bytes")),
			doc:  "Unix socket to listen on instead of TCP, for this user alone; clients name it as unix:///path"},
		{name: "api_max_payload_bytes", env: "TAKO_VM_API_MAX_PAYLOAD_BYTES", def: 2097152,
			at:   func(c *Config) any { return &c.APIMaxPayloadBytes },
			rule: between(1024, 104857600), doc: "bytes of a JSON body"},
		{name: "api_max_upload_bytes", def: 104857600,
			at:   func(c *Config) any { return &c.APIMaxUploadBytes },
			rule: between(1024, 10737418240), doc: "bytes of a multipart body"},
		{name: "api_auth_enabled", env: "TAKO_VM_API_AUTH_ENABLED", def: false,
			at: func(c *Config) any { return &c.APIAuthEnabled }, doc: "every call needs an API key"},
		{name: "api_keys", env: "TAKO_VM_API_KEYS", defDoc: "[]",
			at:   func(c *Config) any { return &c.APIKeys },
			rule: apiKeys(), doc: "keys with every scope; a comma list in the environment"},
		{name: "api_auth_header", env: "TAKO_VM_API_AUTH_HEADER", def: "X-API-Key",
			at:   func(c *Config) any { return &c.APIAuthHeader },
			rule: matching(`[A-Za-z0-9_-]+`, "letters, digits, - and _"), doc: "header that carries the key"},
		{name: "api_rate_limit_enabled", env: "TAKO_VM_API_RATE_LIMIT_ENABLED", def: true,
			at: func(c *Config) any { return &c.APIRateLimitEnabled }, doc: "bound calls per key and per address"},
		{name: "api_rate_limit_requests", env: "TAKO_VM_API_RATE_LIMIT_REQUESTS", def: 120,
			at:   func(c *Config) any { return &c.APIRateLimitRequests },
			rule: between(1, 100000), doc: "calls per window"},
		{name: "api_rate_limit_window_seconds", env: "TAKO_VM_API_RATE_LIMIT_WINDOW_SECONDS", def: 60,
			at:   func(c *Config) any { return &c.APIRateLimitWindowSeconds },
			rule: between(1, 3600), doc: "the window, in seconds"},
		{name: "tls_cert_file", at: func(c *Config) any { return &c.TLSCertFile }, nullable: true, defDoc: "none: plain HTTP",
			doc: "PEM file with the certificate to serve TLS with; needs tls_key_file"},
		{name: "tls_key_file", at: func(c *Config) any { return &c.TLSKeyFile }, nullable: true, defDoc: "none",
			doc: "PEM file with its private key"},
		{name: "allowed_hosts", defDoc: "[]", at: func(c *Config) any { return &c.AllowedHosts },
			rule: each(matching(`[^\s\x00/:]{1,255}`, "a host name or address")),
			doc:  "names beside loopback's by which the server may be called without authentication"},
		{name: "trusted_proxies", defDoc: "[]", at: func(c *Config) any { return &c.TrustedProxies },
			rule: each(addressOrCIDR()), doc: "proxies whose word on the caller's address is taken"},
		{name: "webhook_secret", env: "TAKO_VM_WEBHOOK_SECRET", at: func(c *Config) any { return &c.WebhookSecret },
			nullable: true, rule: optional(longSecret()), doc: "signs webhooks of keys without a secret of their own"},
		{name: "webhook_allow_http", def: false, at: func(c *Config) any { return &c.WebhookAllowHTTP },
			doc: "deliver webhooks over plain http, too"},
	}
}

func queueRows() []row[Config] {
	return []row[Config]{
		{name: "data_dir", env: "TAKO_VM_DATA_DIR", at: func(c *Config) any { return &c.DataDir }, nullable: true,
			defDoc: "$XDG_DATA_HOME/tako_vm, else ~/.tako_vm",
			rule:   matching(`[^\x00]+`, "a path"), doc: "where everything that lasts is kept"},
		{name: "database_url", env: "TAKO_VM_DATABASE_URL", at: func(c *Config) any { return &c.DatabaseURL },
			defDoc: "SQLite below data_dir", nullable: true, show: maskURL,
			rule: optional(databaseURL()), doc: "PostgreSQL for records and queue"},
		{name: "blob_url", env: "TAKO_VM_BLOB_URL", at: func(c *Config) any { return &c.BlobURL }, defDoc: "files below data_dir", nullable: true,
			rule: optional(blobURL()), doc: "S3-compatible storage for files: s3://bucket/prefix?region=...&endpoint=..."},
		{name: "disk_reserve", def: "1g", at: func(c *Config) any { return &c.DiskReserve },
			rule: sizeBetween(0, 1<<40), doc: "bytes that stay free of the data directory's disk; with less, new work is refused"},
		{name: "disk_reserve_percent", def: 5, at: func(c *Config) any { return &c.DiskReservePercent },
			rule: between(0, 90), doc: "the same as a share of the disk; the larger one holds"},
		{name: "otlp_endpoint", env: "TAKO_VM_OTLP_ENDPOINT", at: func(c *Config) any { return &c.OTLPEndpoint }, defDoc: "none: no traces", nullable: true,
			rule: optional(collectorURL()), doc: "OpenTelemetry collector that gets traces by OTLP over HTTP, such as http://127.0.0.1:4318"},
		{name: "max_workers", def: 4, at: func(c *Config) any { return &c.MaxWorkers },
			rule: between(1, 64), doc: "jobs that run at once"},
		{name: "max_queue_size", def: 10000, at: func(c *Config) any { return &c.MaxQueueSize },
			rule: between(1, 10000), doc: "jobs that wait at once; more are refused; for those with a run_at to come, half as many for each API key"},
		{name: "warm_pool_size", def: 8, at: func(c *Config) any { return &c.WarmPoolSize },
			rule: between(0, 256), doc: "sandboxes that wait for jobs, at most; 0 has none wait"},
		{name: "warm_pool_memory", def: "512m", at: func(c *Config) any { return &c.WarmPoolMemory },
			rule: sizeBetween(0, 1<<40), doc: "what they may hold together, at 32 MiB each; it is taken off memory_budget"},
		{name: "snapshot_sharing", def: "shared", fold: strings.ToLower, at: func(c *Config) any { return &c.SnapshotSharing },
			rule: oneOf("shared", "per_key"), doc: "whose sandboxes are clones of one snapshot: everybody's, or each API key's own"},
		{name: "max_retry_attempts", def: 2, at: func(c *Config) any { return &c.MaxRetryAttempts },
			rule: between(1, 10), doc: "attempts in all where the infrastructure fails"},
		{name: "retry_base_delay", def: 1.0, at: func(c *Config) any { return &c.RetryBaseDelay },
			rule: between(0.1, 60), doc: "seconds before the second attempt, doubled for each further one"},
		{name: "queue_wait_timeout", def: 1.0, at: func(c *Config) any { return &c.QueueWaitTimeout }, notYet: true,
			rule: between(0.1, 30), doc: "seconds between looks at an empty queue"},
		{name: "execution_record_ttl_days", def: 30, at: func(c *Config) any { return &c.ExecutionRecordTTLDays },
			rule: between(1, 3650), doc: "days a record is kept"},
		{name: "dlq_ttl_days", def: 30, at: func(c *Config) any { return &c.DLQTTLDays },
			rule: between(1, 365), doc: "days a dead letter is kept"},
	}
}

func outputRows() []row[Config] {
	stream := between(1024, 104857600)
	return []row[Config]{
		{name: "max_stdout_bytes", def: 65536, at: func(c *Config) any { return &c.MaxStdoutBytes },
			rule: stream, doc: "bytes kept of stdout; more is dropped and flagged"},
		{name: "max_stderr_bytes", def: 65536, at: func(c *Config) any { return &c.MaxStderrBytes },
			rule: stream, doc: "bytes kept of stderr; more is dropped and flagged"},
		{name: "max_artifact_bytes", def: 10485760, at: func(c *Config) any { return &c.MaxArtifactBytes },
			rule: between(1024, 1073741824), doc: "bytes of one artifact; a larger one is skipped"},
		{name: "max_total_artifacts_bytes", def: 52428800, at: func(c *Config) any { return &c.MaxTotalArtifactsBytes },
			rule: between(1024, 10737418240), doc: "bytes of a job's artifacts together"},
		{name: "max_event_log_bytes", def: 10485760, at: func(c *Config) any { return &c.MaxEventLogBytes },
			rule: between(1024, 1073741824), doc: "bytes of a job's event log"},
		{name: "max_input_bytes", def: 1048576, at: func(c *Config) any { return &c.MaxInputBytes },
			rule: between(1024, 104857600), doc: "bytes of a job's input data"},
		{name: "max_code_bytes", def: 102400, at: func(c *Config) any { return &c.MaxCodeBytes },
			rule: between(1024, 10485760), doc: "bytes of a job's code"},
	}
}

// mostRows bound what a request may raise its job type's limits to.
func mostRows() []row[Config] {
	return []row[Config]{
		{name: "memory_budget", at: func(c *Config) any { return &c.MemoryBudget }, nullable: true, defDoc: "7/8 of the machine's memory",
			rule: ifSize(sizeBetween(64<<20, 1<<44)), doc: "bytes that the memory limits of all running jobs may add up to"},
		{name: "max_memory", def: "2g", at: func(c *Config) any { return &c.MaxMemory },
			rule: sizeBetween(64<<20, 32<<30), doc: "bytes of memory that a request may ask for"},
		{name: "max_cpus", def: 4.0, at: func(c *Config) any { return &c.MaxCPUs },
			rule: between(0.1, 16), doc: "processors that a request may ask for"},
		{name: "max_pids", def: 200, at: func(c *Config) any { return &c.MaxPIDs },
			rule: between(1, 1000), doc: "processes and threads that a request may ask for"},
		{name: "max_disk", def: "1g", at: func(c *Config) any { return &c.MaxDisk },
			rule: sizeBetween(1<<20, 8<<30), doc: "bytes of each writable file system that a request may ask for"},
	}
}

func timeRows() []row[Config] {
	return []row[Config]{
		{name: "default_timeout", def: 30, at: func(c *Config) any { return &c.DefaultTimeout },
			rule: between(1, 3600), doc: "seconds user code may take; at most max_timeout"},
		{name: "default_startup_timeout", def: 120, at: func(c *Config) any { return &c.DefaultStartupTimeout },
			rule: between(10, 600), doc: "seconds until user code starts; at most max_startup_timeout"},
		{name: "max_timeout", def: 300, at: func(c *Config) any { return &c.MaxTimeout },
			rule: between(1, 86400), doc: "seconds a job or job type may ask for"},
		{name: "max_startup_timeout", def: 600, at: func(c *Config) any { return &c.MaxStartupTimeout },
			rule: between(30, 1800), doc: "seconds a job may ask for until its code starts"},
		{name: "kill_grace_ms", def: 500, at: func(c *Config) any { return &c.KillGraceMS },
			rule: between(0, 60000), doc: "milliseconds from SIGTERM to SIGKILL when time ran out"},
	}
}

func dependencyRows() []row[Config] {
	return []row[Config]{
		{name: "allow_runtime_requirements", env: "TAKO_VM_ALLOW_RUNTIME_REQUIREMENTS", def: false,
			at: func(c *Config) any { return &c.AllowRuntimeRequirements }, doc: "a request may name packages to install"},
		{name: "package_index_url", def: "https://pypi.org/simple/", nullable: true, show: maskURL, at: func(c *Config) any { return &c.PackageIndexURL },
			rule: optional(indexURL()), doc: "where Python packages come from: a simple repository API, with user and password where it needs them; null is none"},
		{name: "package_extra_index_urls", defDoc: "[]", show: maskURLs, at: func(c *Config) any { return &c.PackageExtraIndexURLs },
			rule: indexURLs(), doc: "further ones, asked after it"},
		{name: "npm_registry_url", def: "https://registry.npmjs.org/", nullable: true, show: maskToken, at: func(c *Config) any { return &c.NPMRegistryURL },
			rule: optional(indexURL()), doc: "where npm packages come from, with user and password, or a token in the place of the user, where it needs them; null is none"},
		{name: "package_wheels_dir", nullable: true, at: func(c *Config) any { return &c.PackageWheelsDir },
			doc: "directory of wheels, and of .tgz files of npm packages, that come before those of an index"},
		{name: "package_allow_sdists", def: false, at: func(c *Config) any { return &c.PackageAllowSdists },
			doc: "packages may be built from source, which runs code of theirs in the installation's sandbox"},
		{name: "package_offline", def: false, at: func(c *Config) any { return &c.PackageOffline },
			doc: "no index is asked: packages come out of package_wheels_dir"},
		{name: "build_memory", def: "2g", at: func(c *Config) any { return &c.BuildMemory },
			rule: sizeBetween(256<<20, 32<<30), doc: "bytes of memory of an installation, what it installs included"},
		{name: "build_timeout", def: 1800, at: func(c *Config) any { return &c.BuildTimeout },
			rule: between(1, 86400), doc: "seconds an installation may take"},
		{name: "dependency_proxy_url", env: "TAKO_VM_DEPENDENCY_PROXY_URL", nullable: true, show: maskURL,
			at:   func(c *Config) any { return &c.DependencyProxyURL },
			rule: optional(proxyURL()), doc: "proxy for installing packages"},
		{name: "enable_runtime_dependency_cache", env: "TAKO_VM_ENABLE_RUNTIME_DEPENDENCY_CACHE", def: false, notYet: true,
			at: func(c *Config) any { return &c.RuntimeDependencyCache }, doc: "of Tako VM; not needed: what was installed once is a layer that stays"},
		{name: "secret_key_file", nullable: true, at: func(c *Config) any { return &c.SecretKeyFile }, defDoc: "secret.key in data_dir",
			doc: "file with the key of stored secrets, made when the first is stored; only its owner may read it"},
		{name: "egress_allow_cidrs", defDoc: "[]", at: func(c *Config) any { return &c.EgressAllowCIDRs },
			rule: each(cidr()), doc: "private networks that webhooks may reach, and a job's network policy may open"},
		{name: "allow_request_images", def: false, at: func(c *Config) any { return &c.AllowRequestImages },
			doc: "a request may name an image"},
	}
}

func sessionRows() []row[Config] {
	return []row[Config]{
		{name: "sessions_enabled", env: "TAKO_VM_SESSIONS_ENABLED", def: false, notYet: true,
			at: func(c *Config) any { return &c.SessionsEnabled }, doc: "sessions"},
		{name: "session_idle_timeout_seconds", env: "TAKO_VM_SESSION_IDLE_TIMEOUT_SECONDS", def: 1800, notYet: true,
			at:   func(c *Config) any { return &c.SessionIdleTimeoutSeconds },
			rule: between(30, 86400), doc: "seconds an idle session lives; at most session_max_ttl_seconds"},
		{name: "session_max_ttl_seconds", env: "TAKO_VM_SESSION_MAX_TTL_SECONDS", def: 86400, notYet: true,
			at:   func(c *Config) any { return &c.SessionMaxTTLSeconds },
			rule: between(60, 604800), doc: "seconds a session lives"},
		{name: "session_max_concurrent", env: "TAKO_VM_SESSION_MAX_CONCURRENT", def: 50, notYet: true,
			at:   func(c *Config) any { return &c.SessionMaxConcurrent },
			rule: between(1, 1<<31-1), doc: "sessions at once"},
	}
}
