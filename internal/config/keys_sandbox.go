package config

import "strings"

func isolationRows() []row[Config] {
	return []row[Config]{
		{name: "container_runtime", env: "TAKO_VM_CONTAINER_RUNTIME", def: "runsc", fold: strings.ToLower,
			at:   func(c *Config) any { return (*string)(&c.ContainerRuntime) },
			rule: oneOf("runsc", "runc"), doc: "gVisor; runc is refused in strict mode and replaced by gVisor in permissive mode"},
		{name: "security_mode", env: "TAKO_VM_SECURITY_MODE", def: "strict", fold: strings.ToLower,
			at:   func(c *Config) any { return (*string)(&c.SecurityMode) },
			rule: oneOf("strict", "permissive"), doc: "refuse what the host cannot enforce, or run and say so"},
		{name: "docker_image", def: "code-executor:latest", at: func(c *Config) any { return &c.DockerImage }, notYet: true,
			doc: "image of a Docker executor; tako uses none"},
		{name: "seccomp_profile_path", at: func(c *Config) any { return &c.SeccompProfilePath }, notYet: true, nullable: true,
			defDoc: "built in", doc: "file with a seccomp profile"},
		{name: "enable_seccomp", env: "TAKO_VM_ENABLE_SECCOMP", def: true, notYet: true,
			at: func(c *Config) any { return &c.EnableSeccomp }, doc: "deny dangerous system calls to user code; tako always does"},
		{name: "enable_cap_restrictions", env: "TAKO_VM_ENABLE_CAP_RESTRICTIONS", def: true, notYet: true,
			at: func(c *Config) any { return &c.EnableCapRestrictions }, doc: "run user code without capabilities; tako always does"},
		{name: "enable_userns", env: "TAKO_VM_ENABLE_USERNS", def: false, notYet: true,
			at: func(c *Config) any { return &c.EnableUserns }, doc: "run user code as uid 1000; tako always does"},
	}
}

func limitRows() []row[Config] {
	descriptors, processes := between(64, 65536), between(10, 1000)
	return []row[Config]{
		{name: "container_limits.nofile_soft", def: 256, at: func(c *Config) any { return &c.ContainerLimits.NofileSoft },
			rule: descriptors, notYet: true, doc: "descriptors per process; tako enforces nofile_hard"},
		{name: "container_limits.nofile_hard", def: 256, at: func(c *Config) any { return &c.ContainerLimits.NofileHard },
			rule: descriptors, doc: "descriptors per process; at least nofile_soft"},
		{name: "container_limits.nproc_soft", def: 50, at: func(c *Config) any { return &c.ContainerLimits.NprocSoft },
			rule: processes, notYet: true, doc: "processes and threads of the user; tako enforces nproc_hard"},
		{name: "container_limits.nproc_hard", def: 50, at: func(c *Config) any { return &c.ContainerLimits.NprocHard },
			rule: processes, doc: "processes and threads of the user; at least nproc_soft"},
		{name: "container_limits.fsize", def: 104857600, at: func(c *Config) any { return &c.ContainerLimits.Fsize },
			rule: between(1<<20, 1<<30), doc: "bytes of one file"},
		{name: "container_limits.tmpfs_size", def: "100m", at: func(c *Config) any { return &c.ContainerLimits.TmpfsSize },
			rule: sizeBetween(10<<20, 2<<30), doc: "bytes of each of /tmp, /output and /app"},
		{name: "container_limits.pids_limit", def: 100, at: func(c *Config) any { return &c.ContainerLimits.PidsLimit },
			rule: processes, doc: "processes and threads of the sandbox; the lower of it and nproc_hard holds"},
	}
}
