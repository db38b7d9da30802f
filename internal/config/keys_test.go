package config

import (
	"encoding/json"
	"strings"
	"testing"
)

// sample holds values of a key as they are written in YAML.
type sample struct{ good, bad []string }

func list(values ...string) []string { return values }

func configSamples() map[string]sample {
	long := `"0123456789abcdef"`
	flag := sample{list("true", "false", "yes", `"on"`, "0"), list("3", "maybe", "[true]", "")}
	return map[string]sample{
		"production_mode":                      flag,
		"allow_unauthenticated_network_access": flag,
		"api_auth_enabled":                     flag,
		"api_rate_limit_enabled":               flag,
		"webhook_allow_http":                   flag,
		"allow_runtime_requirements":           flag,
		"enable_runtime_dependency_cache":      flag,
		"allow_request_images":                 flag,
		"sessions_enabled":                     flag,
		"enable_seccomp":                       flag,
		"enable_cap_restrictions":              flag,
		"enable_userns":                        flag,
		"log_level":                            {list("debug", "CRITICAL"), list("TRACE", "3", "")},
		"log_format":                           {list("text", "JSON"), list("xml", "")},
		"server_host":                          {list("127.0.0.1", "localhost", `"::1"`, `"[::1]"`, "127.9.9.9"), list(`""`, "0.0.0.0", `"a b"`, "127.evil.example", "5")},
		"server_port":                          {list("1", "65535", `"8000"`, "8000.0"), list("0", "65536", "-1", "80.5", "http", "99999999999999999999")},
		"server_socket":                        {list("/run/tako.sock", "null"), list("tako.sock", `"/a\0"`, "/"+strings.Repeat("x", 88))},
		"api_max_payload_bytes":                {list("1024", "104857600"), list("1023", "104857601", "2m")},
		"api_max_upload_bytes":                 {list("1024", "10737418240"), list("1023", "10737418241")},
		"api_keys":                             {list("[]", "["+long+"]", "["+long+", "+long[:5]+"xxxxxxxxxxxxxxxx\"]"), list(long, "[short]", "["+long+","+long+"]", `["0123456789\nabcdef"]`, `["0123456789\0abcdef"]`, "[null]", "[1234567890123456]", "")},
		"api_auth_header":                      {list("X-Key_1"), list(`""`, `"X Key"`, `"X:Key"`)},
		"api_rate_limit_requests":              {list("1", "100000"), list("0", "100001")},
		"api_rate_limit_window_seconds":        {list("1", "3600"), list("0", "3601")},
		"trusted_proxies":                      {list("[]", "[10.0.0.1, 10.0.0.0/8, '::1']"), list("[proxy]", "10.0.0.1")},
		"webhook_secret":                       {list(long, "null", `""`), list("short", "[]")},
		"data_dir":                             {list("/d", "null"), list("3", `"/a\0b"`)},
		"database_url":                         {list("postgresql://h/d", "postgres://u:p@h:1/d", "postgresql+psycopg://h/d", "null"), list("mysql://h/d", "postgresql://h", "postgresql:///d", "postgresql://h:x/d", "h/d")},
		"max_workers":                          {list("1", "64"), list("0", "65")},
		"max_queue_size":                       {list("1", "10000"), list("0", "10001")},
		"snapshot_sharing":                     {list("shared", "per_key", "SHARED"), list("key", "true", "3")},
		"warm_pool_size":                       {list("0", "256"), list("-1", "257")},
		"warm_pool_memory":                     {list("0", "512m"), list("2000g", "-1", "1.5g")},
		"max_retry_attempts":                   {list("1", "10"), list("0", "11")},
		"retry_base_delay":                     {list("0.1", "60", `"2.5"`), list("0.09", "60.1", ".nan", ".inf", "fast")},
		"queue_wait_timeout":                   {list("0.1", "30"), list("0", "31", ".nan")},
		"execution_record_ttl_days":            {list("1", "3650"), list("0", "3651")},
		"dlq_ttl_days":                         {list("1", "365"), list("0", "366")},
		"max_stdout_bytes":                     {list("1024", "104857600"), list("1023", "104857601")},
		"max_stderr_bytes":                     {list("1024", "104857600"), list("1023", "104857601")},
		"max_artifact_bytes":                   {list("1024", "1073741824"), list("1023", "1073741825")},
		"max_total_artifacts_bytes":            {list("1024", "10737418240"), list("1023", "10737418241")},
		"max_event_log_bytes":                  {list("1024", "1073741824"), list("1023", "1073741825")},
		"max_input_bytes":                      {list("1024", "104857600"), list("1023", "104857601")},
		"max_code_bytes":                       {list("1024", "10485760"), list("1023", "10485761")},
		"default_timeout":                      {list("1", "300"), list("0", "301", "3601", "30s")},
		"default_startup_timeout":              {list("10", "600"), list("9", "601")},
		"max_timeout":                          {list("30", "86400"), list("0", "29", "86401")},
		"max_startup_timeout":                  {list("120", "1800"), list("29", "119", "1801")},
		"kill_grace_ms":                        {list("0", "60000"), list("-1", "60001")},
		"dependency_proxy_url":                 {list("http://p:1", "https://u:p@p", "socks5://p/", "null"), list("ftp://p", "http://", "http://p/x", "http://p?q=1", "http://p#f", "http://p;x", "p:1")},
		"package_index_url":                    {list("https://pypi.example/simple/", "http://u:p@127.0.0.1:8080/simple", "null", `""`), list("ftp://p", "https://", "p", "https://p?q=1", "https://p#f")},
		"package_extra_index_urls":             {list("[]", "[https://a.example/simple]"), list("[a]", "https://a.example")},
		"npm_registry_url":                     {list("https://npm.example/", "http://u:p@127.0.0.1:4873", "https://token@npm.example/x/", "null", `""`), list("ftp://p", "https://", "p", "https://p?q=1", "https://p#f")},
		"package_wheels_dir":                   {list("/wheels", "null"), list("[]")},
		"package_allow_sdists":                 flag,
		"package_offline":                      flag,
		"build_memory":                         {list("256m", "32g"), list("255m", "33g")},
		"build_timeout":                        {list("1", "86400"), list("0", "86401")},
		"egress_allow_cidrs":                   {list("[]", "[10.0.0.0/8]"), list("[10.0.0.1]", "[10.0.0.0/99]", "10.0.0.0/8")},
		"session_idle_timeout_seconds":         {list("30", "86400"), list("29", "86401")},
		"session_max_ttl_seconds":              {list("1800", "604800"), list("59", "604801", "1799")},
		"session_max_concurrent":               {list("1", "100000"), list("0", "-1")},
		"docker_image":                         {list("a:b"), list("3", "")},
		"seccomp_profile_path":                 {list("/p.json", "null"), list("[]")},
		"container_runtime":                    {list("runsc", "RUNSC"), list("docker", "runc", "1")},
		"security_mode":                        {list("strict", "permissive"), list("lax", "true")},
		"container_limits.nofile_soft":         {list("64", "256"), list("63", "257", "65537")},
		"container_limits.nofile_hard":         {list("256", "65536"), list("255", "65537")},
		"container_limits.nproc_soft":          {list("10", "50"), list("9", "51")},
		"container_limits.nproc_hard":          {list("50", "1000"), list("49", "1001")},
		"container_limits.fsize":               {list("1048576", "1073741824"), list("1048575", "1073741825")},
		"container_limits.tmpfs_size":          {list("10m", "2g", "20480k", "10485760", `"104857600"`, "64MiB"), list("9m", "3g", "100x", "1.5g", "-1m", "100MB", "true", "99999999999999999999")},
		"container_limits.pids_limit":          {list("10", "1000"), list("9", "1001")},
		"tls_cert_file":                        {list("/c.pem", "null"), list("[]")},
		"tls_key_file":                         {list("/k.pem", "null"), list("[]")},
		"allowed_hosts":                        {list("[]", "[tako.example, 10.0.0.1]"), list("tako", "['http://x']", "['a b']", "['x:80']")},
		"blob_url":                             {list("s3://bucket/p?region=r", "null"), list("http://x", "s3:///p", "s3://k:s@bucket", "bucket")},
		"disk_reserve":                         {list("0", "1g"), list("2000g", "-1", "1.5g")},
		"disk_reserve_percent":                 {list("0", "90"), list("-1", "91")},
		"otlp_endpoint":                        {list("http://127.0.0.1:4318", "https://c/v1", "null"), list("c:4318", "grpc://c", "http://u:p@c")},
		"memory_budget":                        {list("64m", "16g", "null"), list("63m", "all")},
		"max_memory":                           {list("64m", "32g"), list("63m", "33g")},
		"max_cpus":                             {list("0.1", "16"), list("0", "17", ".nan")},
		"max_pids":                             {list("1", "1000"), list("0", "1001")},
		"secret_key_file":                      {list("/k", "null"), list("3")},
		"max_disk":                             {list("1m", "8g"), list("1023k", "9g")},
		"job_types":                            {list("[]", "[{name: a}]"), list("{}", "[3]", "[{}]", "[{name: a},{name: a}]", "")},
	}
}

