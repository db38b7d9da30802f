package config

// Config is the whole configuration. Fields are in the units of their YAML
// keys; keys.go states default and range of each.
type Config struct {
	ProductionMode bool
	LogLevel       string // upper case: DEBUG, INFO, WARNING, ERROR or CRITICAL

	LogFormat                 string // text or json
	ServerHost                string
	ServerSocket              string
	ServerPort                int
	AllowUnauthenticated      bool // allow_unauthenticated_network_access
	APIMaxPayloadBytes        int64
	APIMaxUploadBytes         int64
	APIAuthEnabled            bool
	APIKeys                   []Secret
	APIAuthHeader             string
	APIRateLimitEnabled       bool
	APIRateLimitRequests      int
	APIRateLimitWindowSeconds int
	TLSCertFile, TLSKeyFile   string
	AllowedHosts              []string
	TrustedProxies            []string // addresses and CIDRs
	WebhookSecret             Secret
	WebhookAllowHTTP          bool
	DataDir                   string // absolute after Load
	DatabaseURL               Secret // empty: SQLite below DataDir
	BlobURL                   string // empty: files below DataDir
	DiskReserve               Size
	DiskReservePercent        int
	OTLPEndpoint              string // empty: no traces
	MaxWorkers, MaxQueueSize  int
	WarmPoolSize              int
	SnapshotSharing           string // shared or per_key
	WarmPoolMemory            Size
	MaxRetryAttempts          int
	RetryBaseDelay            float64 // seconds
	QueueWaitTimeout          float64 // seconds
	MaxStdoutBytes            int64
	MaxStderrBytes            int64
	MaxArtifactBytes          int64
	MaxTotalArtifactsBytes    int64
	MaxEventLogBytes          int64
	MaxInputBytes             int64
	MaxCodeBytes              int64
	DefaultTimeout            int  // seconds
	DefaultStartupTimeout     int  // seconds
	MaxTimeout                int  // seconds
	MaxStartupTimeout         int  // seconds
	KillGraceMS               int  // milliseconds
	MemoryBudget              Size // 0: by the machine's memory
	MaxMemory, MaxDisk        Size
	MaxCPUs                   float64
	MaxPIDs                   int
	AllowRuntimeRequirements  bool
	DependencyProxyURL        Secret // may carry a password
	PackageIndexURL           Secret // may carry a password
	PackageExtraIndexURLs     []Secret
	NPMRegistryURL            Secret // may carry a password or a token
	PackageWheelsDir          string
	SecretKeyFile             string // empty: secret.key below DataDir
	PackageAllowSdists        bool
	PackageOffline            bool
	BuildMemory               Size
	BuildTimeout              int  // seconds
	RuntimeDependencyCache    bool // enable_runtime_dependency_cache
	EgressAllowCIDRs          []string
	AllowRequestImages        bool
	SessionsEnabled           bool
	SessionIdleTimeoutSeconds int
	SessionMaxTTLSeconds      int
	SessionMaxConcurrent      int
	ExecutionRecordTTLDays    int
	DLQTTLDays                int
	DockerImage               string
	SeccompProfilePath        string
	EnableSeccomp             bool
	EnableCapRestrictions     bool
	EnableUserns              bool
	ContainerRuntime          Runtime
	SecurityMode              SecurityMode
	ContainerLimits           ContainerLimits
	JobTypes                  []JobType

	// File is the path of the file that was read; empty when none was.
	File string

	sources map[string]string // key -> "file" or the variable that set it
	notes   []string          // what Load has to say beside the values
}

// ContainerLimits are the limits of a sandbox that no job type changes.
type ContainerLimits struct {
	NofileSoft, NofileHard int   // descriptors per process
	NprocSoft, NprocHard   int   // processes and threads of the user
	Fsize                  int64 // bytes of one file
	TmpfsSize              Size  // bytes of each writable file system
	PidsLimit              int   // processes and threads of the sandbox
}

// Runtime is what the configuration asks to run sandboxes with.
type Runtime string

const (
	RuntimeRunsc Runtime = "runsc" // gVisor, the only one that tako has
	RuntimeRunc  Runtime = "runc"  // accepted in permissive mode, and gVisor is used
)

// SecurityMode says what happens where the host cannot enforce something.
type SecurityMode string

const (
	Strict     SecurityMode = "strict"     // refuse
	Permissive SecurityMode = "permissive" // go on and say so
)

// Default is the configuration of a machine without a file, with its data
// below dataDir.
func Default(dataDir string) *Config {
	c := &Config{DataDir: dataDir}
	setDefaults(configRows(), c)
	return c
}

// Source says where the value of a key comes from: "file", the name of an
// environment variable, or "default".
func (c *Config) Source(key string) string {
	if s, ok := c.sources[key]; ok {
		return s
	}
	return "default"
}
