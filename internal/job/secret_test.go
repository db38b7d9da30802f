package job

import "testing"

func TestSecretBindings(t *testing.T) {
	for name, tt := range map[string]struct {
		b           SecretBinding
		field       string
		host, under string
		port        uint16
	}{
		"plain":         {SecretBinding{"API_KEY", "API.example.com", ""}, "", "api.example.com", "Authorization", 443},
		"all":           {SecretBinding{"k", "a.example:8443", "x-api-key"}, "", "a.example", "x-api-key", 8443},
		"no name":       {SecretBinding{"", "a.example", ""}, "name", "", "", 0},
		"a dash":        {SecretBinding{"a-b", "a.example", ""}, "name", "", "", 0},
		"a pattern":     {SecretBinding{"A", "*.example", ""}, "host", "", "", 0},
		"an address":    {SecretBinding{"A", "10.0.0.1", ""}, "host", "", "", 0},
		"IPv6":          {SecretBinding{"A", "[::1]:443", ""}, "host", "", "", 0},
		"a URL":         {SecretBinding{"A", "https://a.example", ""}, "host", "", "", 0},
		"a path":        {SecretBinding{"A", "a.example/x", ""}, "host", "", "", 0},
		"no host":       {SecretBinding{"A", "", ""}, "host", "", "", 0},
		"port 0":        {SecretBinding{"A", "a.example:0", ""}, "host", "", "", 0},
		"a long port":   {SecretBinding{"A", "a.example:65536", ""}, "host", "", "", 0},
		"ports":         {SecretBinding{"A", "a.example:1-2", ""}, "host", "", "", 0},
		"not encrypted": {SecretBinding{"A", "a.example:80", ""}, "host", "", "", 0},
		"no field":      {SecretBinding{"A", "a.example", "a b"}, "header", "", "", 0},
		"a line end":    {SecretBinding{"A", "a.example", "a\r\nb"}, "header", "", "", 0},
		"not its own":   {SecretBinding{"A", "a.example", "HOST"}, "header", "", "", 0},
	} {
		field, msg := tt.b.Problem()
		if field != tt.field || (msg == "") != (field == "") {
			t.Errorf("%s: %q: %s", name, field, msg)
		}
		if field != "" {
			continue
		}
		host, port := tt.b.Target()
		if host != tt.host || port != tt.port || tt.b.Field() != tt.under {
			t.Errorf("%s: %s %d %s", name, host, port, tt.b.Field())
		}
	}
}