func jobTypeSamples() map[string]sample {
	return map[string]sample{
		"name":                  {list("data-processing_1"), list(`""`, "a b", "3", strings.Repeat("n", 65))},
		"requirements":          {list("[]", "[numpy, 'pandas>=2']"), list("numpy", "[3]")},
		"python_version":        {list(`"3.8"`, `"3.19"`), list("3.11", `"3.7"`, `"3.20"`, `"2.7"`)},
		"base_image":            {list("python:3.11", "null"), list("3")},
		"image":                 {list("python:3.12", "null"), list("3")},
		"language":              {list("python", "node", "bash", "null"), list("ruby", "3")},
		"limits":                {list("null", "{}", "{pids: 5, disk: 50m}"), list("3", "{memory: 1g}")},
		"limits.pids":           {list("{pids: 1}", "{pids: 1000}", "{pids: null}"), list("{pids: 0}", "{pids: 1001}", "{pids: many}")},
		"limits.disk":           {list("{disk: 1m}", "{disk: 8g}"), list("{disk: 1k}", "{disk: 9g}")},
		"limits.stdout_bytes":   {list("{stdout_bytes: 0}", "{stdout_bytes: 1073741824}"), list("{stdout_bytes: -1}", "{stdout_bytes: 1073741825}")},
		"limits.stderr_bytes":   {list("{stderr_bytes: 0}"), list("{stderr_bytes: -1}")},
		"limits.artifact_bytes": {list("{artifact_bytes: 0}"), list("{artifact_bytes: -1}")},
		"shared_code":           {list("[lib]"), list("lib")},
		"preload":               {list("[]", "[numpy, os.path, _a1]"), list("numpy", "[3]", "['']", "['a b']", "['a;b']", "['1a']", "['a.']", "['\\u00e9']", "["+strings.Repeat("a,", 64)+"a]")},
		"environment":           {list("{}", `{A: "x y $z"}`), list("{A: 1}", "{1A: x}", "[]", `{A: "\0"}`, "{A: "+strings.Repeat("v", 32769)+"}")},
		"memory_limit":          {list("64m", "32g", "1G"), list("63m", "33g", "65536k", "536870912", `"536870912"`, "1.5g")},
		"cpu_limit":             {list("0.1", "16"), list("0", "16.1", ".nan")},
		"timeout":               {list("1", "300"), list("0", "3601", "301")},
		"startup_timeout":       {list("10", "600"), list("9", "601")},
		"network_enabled":       {list("true"), list("maybe")},
		"network":               {list("null", "{}", "{mode: public}", "{mode: ALLOW, allow: [a.example]}"), list("3", "none", "{mode: allow}", "{allow: [a.example]}", "{mode: none, allow: [a.example]}", "{hosts: [a]}")},
		"network.mode":          {list("{mode: none}", "{mode: null}"), list("{mode: all}", "{mode: 3}")},
		"network.allow":         {list("{mode: allow, allow: ['*.a.example:443', 203.0.113.0/24, 'db.example:5432-5433']}"), list("{mode: allow, allow: a.example}", "{mode: allow, allow: ['*']}", "{mode: allow, allow: ['https://a.example']}", "{mode: allow, allow: ['a.example:0']}", "{mode: allow, allow: ["+strings.Repeat("a,", 100)+"a]}")},
		"secrets":               {list("[]", "null"), list("3", "{}", "[3]", "[{}]", "[{name: A}]", "[{name: A, host: a.example}]", "[{name: A, host: a.example, value: v}]", "[{name: A-B, host: a.example}]")},
		"session_enabled":       {list("true"), list("maybe")},
		"gpu":                   {list("null", "{}", "{enabled: true, vendor: amd, device_ids: ['0']}", "{enabled: true, vendor: NVIDIA, count: 16}"), list("3", "{enabled: true}", "{vendor: amd}", "{count: 1}", "{gpus: 1}")},
		"gpu.enabled":           {list("{enabled: false}"), list("{enabled: 3}")},
		"gpu.vendor":            {list("{enabled: true, vendor: nvidia}"), list("{enabled: true, vendor: intel}")},
		"gpu.count":             {list("{enabled: true, vendor: nvidia, count: 1}"), list("{enabled: true, vendor: nvidia, count: 0}", "{enabled: true, vendor: nvidia, count: 17}", "{enabled: true, vendor: amd, count: 1}", "{enabled: true, vendor: nvidia, count: 1, device_ids: [a]}")},
		"gpu.device_ids":        {list("{enabled: true, vendor: nvidia, device_ids: [a, b]}"), list("{enabled: true, vendor: amd, device_ids: [a, a]}", "{enabled: true, vendor: amd, device_ids: ['a,b']}", "{enabled: true, vendor: amd, device_ids: ['']}", "{enabled: true, vendor: amd, device_ids: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}")},
	}
}

