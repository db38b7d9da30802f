package config

import (
	"math"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1048576": 1 << 20, "512m": 512 << 20, "512M": 512 << 20, "512MiB": 512 << 20, "1g": 1 << 30,
		"64k": 64 << 10, "64KiB": 64 << 10, "2t": 2 << 40, "3TiB": 3 << 40, "7b": 7, " 5m ": 5 << 20, "007k": 7 << 10,
		"9223372036854775807": math.MaxInt64, "8589934591g": 8589934591 << 30,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no number", "m": "no number", "-1m": "whole numbers", "+1m": "whole numbers", "1.5g": "whole numbers", "1 m": "whole numbers",
		"1e3": "whole numbers", "0x10": "whole numbers", "512MB": "1,000 or of 1,024", "1gb": "1,000 or of 1,024", "1p": "unit is unknown",
		"9223372036854775808": "too large", "8589934592g": "too large", "99999999999999999999t": "too large", "١m": "whole numbers",
	} {
		_, err := ParseSize(text)
		if err == nil || !strings.Contains(err.Error(), want) || job.KindOf(err) != job.KindInvalid {
			t.Errorf("ParseSize(%q) = %v, want %q", text, err, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"512m", "1g", "64KiB", "512MB", "-1", "9223372036854775807", "1e3m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSize(text)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("ParseSize(%q) = %d", text, n)
		}
		again, err := ParseSize(Size(n).String())
		if err != nil || again != n {
			t.Fatalf("%q is %d, written %q, read %d, %v", text, n, Size(n), again, err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{"", "max_workers: 3", secretFile, "container_limits: {fsize: 1}", "a: &a [*a]", "x: {<<: &y {b: 1}}",
		"job_types: [{name: a, gpu: {enabled: true, vendor: amd}}]", "? [a]\n: b", "server_port: 1e300", "default_timeout: .nan"} {
		f.Add(s, "5")
	}
	f.Fuzz(func(t *testing.T, text, env string) {
		w := world{files: map[string]string{"/c.yaml": text}, env: map[string]string{}}
		for _, r := range configRows() {
			w.env[r.env] = env
		}
		for _, o := range []Options{w.options("/c.yaml"), world{files: w.files}.options("/c.yaml")} {
			c, err := Load(o)
			if err != nil {
				if c != nil || job.KindOf(err) != job.KindConfig {
					t.Fatalf("Load = %v, %v", c, err)
				}
				continue
			}
			if err := c.Limits().Validate(); err != nil {
				t.Fatalf("a valid configuration has limits that are not: %v\n%s", err, text)
			}
			if err := c.Validate(); err != nil {
				t.Fatalf("Load took what Validate refuses: %v", err)
			}
			_, _ = c.String(), c.Warnings()
		}
	})
}