// document writes a file with one key.
func document(key, value string) string {
	group, name, nested := strings.Cut(key, ".")
	if nested {
		return group + ":\n  " + name + ": " + value + "\n"
	}
	return key + ": " + value + "\n"
}

func TestEveryKey(t *testing.T) {
	samples := configSamples()
	for _, r := range configRows() {
		s, ok := samples[r.name]
		if !ok {
			t.Errorf("the test has no values for %s", r.name)
			continue
		}
		group, _, _ := strings.Cut(r.name, ".")
		trySample(t, r.name, s, group, func(v string) string { return document(r.name, v) })
	}
}

func TestEveryJobTypeKey(t *testing.T) {
	samples := jobTypeSamples()
	for _, r := range jobTypeRows() {
		if _, ok := samples[r.name]; !ok {
			t.Errorf("the test has no values for %s", r.name)
		}
	}
	for key, s := range samples {
		key, _, _ := strings.Cut(key, ".")
		name := "name: a, "
		if key == "name" {
			name = ""
		}
		trySample(t, "job_types."+key, s, "job_types[0]."+key, func(v string) string {
			return "job_types: [{" + name + key + ": " + v + "}]\n"
		})
	}
}

// trySample loads every good and every bad value; the error of a bad one names
// the key, or where two keys disagree the other one.
func trySample(t *testing.T, key string, s sample, field string, text func(string) string) {
	other := map[string]string{
		"max_timeout": "default_timeout", "max_startup_timeout": "default_startup_timeout",
		"session_max_ttl_seconds": "session_idle_timeout_seconds",
	}
	for _, v := range s.good {
		t.Run(key+"/good", func(t *testing.T) {
			if _, err := loadText(text(v)); err != nil {
				t.Errorf("%s: %v", v, err)
			}
		})
	}
	for _, v := range s.bad {
		t.Run(key+"/bad", func(t *testing.T) {
			_, err := loadText(text(v))
			if err == nil {
				t.Fatalf("%s was accepted", v)
			}
			named := strings.Contains(err.Error(), "field "+field)
			if o := other[field]; !named && (o == "" || !strings.Contains(err.Error(), "field "+o)) {
				t.Errorf("%s: the error does not name the key: %v", v, err)
			}
		})
	}
}

func TestDefaultsAreValid(t *testing.T) {
	c := Default("/d")
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("defaults warn: %q", w)
	}
}

func TestContractDefaults(t *testing.T) {
	c := Default("/d")
	for key, want := range map[string]string{
		"server_host": `"127.0.0.1"`, "server_port": "8000", "api_max_payload_bytes": "2097152",
		"api_rate_limit_enabled": "true", "api_rate_limit_requests": "120", "api_rate_limit_window_seconds": "60",
		"max_retry_attempts": "2", "max_workers": "4", "max_queue_size": "10000", "default_timeout": "30",
		"default_startup_timeout": "120", "max_timeout": "300", "max_startup_timeout": "600",
		"container_runtime": `"runsc"`, "security_mode": `"strict"`, "container_limits.tmpfs_size": `"100m"`,
		"container_limits.pids_limit": "100", "container_limits.nproc_hard": "50", "database_url": "null",
		"kill_grace_ms": "500", "api_max_upload_bytes": "104857600",
	} {
		if got := entry(t, c, key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}

func TestKeysDescribeEverything(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Keys() {
		if k.Doc == "" || names[k.Name] {
			t.Errorf("%s has no doc, or is there twice", k.Name)
		}
		names[k.Name] = true
	}
	if !names["container_limits.fsize"] || !names["job_types[].gpu.count"] {
		t.Errorf("nested keys are missing: %v", names)
	}
}

// entry is the value of a key as JSON, as a person would see it.
func entry(t *testing.T, c *Config, key string) string {
	t.Helper()
	for _, e := range c.Entries() {
		if e.Key == key {
			text, err := json.Marshal(e.Value)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	t.Fatalf("no key %s", key)
	return ""
}
